"""The way back before the swap: our tasks end, our target goes, the source is as it was found."""

from __future__ import annotations

from app.copying import tasks
from app.domain.errors import ClusterRefused
from app.domain.events import EventKind, Note
from app.domain.holds import HoldCause
from app.domain.job import Goal
from app.domain.operation import Changes, Operation
from app.domain.windows import WindowState
from app.elastic.answers import Looked
from app.elastic.cluster import Cluster
from app.jobs.phases import Again, Done, Hold, Outcome, Work
from app.upgrades.steps.guard import kept_note, remove_target
from app.upgrades.steps.identity import is_swapped, named, observe
from app.upgrades.steps.positions import AFTER_THE_SWAP
from app.upgrades.steps.swap import swapped


async def end_tasks(work: Work[Operation], cluster: Cluster) -> Outcome:
    """Cancels our copy tasks and waits until they are seen to have ended.

    A running `_reindex` would make a deleted target again. Where the swap turns out to be done
    there is nothing to undo: the operation goes on to its end.
    """
    operation = work.job
    if operation.source is None:  # nothing was sent; also for a user who may not even look
        return Done()
    if is_swapped(await observe(operation.pair, cluster), operation):
        return _forward(work)
    found = await tasks.look_for(operation, work.windows, cluster)
    if await tasks.end(found.running, cluster):
        return Again(after=0.1)
    if reason := await tasks.still_to_come(work, found, cluster):
        return Hold(HoldCause.TASK_RUNNING, reason, retry_after=0.5)
    return Done(
        tasks.forget(operation, found.away),
        windows=[w.to_run_again() for w in work.windows if w.state is WindowState.RUNNING],
    )


def _forward(work: Work[Operation]) -> Again:
    changes: Changes = {
        "goal": Goal.FINISH,
        "position_back": "",
        "error_code": None,
        "error_message": None,
        "failure": None,
        **AFTER_THE_SWAP,
        **swapped(work),
    }
    return Again(changes, notes=[Note(what=EventKind.SWAP_FOUND_DONE, index=work.job.source_name)])


async def drop_target(work: Work[Operation], cluster: Cluster) -> Outcome:
    """Removes the target, guarded by the intact source; kept where a person is to look at it.

    A swap that was on its way when the tasks were ended may have been done since.
    """
    operation = work.job
    if operation.source is None:
        return Done()
    if operation.keep_target:
        return await _leave(operation, cluster)
    looked = await observe(operation.pair, cluster)
    if is_swapped(looked, operation):
        return _forward(work)
    if served := await _served(operation, looked, cluster):
        left = await _leave(operation, cluster)
        return Done(notes=[*left.notes, served]) if isinstance(left, Done) else left
    if (await tasks.look_for(operation, work.windows, cluster)).running:  # come back with its node
        return Again({"position_back": ""})
    if hold := await remove_target(operation.pair, operation.target_uuid, cluster):
        return hold
    looked = await observe(operation.pair, cluster)
    target = looked.get(operation.new_index_name)
    ours = target is not None and target.uuid == operation.target_uuid
    if target is None or not (ours or target.stamp == operation.id):
        return Done()
    source = looked.get(operation.source_name)
    if source is not None and source.uuid == operation.source.uuid:
        return Hold(HoldCause.NOT_SEEN, f"the target {target.name} is still there")
    left = await _leave(operation, cluster)
    return (
        Done(notes=[*left.notes, kept_note(operation.pair, operation.new_index_name)])
        if isinstance(left, Done)
        else left
    )


async def _served(operation: Operation, looked: Looked, cluster: Cluster) -> Note | None:
    """That the target stays, for others have to do with it: it lost its stamp and is not just what
    was proven. So it is where the database was restored and knows less than was done."""
    target = looked.get(operation.new_index_name)
    if target is None or target.uuid != operation.target_uuid or target.stamp is not None:
        return None
    proven = operation.proof.target_seq_nos if operation.proof else None
    if proven and not named(target.aliases):
        stats = await cluster.shards.stats(target.index_name)
        if [stats[n].max_seq_no for n in sorted(stats)] == proven:
            return None
    text = "it is in use, or was written to, so it stays; remove it by hand if nobody needs it"
    return Note(what=EventKind.TARGET_KEPT, index=target.name, text=text)


async def take_marker(work: Work[Operation], cluster: Cluster) -> Outcome:
    """Before the source takes writes again: a swap that is still on its way comes to nothing."""
    return await _leave(work.job, cluster)


async def _leave(operation: Operation, cluster: Cluster) -> Outcome:
    """A target that stays goes without our marker, which a swap that came to nothing put on."""
    looked = await cluster.indices.look(operation.new_index_name)
    target = looked.get(operation.new_index_name)
    if target is None or operation.marker not in target.aliases:
        return Done()
    try:
        await cluster.aliases.take(operation.new_index_name, [operation.marker])
    except ClusterRefused as error:  # somebody blocked it: no reason to wait
        return Done(notes=[Note(what=EventKind.MARKER_LEFT, index=target.name, text=error.message)])
    return Again()
