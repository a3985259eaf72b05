"""The source stands still once everything is prepared: first waited for, then blocked."""

from __future__ import annotations

from app.domain import clock
from app.domain.holds import HoldCause
from app.domain.operation import Changes, Operation
from app.elastic.answers import IndexState
from app.elastic.cluster import Cluster
from app.jobs.phases import Again, Done, Hold, Outcome, Work
from app.upgrades.before_block import Case, before_block, has_nodes
from app.upgrades.steps.guard import block_source
from app.upgrades.steps.identity import observe, source_in
from app.upgrades.steps.prepare import flooded, record, used_indices
from app.upgrades.steps.target import begin_anew


async def wait_to_block(work: Work[Operation], cluster: Cluster) -> Outcome:
    """Waits with writes open until the source may be blocked, and records it anew: it was in use
    since it was recorded, or was parked."""
    operation = work.job
    assert operation.source is not None
    looked = await observe(operation.pair, cluster)
    state = source_in(looked, operation.pair)
    if hold := flooded(state):
        return hold
    target = looked.get(operation.new_index_name)
    if target is None or target.uuid != operation.target_uuid:
        return await begin_anew(work, "its new index was removed while it waited", cluster)
    case = Case(work, state, target, cluster)
    waits = await has_nodes(case) or await before_block(case)
    if isinstance(waits, Hold):
        return waits
    changes: Changes = {
        "source": await record(state, cluster, operation.source.primary_bytes),
        "source_writable": False,
        "writes_blocked_since": clock.now(),
    }
    return Done(changes, notes=waits, uses=used_indices(operation))


async def write_block(work: Work[Operation], cluster: Cluster) -> Outcome:
    """Blocks writes without a writable gap, opens a closed source, and reads how far it goes."""
    operation = work.job
    state = source_in(await observe(operation.pair, cluster), operation.pair)
    if hold := flooded(state):
        return hold
    await block_source(state, cluster)
    state = source_in(await cluster.indices.look(operation.source_name), operation.pair)
    if state.closed:
        await cluster.indices.open(operation.source_name)
        return Again(after=0.05)
    if not state.write_blocked or set(state.blocks) - {"index.blocks.write"}:
        return Hold(HoldCause.NOT_SEEN, f"the write block of {state.name} is not in force yet")
    return await _stand_still(work, state, cluster)


async def _stand_still(work: Work[Operation], state: IndexState, cluster: Cluster) -> Outcome:
    """Refreshes, for a source with refresh -1 would copy nothing, and notes where it ends."""
    operation = work.job
    refreshed = await cluster.indices.refresh(state.index_name)
    primaries = await cluster.shards.stats(state.index_name)
    missing = [n for n in range(state.shards) if n not in primaries]
    if missing or refreshed.failed or refreshed.successful < state.shards:
        text = f"shard {missing or 'copies'} of {state.name} is not active"
        return Hold(HoldCause.SHARDS_AWAY, text, retry_after=0.2)
    ends = [primaries[n].max_seq_no for n in range(state.shards)]
    if operation.source_seq_nos not in (None, ends):
        return await begin_anew(work, f"{state.name} was written to while parked", cluster)
    return Done({"source_seq_nos": ends})
