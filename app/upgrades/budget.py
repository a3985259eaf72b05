"""Room on the disks: before an operation, and while it copies."""

from __future__ import annotations

import math
from collections.abc import Sequence

from app.domain import index_settings
from app.domain.disk import Demand, overfull, shortage
from app.domain.errors import AnswerMisread, ClusterRefused
from app.domain.operation import Operation
from app.domain.windows import Window
from app.elastic.answers import IndexState, ShardStats
from app.elastic.cluster import Cluster
from app.elastic.connection import REMEMBERED_SECONDS
from app.jobs.phases import Work

NOT_TOLD = (ClusterRefused, AnswerMisread)
"""Our user may not ask, or the cluster words it otherwise: it looks after its disks itself."""


def demand_of(state: IndexState, primaries: Sequence[int]) -> Demand:
    """What a new index of that make needs, with the bytes of each primary."""
    tiers = state.settings.get(index_settings.TIER)
    return Demand(primaries=primaries, replicas=state.replicas, tiers=tiers)


async def no_room_for(
    state: IndexState, shards: dict[int, ShardStats], cluster: Cluster
) -> str | None:
    """Why an operation is not begun yet, or None. One that does not tell its size is let in."""
    demand = demand_of(state, [shard.size for shard in shards.values()])
    if not demand.primary_bytes:
        return None
    try:
        if shortage(demand, await cluster.nodes.capacity(REMEMBERED_SECONDS)) is None:
            return None
        return shortage(demand, await cluster.nodes.capacity())  # there may be room again
    except NOT_TOLD:
        return None


async def no_room_to_go_on(
    work: Work[Operation], windows: Sequence[Window], cluster: Cluster
) -> str | None:
    """Why no more of `windows` is copied now, or None."""
    wanted = _bytes_of(work, windows)
    if not wanted:
        return None
    try:
        capacity = await cluster.nodes.capacity()
        if not capacity.checked:
            return None
        nodes = await cluster.shards.primary_nodes(work.job.new_index_name)
    except NOT_TOLD:
        return None
    return overfull(nodes, wanted, capacity)


def _bytes_of(work: Work[Operation], windows: Sequence[Window]) -> int:
    """What these windows take on disk, judged by the whole source; at least one byte of it."""
    source, total = work.job.source, sum(window.documents for window in work.windows)
    if source is None or not source.primary_bytes or not total:
        return 0
    return math.ceil(source.primary_bytes * sum(w.documents for w in windows) / total)


async def shards_that_tell(state: IndexState | None, cluster: Cluster) -> dict[int, ShardStats]:
    """The primaries' sizes; nothing where a block or the closed state forbids to look."""
    if state is None or state.closed or "index.blocks.metadata" in state.blocks:
        return {}
    try:
        return await cluster.shards.stats(state.index_name)
    except ClusterRefused:  # it was closed, blocked or removed in this moment
        return {}
