"""Steering operations, one by its id or all of a batch. Actions are
requested here; the worker takes them."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from app.domain.errors import (
    CallerLacksPrivileges,
    CannotCancel,
    ReindexQueueError,
    UnknownBatch,
    UnknownOperation,
    WrongState,
)
from app.domain.job import Action, Goal, Lane, Requested, Status, Verdict
from app.domain.operation import Operation
from app.domain.pace import NO_LIMIT, Scope
from app.domain.reach import EVERYTHING, Reach
from app.domain.request import ReindexRequest
from app.jobs.term import WakeUps
from app.jobs.verdicts import Objection, objection
from app.store.store import Store
from app.telemetry import logger
from app.upgrades.caller_privileges import CallerPrivileges
from app.upgrades.queue import Queue
from app.upgrades.rollback import Rollback

log = logger(__name__)

AT_ONCE = 8
"""Rollbacks of a batch that are looked at side by side: each asks the cluster."""

LETS_GO_ON = (Action.RESUME, Action.RETRY)
"""What leads to changes in the cluster, and so takes privileges there."""

_OVERTAKEN = Objection(Verdict.UNCHANGED, "The operation has changed meanwhile.")
_BACK_ALREADY = Objection(Verdict.UNCHANGED, "It has its old index back, or is about to.")


@dataclass(frozen=True)
class Steered:
    """An operation as it is afterwards, and what became of the action: None, or why not.

    `followed_by`: the operation that tries again in its place.
    """

    operation: Operation
    objection: Objection | None
    followed_by: str | None = None


@dataclass
class _Done:
    """`changed`: ids; `followers` and `objections` by id."""

    changed: set[str] = field(default_factory=set[str])
    followers: dict[str, str] = field(default_factory=dict[str, str])
    objections: dict[str, Objection] = field(default_factory=dict[str, Objection])


class Control:
    def __init__(
        self,
        store: Store,
        queue: Queue,
        rollback: Rollback,
        wake_ups: WakeUps,
        caller_privileges: CallerPrivileges,
    ) -> None:
        self._store = store
        self._queue = queue
        self._rollback = rollback
        self._wake_ups = wake_ups
        self._caller_privileges = caller_privileges

    async def one(
        self,
        action: Action,
        operation_id: str,
        caller: str,
        reach: Reach = EVERYTHING,
        credentials: str | None = None,
    ) -> Operation:
        """The operation after `action`; after a retry of one that had ended, that which follows it.

        `CANCEL` ends it without a swap, the source as it was found: at once where it has not
        begun. `PAUSE` puts it aside and frees the queue; what is copied stays, and so does the
        write block. `RESUME` lets it go on where it stopped, at its old place. `RETRY` begins anew
        with one that failed or was cancelled, as another operation at the queue's tail; one that
        waits for something tries again now. `reach` and `credentials`: of the caller; to let it go
        on takes the privileges that posting it takes, to stop it takes none of them.

        Raises `UnknownOperation`, `CannotCancel`, `WrongState`, `CallerLacksPrivileges`, and what a
        POST of it raises.
        """
        operation = await self._store.operations.find(operation_id)
        if operation is None or not reach.covers_pair(operation):
            raise UnknownOperation(operation_id)
        if against := objection(action, operation):
            if against.so_already:
                return operation
            raise _refused(action, against)
        if action is Action.RETRY and not operation.live:
            (request,) = await self._requests([operation])
            return await self._queue.start(
                request,
                caller,
                enqueue=operation.lane is Lane.QUEUE,
                pace=await self._store.paces.get(Scope.BATCH, operation.batch_id),
                reach=reach,
                credentials=credentials,
            )
        if action in LETS_GO_ON:
            await self._caller_privileges.require(operation, credentials)
        if operation_id not in await self._write(action, [operation], caller):
            raise _refused(action, _OVERTAKEN)
        self._wake_ups.wake()
        log.info(f"{action}_requested", operation=operation_id, index=operation.index_name)
        return await self._store.operations.load(operation_id)

    async def batch(
        self,
        action: Action,
        batch_id: str,
        caller: str,
        *,
        forced: bool = False,
        reach: Reach = EVERYTHING,
        credentials: str | None = None,
    ) -> tuple[list[Steered], int | None]:
        """The same for every operation of a batch to which it can be done; each with its answer.

        `forced`: of a rollback. `reach` and `credentials`: of the caller; what is beyond reach is
        left as it is, and is counted beside the answers (None where nothing can be).

        Raises `UnknownBatch`, also where all of it is beyond reach, `StoreTrouble`, and for a retry
        what a POST of a batch raises.
        """
        record = await self._store.batches.find(batch_id)
        whole = await self._store.operations.of_batch(batch_id)
        found = [operation for operation in whole if reach.covers_pair(operation)]
        if record is None or (whole and not found):
            raise UnknownBatch(batch_id)
        if action is Action.ROLL_BACK:
            done = await self._roll_back(found, caller, reach, credentials, forced=forced)
        else:
            done = await self._all(action, found, caller, reach, credentials)
        self._wake_ups.wake()
        log.info(f"{action}_requested", batch=batch_id, changed=len(done.changed))
        fresh = {
            operation.id: operation for operation in await self._store.operations.of_batch(batch_id)
        }
        steered = [
            Steered(
                fresh.get(operation.id, operation),
                None if operation.id in done.changed else _why(operation.id, done),
                done.followers.get(operation.id),
            )
            for operation in found
        ]
        return steered, len(whole) - len(found) if reach.limited else None

    async def _all(
        self,
        action: Action,
        found: Sequence[Operation],
        caller: str,
        reach: Reach,
        credentials: str | None,
    ) -> _Done:
        done = _Done()
        for operation in found:
            if against := objection(action, operation):
                done.objections[operation.id] = against
        willing = [operation for operation in found if operation.id not in done.objections]
        if action is Action.RETRY:
            ended = [operation for operation in willing if not operation.live]
            await self._begin_anew(ended, caller, done, reach, credentials)
            willing = [operation for operation in willing if operation.live]
        if action in LETS_GO_ON:
            lacking = await self._caller_privileges.missing_of(willing, credentials)
            for one in (one for one in willing if one.id in lacking):
                refused = CallerLacksPrivileges(one.index_name, lacking[one.id])
                done.objections[one.id] = Objection(Verdict.REFUSED, refused.message)
            willing = [operation for operation in willing if operation.id not in lacking]
        done.changed |= await self._write(action, willing, caller)
        return done

    async def _write(
        self, action: Action, operations: Sequence[Operation], caller: str
    ) -> set[str]:
        """Writes the requested action; the ids of those that it still came in time for."""
        ids, requested_actions = (
            [operation.id for operation in operations],
            self._store.requested_actions,
        )
        if action is Action.RESUME:
            return await requested_actions.resume(ids, caller)
        if action is Action.RETRY:
            return await requested_actions.leave(ids, Requested.RETRY, caller)
        if action is Action.CANCEL:
            requested, at_once = Requested.CANCEL, await requested_actions.end_waiting(ids, caller)
        else:
            requested, at_once = Requested.PAUSE, await requested_actions.pause_waiting(ids, caller)
        rest = [operation_id for operation_id in ids if operation_id not in at_once]
        return at_once | await requested_actions.leave(rest, requested, caller)

    async def _begin_anew(
        self,
        ended: Sequence[Operation],
        caller: str,
        done: _Done,
        reach: Reach,
        credentials: str | None,
    ) -> None:
        """Queues those that have ended again, as one batch."""
        if not ended:
            return
        pace = await self._store.paces.get(Scope.BATCH, ended[0].batch_id)
        requests = await self._requests(ended)
        batch = await self._queue.enqueue_batch(
            requests, caller, pace=pace, reach=reach, credentials=credentials
        )
        followers = {operation.index_name: operation.id for operation in batch.enqueued}
        faults = {refused.name: refused.error.message for refused in batch.refused}
        for operation in ended:
            if follower := followers.get(operation.index_name):
                done.changed.add(operation.id)
                done.followers[operation.id] = follower
            elif fault := faults.get(operation.index_name):
                done.objections[operation.id] = Objection(Verdict.REFUSED, fault)

    async def _requests(self, ended: Sequence[Operation]) -> list[ReindexRequest]:
        """What was asked for then, each with the pace that was set for it."""
        paces = await self._store.paces.get_all(Scope.OPERATION, [one.id for one in ended])
        return [replace(_request(one), pace=paces.get(one.id, NO_LIMIT)) for one in ended]

    async def _roll_back(
        self,
        found: Sequence[Operation],
        caller: str,
        reach: Reach,
        credentials: str | None,
        *,
        forced: bool,
    ) -> _Done:
        done, free = _Done(), asyncio.Semaphore(AT_ONCE)

        async def one(operation: Operation) -> None:
            if operation.goal is Goal.ROLL_BACK and operation.status is not Status.COMPLETED:
                done.objections[operation.id] = _BACK_ALREADY
                return
            try:
                async with free:
                    await self._rollback.request(
                        operation.id, caller, forced=forced, reach=reach, credentials=credentials
                    )
            except ReindexQueueError as error:
                done.objections[operation.id] = Objection(Verdict.REFUSED, error.message)
            else:
                done.changed.add(operation.id)

        await asyncio.gather(*map(one, found))
        return done


def _why(operation_id: str, done: _Done) -> Objection:
    return done.objections.get(operation_id, _OVERTAKEN)


def _refused(action: Action, against: Objection) -> ReindexQueueError:
    error = CannotCancel if action is Action.CANCEL else WrongState
    return error(against.message)


def _request(operation: Operation) -> ReindexRequest:
    """What was asked for then."""
    return ReindexRequest(
        operation.index_name,
        operation.new_index_name,
        operation.delete_old_index,
        operation.keeps_source,
        operation.mode,
        operation.kept is not None,
        operation.proof_level,
        operation.leaves_followers,
    )
