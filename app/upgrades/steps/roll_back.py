"""The way back after the swap: the old name returns to the kept copy.

Until the one guarded call everything can be given up, and the operation stays completed; after it
the new index is gone.
"""

from __future__ import annotations

import asyncio

from app.domain import index_settings
from app.domain.errors import CannotRollBack, ClusterBusy, ClusterRefused, Failure
from app.domain.events import EventKind, Note
from app.domain.holds import HoldCause
from app.domain.operation import Operation
from app.elastic.answers import IndexState, Looked
from app.elastic.cluster import Cluster
from app.jobs.phases import Again, Done, Hold, Outcome, Work
from app.upgrades import rollback
from app.upgrades.steps.finish import HIDDEN, differing
from app.upgrades.steps.guard import block_source, give_back
from app.upgrades.steps.identity import named, observe

SHOWN_AFTER = 0.1


async def ready_kept(work: Work[Operation], cluster: Cluster) -> Outcome:
    """The kept copy gets the source's replicas; how the target is found is recorded."""
    operation = work.job
    assert operation.kept is not None
    assert operation.source is not None
    _refuse(rollback.objection_of_reach(operation))
    looked = await observe(operation.pair, cluster)
    if is_rolled_back(looked, operation):
        return Done()
    _refuse(rollback.objection_of_indices(operation, looked))
    copy, target = looked[operation.kept.name], looked[operation.new_index_name]
    if not operation.forced:
        major = (await cluster.nodes.versions())[0].major
        _refuse(rollback.objection_of_age(operation, looked, major))
    found = {"found_closed": target.closed, "found_blocks": target.set_blocks}
    if operation.kept != (kept := operation.kept.model_copy(update=found)):
        return Again({"kept": kept})
    overridden = [key for key in index_settings.KEPT if key != HIDDEN]
    wanted = index_settings.given_back_first(operation.source.settings, overridden)
    if changes := differing(copy, wanted):
        before = {key: copy.settings.get(key) for key in changes}
        await cluster.indices.put_settings(copy.index_name, changes, before)
        return Again(after=SHOWN_AFTER)
    return await _as_safe(copy, target, operation, cluster)


async def _as_safe(
    copy: IndexState, target: IndexState, operation: Operation, cluster: Cluster
) -> Outcome:
    """Waits until the kept copy is active as often as the target is, or as the source was."""
    assert operation.source is not None
    active, now = await asyncio.gather(
        cluster.shards.active_copies(copy.index_name),
        cluster.shards.active_copies(target.index_name),
    )
    least = min(operation.source.active_copies, max(now, copy.shards))
    if active < least:
        return Hold(
            HoldCause.COPIES_AWAY,
            f"{copy.name} has {active} of {least} shard copies active",
            SHOWN_AFTER,
        )
    return Done()


async def swap_back(work: Work[Operation], cluster: Cluster) -> Outcome:
    """One guarded call: every alias to the kept copy, the target removed.

    The target takes no writes from before the last look at its sequence numbers, so none gets lost
    unseen. Whatever comes in between, it is given back as it was found.
    """
    operation = work.job
    if is_rolled_back(await observe(operation.pair, cluster), operation):
        return _back(operation)
    try:
        return await _swap_back(operation, cluster)
    except Exception:
        await _give_back_target(operation, cluster)
        raise


async def _swap_back(operation: Operation, cluster: Cluster) -> Outcome:
    assert operation.kept is not None
    looked = await observe(operation.pair, cluster)
    _refuse(rollback.objection_of_indices(operation, looked))
    target = looked[operation.new_index_name]
    await _refuse_unless_intact(operation, cluster)
    await block_source(target, cluster)
    if target.closed:
        await cluster.indices.open(target.index_name)
        return Again(after=SHOWN_AFTER)
    stats = await cluster.shards.stats(target.index_name)
    if len(stats) < target.shards:
        return Hold(
            HoldCause.SHARDS_AWAY, f"not all primaries of {target.name} are active", SHOWN_AFTER
        )
    if not operation.forced:
        seq_nos = [stats[n].max_seq_no for n in range(target.shards)]
        _refuse(rollback.objection_of_writes(operation, seq_nos))
    if operation.marker not in looked[operation.kept.name].aliases:
        await cluster.aliases.put_marker(operation.kept.name, operation.marker)
    present = await cluster.aliases.properties(target.index_name)
    _refuse(rollback.objection_of_indices(operation, await observe(operation.pair, cluster)))
    await _refuse_unless_intact(operation, cluster)
    return await _send(operation, {name: present[name] for name in named(present)}, cluster)


