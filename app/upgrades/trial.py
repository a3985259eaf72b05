"""Trying a new index out: made empty, write-blocked and hidden, looked at, and removed, guarded."""

from __future__ import annotations

import asyncio

from app.domain.errors import ClusterBusy, Failure, IndexNotFound
from app.domain.job import Job
from app.domain.pair import Pair
from app.domain.trial import Attempt, Trial, TrialOutcome
from app.elastic.answers import IndexState, Looked
from app.elastic.cluster import Cluster
from app.jobs.phases import Hold
from app.upgrades.privileges import refuse_restriction
from app.upgrades.steps.foresee import refuse_documents, refuse_filters
from app.upgrades.steps.guard import NO_ALIASES, remove_target
from app.upgrades.steps.identity import observe
from app.upgrades.steps.target import ensure_target, refuse_target, target_differences

MOST_TURNS = 20
PAUSE_SECONDS = 0.1


async def try_out(job: Job, cluster: Cluster) -> Trial:
    """What becomes of the new index. A trial that was cut is begun anew: it knows its index by the
    stamp. The source gets nothing but the marker that guards the removal, which goes with it.

    Raises `IndexNotFound`, `ClusterTrouble`.
    """
    attempt = Attempt.model_validate(job.request)
    looked = await cluster.indices.look(attempt.source, attempt.target, mappings=True)
    source = looked.get(attempt.source)
    if source is None:
        raise IndexNotFound(attempt.source)
    if blocks := sorted(source.blocks.keys() & NO_ALIASES):
        return _not_tried(f"{source.name} has {blocks[0]}, under which nothing guards a removal")
    if attempt.target in looked and looked[attempt.target].stamp != job.id:
        return _not_tried(f"{attempt.target} exists, and is left alone")
    pair = _pair(job, attempt, source)
    try:
        return await _judge(pair, looked, cluster)
    finally:
        await _remove(pair, cluster)


async def _judge(pair: Pair, looked: Looked, cluster: Cluster) -> Trial:
    try:
        if await cluster.security.is_on():
            await refuse_restriction(pair.source_name, cluster)
        for _ in range(MOST_TURNS):
            ensured = await ensure_target(pair, looked, cluster, sealed=True)
            if isinstance(ensured, Looked):
                source, target = ensured[pair.source_name], ensured[pair.target_name]
                if faults := target_differences(source, target, pair.mode):
                    refuse_target(source, target, faults)
                await refuse_filters(source, target, cluster)
                await refuse_documents(source, target, cluster)
                return Trial(outcome=TrialOutcome.FITS)
            await asyncio.sleep(PAUSE_SECONDS)
            looked = await observe(pair, cluster, mappings=True)
    except Failure as error:
        return Trial(outcome=TrialOutcome.REFUSED, text=error.message)
    except ClusterBusy as error:  # the shard limit, perhaps
        return _not_tried(error.message)
    return _not_tried("the new index did not come into being in time")


def _not_tried(text: str) -> Trial:
    return Trial(outcome=TrialOutcome.NOT_TRIED, text=text)


async def tidy_up(job: Job, cluster: Cluster) -> None:
    """Removes what a trial may have left that nobody waits for any more."""
    attempt = Attempt.model_validate(job.request)
    source = (await cluster.indices.look(attempt.source)).get(attempt.source)
    if source is None:
        return
    await _remove(_pair(job, attempt, source), cluster)


def _pair(job: Job, attempt: Attempt, source: IndexState) -> Pair:
    return Pair(
        job.id,
        attempt.source,
        attempt.target,
        source_uuid=source.uuid,
        mode=attempt.mode,
        reach=job.reach,
    )


async def _remove(pair: Pair, cluster: Cluster) -> None:
    """The new index and the marker of its removal, if they are there.

    Raises `ClusterBusy` where it cannot be removed now (a snapshot): it is tried again.
    """
    left = await remove_target(pair, None, cluster)
    if isinstance(left, Hold):
        if left.cause.patience is None:
            raise ClusterBusy(left.reason)
        raise Failure("trial_left", f"{left.reason.rstrip('.')}. It is empty, remove it by hand.")
    looked = await observe(pair, cluster)
    source, target = looked.get(pair.source_name), looked.get(pair.target_name)
    if source is not None and pair.marker in source.aliases:
        await cluster.aliases.take(pair.source_name, [pair.marker])
    if target is not None and target.stamp == pair.job_id:
        raise Failure(
            "trial_left",
            f"{pair.source_name} was removed or replaced during the trial, so nothing guards "
            f"the removal of {target.name}: it is empty, remove it by hand.",
        )
