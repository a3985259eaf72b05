"""The target is there, ours, and as the source that now stands still."""

from __future__ import annotations

from app.domain.holds import HoldCause
from app.domain.operation import Operation
from app.elastic.answers import Looked
from app.elastic.cluster import Cluster
from app.jobs.phases import Done, Hold, Outcome, Work
from app.upgrades.alias_filters import refuse_filters
from app.upgrades.steps.identity import blocked_source_in, look
from app.upgrades.steps.target import differences, ensure_target, make_again


async def create_target(work: Work[Operation], cluster: Cluster) -> Outcome:
    """Takes the target of the trial before the write block, if nothing has changed since.

    A document that was written between the trial and the block may have added a field: then the
    empty target is removed, guarded, and made once more.
    """
    operation = work.job
    looked = await ensure_target(
        operation.pair, await look(operation.pair, cluster, mappings=True), cluster
    )
    if not isinstance(looked, Looked):
        return looked
    source, target = blocked_source_in(looked, operation.pair), looked[operation.new_index_name]
    if faults := differences(source, target, operation.mode):
        return await make_again(operation.pair, source, target, faults, cluster)
    if operation.source and "index.blocks.metadata" in operation.source.blocks:
        await refuse_filters(source, target, cluster)  # nobody could look before
    if len(await cluster.shards.stats(target.index_name)) < target.shards:
        return Hold(HoldCause.SHARDS_AWAY, f"the primaries of {target.name} are not active", 0.1)
    return Done({"target_uuid": target.uuid})