async def _refuse_unless_intact(operation: Operation, cluster: Cluster) -> None:
    """The kept copy as it was proven. Raises `ClusterBusy` where a primary of it is away, `Failure`
    where documents were written to it."""
    kept = operation.kept
    assert kept is not None
    assert operation.source is not None
    stats = await cluster.shards.stats(kept.name)
    if len(stats) < operation.source.shards:
        raise ClusterBusy(f"Not every primary of the kept copy {kept.name} is active.")
    seq_nos = [stats[n].max_seq_no for n in sorted(stats)]
    if kept.seq_nos not in (None, seq_nos) and not operation.forced:
        raise Failure(
            "kept_copy_differs",
            f"Documents were written to the kept copy {kept.name} since it was made. Roll back "
            "with force to have them, too.",
        )


async def _send(
    operation: Operation, aliases: dict[str, dict[str, object]], cluster: Cluster
) -> Outcome:
    """The call itself. Refused or not, the cluster is asked what became of it."""
    assert operation.kept is not None
    refused: ClusterRefused | None = None
    try:
        await cluster.aliases.remove_guarded(
            operation.new_index_name, operation.kept.name, operation.marker, aliases
        )
    except ClusterRefused as error:
        refused = error
    if is_rolled_back(await observe(operation.pair, cluster), operation):
        return _back(operation)
    if refused:
        raise refused
    return Hold(
        HoldCause.NOT_SEEN, "the swap back was accepted but is not in the cluster state yet"
    )


def _back(operation: Operation) -> Done:
    assert operation.kept is not None
    note = Note(
        what=EventKind.NAME_GIVEN_BACK,
        index=operation.index_name,
        before=operation.new_index_name,
        after=operation.kept.name,
    )
    return Done({"kept_until": None}, notes=[note])


async def _give_back_target(operation: Operation, cluster: Cluster) -> None:
    """Closed state and blocks of the target as they were before the rollback.

    The marker goes first: a call that is still on its way comes to nothing without it.
    """
    kept = operation.kept
    assert kept is not None
    for _ in range(4):
        looked = await observe(operation.pair, cluster)
        copy, target = looked.get(kept.name), looked.get(operation.new_index_name)
        if copy is not None and operation.marker in copy.aliases:
            await cluster.aliases.take(kept.name, [operation.marker])
            continue
        if target is None or target.uuid != operation.target_uuid or kept.found_blocks is None:
            return
        outcome = await give_back(target, kept.found_blocks, cluster, closed=kept.found_closed)
        if isinstance(outcome, Done):
            return


async def restore_kept(work: Work[Operation], cluster: Cluster) -> Outcome:
    """The kept copy is now the index, in the state the source was found in."""
    operation = work.job
    assert operation.kept is not None
    assert operation.source is not None
    copy = (await observe(operation.pair, cluster)).get(operation.kept.name)
    if copy is None or copy.uuid != operation.kept.uuid:
        return Done(notes=[Note(what=EventKind.WARNING, text=f"{operation.kept.name} was removed")])
    wanted: dict[str, str | None] = {
        HIDDEN: operation.source.settings.get(HIDDEN),
        index_settings.STAMP: None,
        **index_settings.given_back_last(operation.source.settings),
        **operation.source.lifecycle,
    }
    before = {key: copy.settings.get(key) for key in wanted}
    if before != wanted:
        await cluster.indices.put_settings(copy.index_name, wanted, before)
        return Again()
    return await give_back(copy, operation.source.blocks, cluster, closed=operation.source.closed)


def is_rolled_back(looked: Looked, operation: Operation) -> bool:
    """True where the old name is on the kept copy and the target is gone, seen by UUID."""
    assert operation.kept is not None
    copy = looked.get(operation.kept.name)
    if copy is None or copy.uuid != operation.kept.uuid:
        return False
    gone = all(state.uuid != operation.target_uuid for state in looked.values())
    return gone and looked.holders(operation.index_name) == [copy.name]


def _refuse(fault: CannotRollBack | None) -> None:
    if fault:
        raise Failure(fault.code, fault.message)
