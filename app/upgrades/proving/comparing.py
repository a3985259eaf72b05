"""Comparing documents of both sides: pages of them, some taken at random, in words."""

from __future__ import annotations

import asyncio
import json
import math
import random
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from typing import Any, cast

from app.domain.errors import AnswerTooLarge, DocumentsDiffer
from app.domain.failure import MOST_DOCUMENTS as MOST_FAILED
from app.domain.failure import FailedDocument, counted
from app.domain.index_settings import has_type, hides_seq_nos
from app.domain.names import IndexName
from app.domain.operation import Operation
from app.elastic.answers import Document, IndexState, ShardStats
from app.elastic.cluster import Cluster
from app.elastic.connection import REMEMBERED_SECONDS
from app.elastic.documents import EVERYTHING
from app.jobs.phases import Work

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


ROUNDING = 1e-6
"""A few of the smallest steps of a 32-bit floating-point number."""
MISSING, DIFFERS = "missing", "differs"


@dataclass(frozen=True)
class Measure:
    """What must be the same. `versions` False: Elasticsearch counts them itself (a time series).

    `vectors`: they are kept apart from `_source` and put into it again (9.2 and newer). Those of
    similarity `cosine` are kept at length 1, so that each copy may round them differently (9.4).
    """

    versions: bool
    vectors: bool


def document_differences(
    source: Sequence[Document], target: Sequence[Document], measure: Measure
) -> list[FailedDocument]:
    """The documents of `source` that `target` lacks or has otherwise."""
    found = {(document.id, document.routing): document for document in target}
    faults: list[FailedDocument] = []
    for document in source:
        other = found.get((document.id, document.routing))
        words = [] if other is None else list(_differing(document, other, measure))
        if other is None or words:
            kind, reason = (DIFFERS, ", ".join(words)) if words else (MISSING, MISSING)
            faults.append(FailedDocument.of(document.id, kind, reason, document.routing))
    return faults


def refuse_copy(operation: Operation, faults: Sequence[FailedDocument]) -> None:
    """Raises the `DocumentsDiffer` with the first of `faults`, if there are any. Its sentence says
    how many they are, and no id."""
    if not faults:
        return
    counts = counted(fault.type for fault in faults)
    missing, differ = counts.get(MISSING, 0), counts.get(DIFFERS, 0)
    words = [f"{missing} {'is' if missing == 1 else 'are'} missing"] if missing else []
    words += [f"{differ} {'differs' if differ == 1 else 'differ'}"] if differ else []
    raise DocumentsDiffer(
        f"Documents in {operation.new_index_name} are not as in {operation.source_name}, though "
        f"their number is the same: of those that were compared {' and '.join(words)}. Both "
        f"indices were kept: {operation.source_name} is as before. Look at both, then post the "
        "index again.",
        faults[:MOST_FAILED],
        counts,
    )


def _differing(left: Document, right: Document, measure: Measure) -> Iterator[str]:
    if measure.versions and left.version != right.version:
        yield f"_version {left.version} → {right.version}"
    if left.source != right.source and not _same(left.source, right.source, measure):
        yield "_source"


def _same(left: bytes, right: bytes, measure: Measure) -> bool:
    """Whether they are the same JSON, written otherwise."""
    try:
        one, other = json.loads(left), json.loads(right)
        return _canonical(one) == _canonical(other) or (measure.vectors and _alike(one, other))
    except (RecursionError, ValueError):  # nested too deeply, a number of too many digits
        return False


def _canonical(source: Any) -> str:
    """The same for the same JSON; as Python values 1, 1.0 and true would be equal."""
    return json.dumps(source, sort_keys=True)


def _alike(left: Any, right: Any) -> bool:
    """The same but for the rounding of vectors: lists of floating-point numbers."""
    if isinstance(left, dict) and isinstance(right, dict):
        one, other = cast(dict[str, Any], left), cast(dict[str, Any], right)
        return one.keys() == other.keys() and all(_alike(one[key], other[key]) for key in one)
    if isinstance(left, list) and isinstance(right, list):
        pairs = list(zip_longest(cast(list[Any], left), cast(list[Any], right)))
        if all(isinstance(a, float) and isinstance(b, float) for a, b in pairs):
            return all(math.isclose(a, b, rel_tol=ROUNDING) for a, b in pairs)
        return all(_alike(a, b) for a, b in pairs)
    return _canonical(left) == _canonical(right)


MOST_DOCUMENTS = 1_000
MOST_SECONDS = 2.0
PAGE = 100
AT_ONCE = 2

_chance = random.SystemRandom()


async def compare_sample(work: Work[Operation], shards: dict[int, ShardStats], pages: Pages) -> int:
    """How many documents were compared. Raises `DocumentsDiffer`."""
    source = work.job.source
    assert source is not None
    most = min(MOST_DOCUMENTS, sum(stats.documents for stats in shards.values()))
    until, compared = time.monotonic() + MOST_SECONDS, 0
    while compared < most and time.monotonic() < until:
        if source.searchable_seq_nos:
            places = [_somewhere(shards) for _ in range(AT_ONCE)]
        else:
            places = [None] * AT_ONCE
        name = work.job.source_name
        found = await asyncio.gather(*(_page(name, place, shards, pages) for place in places))
        for page, other in found:
            refuse_copy(work.job, document_differences(page, other, pages.measure))
            compared += len(page)
    return compared


def _somewhere(shards: dict[int, ShardStats]) -> Place:
    """A place in a shard; the more documents a shard has, the more often."""
    weights = [shards[n].documents for n in shards]
    (shard,) = _chance.choices(list(shards), weights)
    return Place(shard, _chance.randint(0, max(0, shards[shard].max_seq_no)))


async def _page(
    source: IndexName, place: Place | None, shards: dict[int, ShardStats], pages: Pages
) -> tuple[list[Document], list[Document]]:
    if place is None:
        page = await pages.at_random(PAGE)
        shard = None
    else:
        stats, shard = shards[place.shard], place.shard
        size = min(PAGE, pages.size(shard))
        span = max(size, size * (stats.max_seq_no + 1) // max(1, stats.documents))
        page, _ = await pages.between(source, place, span)
        page = page[:size]
    return page, await pages.of_target(page, shard) if page else []
