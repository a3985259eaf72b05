"""Cutting a source into windows."""

from __future__ import annotations

import math

from app.copying.weighing import weigh
from app.domain.operation import Operation
from app.domain.weights import OnDisk, batch_for
from app.domain.windows import Window, cut, cuts_needed, window_for
from app.elastic.answers import ShardStats
from app.elastic.cluster import Cluster
from app.jobs.phases import Work

MOST_WINDOWS = 2_000
"""Of an operation, about, for the sake of a low limit: each costs a row and a task."""
LEAST_DOCUMENTS = 2_000
"""Below which a window is not made smaller for the sake of a low limit."""


async def windows_of(
    work: Work[Operation], stats: dict[int, ShardStats], cluster: Cluster
) -> list[Window]:
    """Divides each shard's range of sequence numbers into windows of about the same size.

    The source stands still, so `_seq_no` is a stable coordinate. A shard without documents has no
    window.
    """
    operation, limits = work.job, work.limits
    most = min(limits.batch_documents, _result_window(operation))
    weights, budget = await weigh(work, stats, cluster)
    there = sum(shard.documents for shard in stats.values())
    windows: list[Window] = []
    parts = stats if operation.source and operation.source.sliced else _as_one(stats)
    for number in sorted(parts):
        shard = parts[number]
        if not shard.documents:
            continue
        json = weights.share(shard.documents, there) if weights else 0
        boundaries = await _boundaries(work, number, shard, json, cluster)
        batch = batch_for(OnDisk(shard.documents, shard.size), weights, budget, most)
        windows += cut(number, len(windows), shard.documents, boundaries, batch)
    return windows


def _as_one(stats: dict[int, ShardStats]) -> dict[int, ShardStats]:
    """All shards as if they were one: their sequence numbers are counted together."""
    return {
        0: ShardStats(
            documents=sum(shard.documents for shard in stats.values()),
            max_seq_no=max(shard.max_seq_no for shard in stats.values()),
            size=sum(shard.size for shard in stats.values()),
        )
    }


def _result_window(operation: Operation) -> int:
    """`source.size` must not be above the source's `index.max_result_window` (400 otherwise)."""
    assert operation.source is not None
    return operation.source.result_window


def _documents(most: int, there: int, work: Work[Operation]) -> int:
    """Of a window. A limited one is as long as others: what is stopped then loses little."""
    share = work.limit.share(work.limit.windows_planned)
    if share is None:
        return most
    least = max(LEAST_DOCUMENTS, there // MOST_WINDOWS)
    return min(most, max(least, int(share * work.limits.window_seconds)))


async def _boundaries(
    work: Work[Operation], shard: int, stats: ShardStats, json: int, cluster: Cluster
) -> list[int]:
    limits = work.limits
    source = work.job.source
    assert source is not None
    parts = source.shards if source.sliced else 1
    least = -(-work.limit.windows_planned // parts)
    most = window_for(stats.documents, stats.size, limits.window_documents, json)
    there = stats.documents * parts
    cuts = cuts_needed(stats.documents, _documents(most, there, work), least)
    if not cuts or not source.searchable_seq_nos:
        return []
    percents = [100 * (n + 1) / (cuts + 1) for n in range(cuts)]
    index = work.job.source_name
    only = shard if source.sliced else None
    estimated = await cluster.documents.percentiles_of_seq_no(index, only, percents)
    return [math.ceil(value) for value in estimated if math.isfinite(value)]
