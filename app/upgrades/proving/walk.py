"""Reading one index through, shard by shard in the order of its sequence numbers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from app.domain.names import IndexName
from app.elastic.answers import Document
from app.upgrades.proving.pages import Pages, Place


@dataclass(frozen=True)
class Page:
    """Documents of one shard, and the place behind them; none at the end."""

    documents: list[Document]
    shard: int
    behind: Place


class Walk:
    """`ends`: the last sequence number of each shard. Where they are sparse the steps get wider."""

    def __init__(self, index: IndexName, ends: Sequence[int], pages: Pages) -> None:
        self._index = index
        self._ends = ends
        self._pages = pages
        self._span = 0

    async def read(self, place: Place) -> Page:
        """The next documents from `place` on."""
        while place.shard < len(self._ends):
            if place.seq_no > self._ends[place.shard]:
                place, self._span = Place(place.shard + 1, 0), 0
                continue
            size = self._pages.size(place.shard)
            span = self._span or size
            found, total = await self._pages.between(self._index, place, span)
            if total > len(found):
                self._span = max(1, span // 2)
                continue
            self._span = span * 2 if total <= size // 2 else span
            place = Place(place.shard, place.seq_no + span)
            if found:
                return Page(found, place.shard, place)
        return Page([], place.shard, place)
