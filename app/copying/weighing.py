"""What the documents of a source weigh, judged by some of them.

The size on disk tells little: 400 kB of log lines are 4 kB there, and a source that is put together
from its fields is not there at all. Documents are looked at a few at a time, so that a node does
not die of the look.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from app.domain.errors import AnswerTooLarge
from app.domain.operation import Operation
from app.domain.weights import HEAVIEST_BYTES, Budget, Weights, next_look, together
from app.elastic.answers import ShardStats
from app.elastic.cluster import Cluster
from app.elastic.connection import REMEMBERED_SECONDS
from app.elastic.documents import EVERYTHING
from app.jobs.phases import Work

HEAP_SECONDS = 60.0
"""So old may be what is known of the nodes' heaps."""
MANY_DOCUMENTS = 2_000_000
"""Of more, only those in some stretches are drawn from: each that may be drawn costs a moment."""
STRETCHES = 50
_SHOWS_VECTORS = (9, 2)


async def weigh(
    work: Work[Operation], stats: Mapping[int, ShardStats], cluster: Cluster
) -> tuple[Weights | None, Budget]:
    """What the documents weigh (None: that does not matter, or nothing can be seen), and how much a
    task may take at a time."""
    weights = await _weights(work, stats, cluster)
    heap = await cluster.nodes.smallest_heap(HEAP_SECONDS) if weights else None
    return weights, Budget.of(heap, work.limit.windows_planned * work.limit.copying)


async def _weights(
    work: Work[Operation], stats: Mapping[int, ShardStats], cluster: Cluster
) -> Weights | None:
    """All shards are looked at together: where the documents of one are heavier, it has its share
    of those that are seen."""
    source = work.job.source
    assert source is not None
    shards = [shard.on_disk for shard in stats.values()]
    if all(shard.negligible for shard in shards):
        return None
    whole = together(shards)
    stretched = source.searchable_seq_nos and whole.documents > MANY_DOCUMENTS
    query = _drawn(_stretches(stats) if stretched else EVERYTHING)
    vectors = (await cluster.nodes.versions(REMEMBERED_SECONDS))[0].parts >= _SHOWS_VECTORS
    seen: list[int] = []
    documents = whole.documents
    most = source.result_window
    while size := min(next_look(whole, seen), most):
        try:
            found = await cluster.documents.find(
                work.job.source_name, query, size, with_vectors=vectors
            )
        except AnswerTooLarge:
            if size == 1:
                seen.append(HEAVIEST_BYTES)
                break
            most = size // 4 or 1
            continue
        if not found.page:
            break
        documents = documents if stretched else found.total
        seen += [len(document.source) for document in found.page]
    return Weights.of(seen, documents) if seen else None


def _drawn(among: dict[str, Any]) -> dict[str, Any]:
    """A query that finds some of these at random."""
    return {"function_score": {"query": among, "random_score": {}, "boost_mode": "replace"}}


def _stretches(stats: Mapping[int, ShardStats]) -> dict[str, Any]:
    """A query for `MANY_DOCUMENTS`, about, in stretches that are spread over the shards."""
    documents = sum(shard.documents for shard in stats.values())
    last = max(shard.max_seq_no for shard in stats.values())
    length = max(1, last * MANY_DOCUMENTS // documents // STRETCHES)
    starts = [last * n // STRETCHES for n in range(STRETCHES)]
    ranges = [{"range": {"_seq_no": {"gte": n, "lt": n + length}}} for n in starts]
    return {"bool": {"filter": {"bool": {"should": ranges}}}}
