"""Every document of both sides read through and compared by a digest, a second an iteration."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Coroutine, Iterable, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any, TypeVar

from app.domain.failure import FailedDocument
from app.domain.names import IndexName
from app.domain.operation import Operation, Proving, Side
from app.elastic.answers import Document
from app.jobs.phases import Work
from app.upgrades.proving.comparing import Measure, Pages, Place, document_differences, refuse_copy

_MODULUS = 1 << 512


def added(digest: str, documents: Iterable[Document], shard: int, measure: Measure) -> str:
    """`digest` (hex) with `documents` of `shard` added: what `comparing.differences` looks at."""
    total = int(digest, 16)
    for document in documents:
        version = document.version if measure.versions else None
        one = blake2b(repr((shard, document.id, document.routing, version)).encode())
        one.update(document.source)
        total += int.from_bytes(one.digest())
    return f"{total % _MODULUS:x}"


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


T = TypeVar("T")
TURN_SECONDS = 1.0
"""Between two turns progress is saved, and requested actions are granted."""
AT_ONCE = 2
"""Pages of the target that are asked for: a search of one shard takes one thread of a node."""


class Comparison:
    """Of all documents of an operation whose source stands still.

    A `Proving` that is `one_by_one` looks for each document; it has to be where vectors count.
    """

    def __init__(self, work: Work[Operation], pages: Pages) -> None:
        assert work.job.source_seq_nos is not None
        self._operation = work.job
        self._source_ends = work.job.source_seq_nos
        self._pages = pages

    async def go_on(self, proving: Proving) -> Proving:
        """As far as a turn goes. Raises `DocumentsDiffer`."""
        until = time.monotonic() + TURN_SECONDS
        if proving.one_by_one:
            return await self._one_by_one(proving, until)
        source, target = await self._both(proving, until)
        proving = proving.model_copy(update={"source": source, "target": target})
        whole = self._is_read(source) and self._is_read(target)
        return proving.begun_one_by_one() if whole and not self.is_over(proving) else proving

    def is_over(self, proving: Proving) -> bool:
        """Every document was found, or the sums of both sides are the same."""
        source, target = proving.source, proving.target
        if proving.one_by_one:
            return self._is_read(source)
        return self._is_read(source) and self._is_read(target) and source.digest == target.digest

    def _is_read(self, side: Side) -> bool:
        return side.shard >= len(self._source_ends)

    def _walk_source(self) -> Walk:
        return Walk(self._operation.source_name, self._source_ends, self._pages)

    async def _both(self, proving: Proving, until: float) -> list[Side]:
        walk = Walk(self._operation.new_index_name, proving.target_seq_nos, self._pages)
        sides = (proving.source, self._walk_source()), (proving.target, walk)
        return await _all(self._through(side, walk, until) for side, walk in sides)

    async def _through(self, side: Side, walk: Walk, until: float) -> Side:
        """`side` with what `walk` reads until then: the next page is asked for meanwhile."""
        reading = [asyncio.create_task(walk.read(_place(side)))]
        try:
            while reading:
                page = await reading.pop()
                if page.documents and time.monotonic() < until:
                    reading.append(asyncio.create_task(walk.read(page.behind)))
                digest = added(side.digest, page.documents, page.shard, self._pages.measure)
                side = _past(side, page, digest)
        finally:
            await _drop(reading)
        return side

    async def _one_by_one(self, proving: Proving, until: float) -> Proving:
        """While the target is asked for some pages, the source is for the next one."""
        walk, asked = self._walk_source(), deque[tuple[Page, asyncio.Task[list[FailedDocument]]]]()
        side = proving.source
        place: Place | None = _place(side)
        try:
            while place or asked:
                if place:
                    page = await walk.read(place)
                    asked.append((page, asyncio.create_task(self._faults(page))))
                    on = page.documents and time.monotonic() < until
                    place = page.behind if on else None
                if len(asked) >= AT_ONCE or not place:
                    page, compared = asked.popleft()
                    refuse_copy(self._operation, await compared)
                    side = _past(side, page)
        finally:
            await _drop([compared for _, compared in asked])
        return proving.model_copy(update={"source": side})

    async def _faults(self, page: Page) -> list[FailedDocument]:
        """Where the target differs."""
        if not page.documents:
            return []
        other = await self._pages.of_target(page.documents, page.shard)
        return document_differences(page.documents, other, self._pages.measure)


def _place(side: Side) -> Place:
    return Place(side.shard, side.from_seq_no)


def _past(side: Side, page: Page, digest: str = "0") -> Side:
    """`side` with `page` done."""
    return Side(
        shard=page.behind.shard,
        from_seq_no=page.behind.seq_no,
        documents=side.documents + len(page.documents),
        digest=digest,
    )


async def _all(works: Iterable[Coroutine[Any, Any, T]]) -> list[T]:
    """Side by side; where one fails, the others are ended before it is raised."""
    tasks = [asyncio.create_task(work) for work in works]
    try:
        return await asyncio.gather(*tasks)
    finally:
        await _drop(tasks)


async def _drop(tasks: Sequence[asyncio.Task[Any]]) -> None:
    """Ends what nobody waits for any more."""
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
