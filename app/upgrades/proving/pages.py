"""Pages of documents of both sides.

The source stands still, and the target is not written to, so a range of sequence numbers of a shard
is a page that needs no search context: any page can be read again, by another process, too. A
document lies in the shard of the same number on both sides.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from app.domain.errors import AnswerTooLarge
from app.domain.index_settings import hides_seq_nos
from app.domain.mappings import has_type
from app.domain.names import IndexName
from app.domain.operation import Operation
from app.elastic.answers import Document, IndexState
from app.elastic.cluster import Cluster
from app.elastic.connection import REMEMBERED_SECONDS
from app.elastic.documents import EVERYTHING
from app.jobs.phases import Work
from app.upgrades.proving.comparing import Measure

PAGE_DOCUMENTS, PAGE_BYTES, BATCHES = 5_000, 2_000_000, 2
"""A page's limits, in documents, in bytes as they are stored, and in batches of the copy: in larger
ones a document costs less (8.19), but some of both sides are in memory at once. Where the batches
were made smaller, for heavy documents, it is one of them."""
_VECTORS = frozenset({"dense_vector", "rank_vectors", "semantic_text", "sparse_vector"})


@dataclass(frozen=True)
class Place:
    """A sequence number of a shard."""

    shard: int
    seq_no: int


class Pages:
    """`vectors`: they are hidden unless asked for, and are to be compared, too. `most` documents go
    into a page; that has become fewer where an answer was too large.
    """

    def __init__(self, work: Work[Operation], cluster: Cluster, *, vectors: bool) -> None:
        self._operation = work.job
        self._cluster = cluster
        self._vectors = vectors
        self._sizes = _sizes(work)
        assert work.job.source is not None
        self._shards = work.job.source.shards
        proving = work.job.proving
        known = proving.page_documents if proving else None
        self.most = min(known or PAGE_DOCUMENTS, work.job.source.result_window)

    @property
    def measure(self) -> Measure:
        """What must be the same of the documents of both sides."""
        assert self._operation.source is not None
        return Measure(versions=not self._operation.source.time_series, vectors=self._vectors)

    def size(self, shard: int) -> int:
        """Documents of a page, by their average size, and fewer after trouble."""
        return min(self.most, self._sizes.get(shard, self.most))

    async def between(
        self, index: IndexName, place: Place, span: int
    ) -> tuple[list[Document], int]:
        """A page of those with `span` sequence numbers from `place` on, and how many they are."""
        bounds = {"gte": place.seq_no, "lt": place.seq_no + span}
        query, shard = {"range": {"_seq_no": bounds}}, place.shard
        while True:
            size = self.size(shard)
            try:
                return await self._search(index, query, size, shard)
            except AnswerTooLarge:
                self._shrink(size)

    async def at_random(self, size: int) -> list[Document]:
        """Documents of the whole source, for an index whose sequence numbers cannot be named."""
        random: dict[str, Any] = {"query": EVERYTHING, "random_score": {}}
        name = self._operation.source_name
        while True:
            size = min(size, self._widest())
            try:
                page, _ = await self._search(name, {"function_score": random}, size, None)
            except AnswerTooLarge:
                self._shrink(size)
            else:
                return page

    async def of_target(self, page: list[Document], shard: int | None) -> list[Document]:
        """What the target has under the ids of `page`, in all shards where none is named: each may
        have one of the same id, under another routing."""
        query = {"ids": {"values": [document.id for document in page]}}
        size = len(page) * (1 if shard is not None else self._shards)
        try:
            found, _ = await self._search(self._operation.new_index_name, query, size, shard)
        except AnswerTooLarge:
            self._shrink(len(page))
            half = len(page) // 2
            first = await self.of_target(page[:half], shard)
            return first + await self.of_target(page[half:], shard)
        return found

    def _shrink(self, size: int) -> None:
        """After a page of that size was more than an answer may be: compressed well, documents
        weigh far more than their index. Raises `AnswerTooLarge` where it was a single one."""
        if size <= 1:
            raise AnswerTooLarge(
                f"A single document of {self._operation.source_name} is larger than what is read "
                "of an answer, so it cannot be compared."
            )
        self.most = min(self.most, max(1, size // 4))

    def _widest(self) -> int:
        """Documents whose namesakes of all shards fit into one answer."""
        source = self._operation.source
        assert source is not None
        return max(1, min(self.size(0), source.result_window // self._shards))

    async def _search(
        self, index: IndexName, query: dict[str, Any], size: int, shard: int | None
    ) -> tuple[list[Document], int]:
        found = await self._cluster.documents.find(
            index, query, size, shard, with_vectors=self._vectors
        )
        return found.page, found.total


def _sizes(work: Work[Operation]) -> dict[int, int]:
    source = work.job.source
    assert source is not None
    documents = sum(window.documents for window in work.windows)
    fitting = PAGE_BYTES * documents // max(1, source.primary_bytes)
    most = min(PAGE_DOCUMENTS, fitting, source.result_window)
    batches: dict[int, int] = {}
    for window in work.windows:  # the largest: one may have been halved where a node was busy
        batches[window.shard] = max(batches.get(window.shard, 1), window.batch)
    halved = min(work.job.attempts, 10)
    whole = work.limits.batch_documents
    usual = max(batches.values(), default=1)  # of a shard without windows of its own
    found = {n: batches.get(n, usual) for n in range(source.shards)}
    pages = {n: batch if batch < whole else BATCHES * batch for n, batch in found.items()}
    return {n: max(1, min(most, page) >> halved) for n, page in pages.items()}


async def hidden_vectors(source: IndexState, cluster: Cluster) -> bool:
    """True where `_source` may leave vectors out (9.2 and newer)."""
    if not has_type(source.mappings, _VECTORS):
        return False
    return (await cluster.nodes.versions(REMEMBERED_SECONDS))[0].parts >= (9, 2)


def sums_up(source: IndexState, target: IndexState, *, vectors: bool) -> bool:
    """False where equal documents may be written otherwise, or where reading the target in the
    order of its sequence numbers is slow (new indices of these modes have no points of them in 9.4)
    or refused."""
    slow = {"logsdb", "time_series"} & {source.mode, target.mode}
    return not (vectors or slow or hides_seq_nos(target.settings))


def comparable(operation: Operation, source: IndexState) -> bool:
    """False where a new mode makes other documents of them: it puts `_source` together anew, or
    makes the ids itself."""
    return operation.mode not in ("logsdb", "time_series") or operation.mode == source.mode
