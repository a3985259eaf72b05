"""A target whose primary is lost for good is made again from the intact source.

The node that had it is gone, or its disk. Nothing else can be done for it but to copy again.
"""

from __future__ import annotations

from dataclasses import replace

from app.domain import clock
from app.domain.formatting import duration_text
from app.domain.holds import HoldCause
from app.domain.job import Goal
from app.domain.operation import Operation, Step
from app.elastic.cluster import Cluster
from app.jobs.phases import Hold, Outcome, Work
from app.upgrades.steps.identity import observe
from app.upgrades.steps.target import begin_anew

LOOKED_AFTER = 2.0
"""Seconds that an operation must have held before it is asked: a new shard takes a moment."""


def may_be(operation: Operation) -> bool:
    """True where a hold may be for a lost target, and making it again is safe.

    Not once the swap is next: it may be done already. A target that is lost then leads back to
    the proof by itself.
    """
    return (
        operation.goal is Goal.FINISH
        and operation.last_completed_step < Step.INDEX_SETTINGS_RESTORED
        and operation.target_uuid is not None
        and operation.hold_since is not None
        and clock.elapsed(operation.hold_since) > LOOKED_AFTER
    )


async def instead_of(hold: Hold, work: Work[Operation], cluster: Cluster) -> Outcome:
    """`hold` itself, or what is to be done about a lost target.

    Elasticsearch says of a node that is only away, too, that the copy is gone: so it has to say
    so for a while.
    """
    operation, limits = work.job, work.limits
    lost = await _lost(operation, cluster)
    if lost is None:
        known = operation.lost_since is not None
        return replace(hold, changes={**hold.changes, "lost_since": None}) if known else hold
    since = operation.lost_since or clock.now()
    changes = {**hold.changes, "lost_since": since}
    if clock.left(since, limits.lost_seconds):
        patience = duration_text(limits.lost_seconds)
        reason = f"{lost} If it is not back within {patience}, the copy begins anew."
        return replace(hold, cause=HoldCause.TARGET_LOST, reason=reason, changes=changes)
    if not await _intact(operation, cluster):
        reason = f"{lost} It is not made again: {operation.source_name} is not intact either."
        return replace(hold, cause=HoldCause.TARGET_LOST, reason=reason, changes=changes)
    outcome = await begin_anew(work, lost, cluster)
    if isinstance(outcome, Hold):
        reason = f"{lost} It is not made again yet: {outcome.reason}."
        return replace(hold, cause=HoldCause.TARGET_LOST, reason=reason, changes=changes)
    return outcome


async def _lost(operation: Operation, cluster: Cluster) -> str | None:
    """A sentence where a primary of the target is lost, None where all are there or may come."""
    target = (await observe(operation.pair, cluster)).get(operation.new_index_name)
    if target is None or target.uuid != operation.target_uuid or target.closed:
        return None
    active = await cluster.shards.stats(target.index_name)
    for shard in range(target.shards):
        if shard not in active and (
            said := await cluster.shards.lost_for_good(target.index_name, shard)
        ):
            return f"Primary {shard} of {target.name} is lost ({said.rstrip('.')})."
    return None


async def _intact(operation: Operation, cluster: Cluster) -> bool:
    """Is the source the one that was recorded, with every primary, as far as it went?"""
    assert operation.source is not None
    source = (await observe(operation.pair, cluster)).get(operation.source_name)
    if source is None or source.uuid != operation.source.uuid or source.closed:
        return False
    stats = await cluster.shards.stats(source.index_name)
    ends = [stats[n].max_seq_no for n in sorted(stats)]
    return len(ends) == source.shards and operation.source_seq_nos in (None, ends)
