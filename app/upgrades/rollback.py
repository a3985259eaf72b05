"""Asking for the way back to a kept copy, and why it cannot be gone, or not without force."""

from __future__ import annotations

from app.domain import clock
from app.domain.errors import CannotRollBack, OutOfReach, UnknownOperation
from app.domain.job import Goal, Status
from app.domain.operation import Operation
from app.domain.reach import EVERYTHING, Reach
from app.elastic.answers import Looked
from app.elastic.cluster import ClusterView
from app.jobs.term import WakeUps
from app.store.store import Store
from app.telemetry import logger
from app.upgrades.admission import Surroundings
from app.upgrades.caller_privileges import CallerPrivileges
from app.upgrades.steps.identity import observe

log = logger(__name__)


def objection_of_record(operation: Operation) -> CannotRollBack | None:
    """What our own record speaks against it."""
    if operation.status is not Status.COMPLETED:
        return CannotRollBack(
            "not_completed",
            "Only a completed operation can be rolled back; before the swap it can be cancelled.",
        )
    if operation.kept is None:
        return CannotRollBack(
            "no_kept_copy",
            f"The old index of {operation.index_name} was not kept: it was posted without "
            "keepOldIndex.",
        )
    until = operation.kept_until
    if until is None or clock.reached(until, operation.updated_at):
        return CannotRollBack(
            "kept_copy_expired", f"The time of the kept copy {operation.kept.name} is over."
        )
    return None


def objection_of_reach(operation: Operation) -> CannotRollBack | None:
    """What speaks against it in who has asked for it; looked at when the worker begins with it."""
    if operation.reach.covers_pair(operation):
        return None
    return CannotRollBack(
        OutOfReach.code,
        f"Who asked for the rollback of {operation.index_name} may not work on all of its indices.",
    )


def objection_of_indices(operation: Operation, looked: Looked) -> CannotRollBack | None:
    """What the cluster's state speaks against it, forced or not. An index beyond the reach of who
    asks is not named."""
    assert operation.kept is not None
    name, target, kept = operation.index_name, operation.new_index_name, operation.kept
    copy = looked.get(kept.name)
    if copy is None or copy.uuid != kept.uuid:
        return CannotRollBack("kept_copy_gone", f"The kept copy {kept.name} is not there any more.")
    found = looked.get(target)
    if found is None or found.uuid != operation.target_uuid:
        return CannotRollBack(
            "target_gone",
            f"The new index {target} is not there any more, or another has its name. Its aliases "
            f"went with it; to search the old documents give {kept.name} the aliases it should "
            "have by POST _aliases.",
        )
    holders = [name] if name in looked else looked.holders(name)
    if holders != [target]:
        where = f"an alias of {operation.reach.shown(holders)}" if holders else "nothing"
        return CannotRollBack(
            "name_moved",
            f"{name} is {'an index' if name in looked else where} now, not the alias of {target} "
            "that this operation left.",
        )
    return None


def objection_of_age(operation: Operation, looked: Looked, major: int) -> CannotRollBack | None:
    """A kept copy that the cluster would never let be written again; not asked where forced."""
    assert operation.kept is not None
    copy = looked[operation.kept.name]
    if copy.created_major > major - 2:
        return None
    return CannotRollBack(
        "read_only_for_good",
        f"The kept copy {copy.name} was made by Elasticsearch {copy.created_major}, and this "
        f"cluster of {major} never takes writes to it. Send force true to have it back for "
        "reading.",
    )


def objection_of_writes(operation: Operation, target_seq_nos: list[int]) -> CannotRollBack | None:
    """Documents that would be lost; not asked where forced."""
    assert operation.proof is not None
    if target_seq_nos == operation.proof.target_seq_nos:
        return None
    return CannotRollBack(
        "written_since",
        f"Documents were written to {operation.new_index_name} since the swap, which "
        "the kept copy does not have: they would be lost. Send force true to roll back all the "
        "same.",
    )


class Rollback:
    def __init__(
        self,
        store: Store,
        cluster: ClusterView,
        surroundings: Surroundings,
        wake_ups: WakeUps,
        caller_privileges: CallerPrivileges,
    ) -> None:
        self._store = store
        self._cluster = cluster
        self._surroundings = surroundings
        self._wake_ups = wake_ups
        self._caller_privileges = caller_privileges

    async def request(
        self,
        operation_id: str,
        caller: str,
        *,
        forced: bool,
        reach: Reach = EVERYTHING,
        credentials: str | None = None,
    ) -> Operation:
        """Lets the worker give the old name back to the kept copy, beside the queue.

        What can be known to be refused is refused here; the worker looks at all of it again. One
        that goes back, or has gone, is answered as it is. `reach` and `credentials`: of the caller.

        Raises `UnknownOperation`, `CannotRollBack`, `AlreadyInProgress`, `CallerLacksPrivileges`,
        `ClusterTrouble`.
        """
        operation = await self._store.operations.find(operation_id)
        if operation is None or not reach.covers_pair(operation):
            raise UnknownOperation(operation_id)
        if operation.goal is Goal.ROLL_BACK and operation.status is not Status.COMPLETED:
            return operation
        if fault := objection_of_record(operation):
            raise fault
        await self._caller_privileges.require(operation, credentials)
        asked = operation.model_copy(update={"allowed": reach.patterns})
        if fault := await self._fault(asked, forced=forced):
            raise fault
        woken = await self._store.kept_copies.request_rollback(
            operation, caller, forced=forced, reach=reach
        )
        self._wake_ups.wake()
        log.info("rollback_requested", operation=operation_id, index=operation.index_name)
        return woken

    async def _fault(self, operation: Operation, *, forced: bool) -> CannotRollBack | None:
        looked = await observe(operation.pair, self._cluster)
        fault = objection_of_indices(operation, looked)
        if fault or forced:
            return fault
        if fault := objection_of_age(operation, looked, await self._surroundings.one_major()):
            return fault
        target = looked[operation.new_index_name]
        if target.closed:  # 7.17 tells nothing of a closed one; the worker opens it to look
            return None
        stats = await self._cluster.shards.stats(target.index_name)
        return objection_of_writes(operation, [stats[n].max_seq_no for n in sorted(stats)])
