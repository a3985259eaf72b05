"""Every document of both sides compared, page by page, a second a turn."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

from app.domain.operation import Work
from app.domain.proof import Proving
from app.elastic.answers import Document
from app.reindex.proving.comparing import differences, refuse
from app.reindex.proving.pages import Pages, Place

TURN_SECONDS = 1.0
"""Between two turns progress is saved, and wishes are granted."""
AT_ONCE = 2
"""Pages of the target that are asked for: a search of one shard takes one thread of a node."""


@dataclass(frozen=True)
class _Page:
    """Documents of one shard, and the place behind them; none at the end."""

    documents: list[Document]
    shard: int
    behind: Place


async def compare_on(work: Work, proving: Proving, pages: Pages) -> Proving:
    """As far as a turn goes. Raises `DocumentsDiffer`.

    While the target is asked for some pages, the source is for the next one.
    """
    walk, asked = _Walk(work, pages), deque[tuple[_Page, asyncio.Task[list[str]]]]()
    until = time.monotonic() + TURN_SECONDS
    place: Place | None = Place(proving.shard, proving.from_seq_no)
    try:
        while place or asked:
            if place:
                page = await walk.read(place)
                asked.append((page, asyncio.create_task(_faults(page, pages))))
                on = page.documents and time.monotonic() < until
                place = page.behind if on else None
            if len(asked) >= AT_ONCE or not place:
                page, compared = asked.popleft()
                refuse(work.operation, await compared)
                proving = _past(proving, page)
    finally:
        await _drop([compared for _, compared in asked])
    return proving


async def _faults(page: _Page, pages: Pages) -> list[str]:
    """How the target differs, in words."""
    if not page.documents:
        return []
    other = await pages.of_target(page.documents, page.shard)
    return differences(page.documents, other, pages.measure)


async def _drop(tasks: Sequence[asyncio.Task[list[str]]]) -> None:
    """Ends what nobody waits for any more."""
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


def _past(proving: Proving, page: _Page) -> Proving:
    """`proving` with `page` done."""
    place = {"shard": page.behind.shard, "from_seq_no": page.behind.seq_no}
    return proving.model_copy(update={"compared": proving.compared + len(page.documents), **place})


class _Walk:
    """Through all shards in order. Where sequence numbers are sparse the steps get wider."""

    def __init__(self, work: Work, pages: Pages) -> None:
        assert work.operation.source_seq_nos is not None
        self._ends = work.operation.source_seq_nos
        self._pages = pages
        self._span = 0

    async def read(self, place: Place) -> _Page:
        """The next documents from `place` on."""
        while place.shard < len(self._ends):
            if place.seq_no > self._ends[place.shard]:
                place, self._span = Place(place.shard + 1, 0), 0
                continue
            size = self._pages.size(place.shard)
            span = self._span or size
            found, total = await self._pages.between(place, span)
            if total > len(found):
                self._span = max(1, span // 2)
                continue
            self._span = span * 2 if total <= size // 2 else span
            place = Place(place.shard, place.seq_no + span)
            if found:
                return _Page(found, place.shard, place)
        return _Page([], place.shard, place)
