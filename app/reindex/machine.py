"""The machine: two ordered tables, and how an operation is walked through them.

Every turn takes the next entry, calls it, saves its outcome and announces it. The entries look
before they act and never save; a process killed anywhere goes on at the same entry.
"""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import partial

from app.domain.errors import (
    ClusterTrouble,
    DocumentsDiffer,
    Failure,
    LeaseLost,
    StoreTrouble,
    TaskCancelled,
)
from app.domain.operation import (
    LIVE,
    Again,
    Changes,
    Done,
    Goal,
    Hold,
    Limits,
    Note,
    Operation,
    Outcome,
    Status,
    Step,
    Wish,
    Work,
)
from app.domain.pace import UNLIMITED, Limit
from app.domain.texts import capped
from app.domain.windows import Window
from app.elastic.cluster import Cluster
from app.reindex import failures, lost_target
from app.reindex.announcements import Bell, Ear
from app.reindex.copying.halting import halt_before
from app.reindex.goals import (
    aside_notes,
    cleared,
    end_of_way,
    granted,
    not_back_yet,
    same_hold,
    stay_completed,
)
from app.reindex.pacing.governor import Governor
from app.reindex.steps.copy import copy, plan_copy
from app.reindex.steps.create_target import create_target
from app.reindex.steps.finish import finish
from app.reindex.steps.keep import drop_kept
from app.reindex.steps.prepare import prepare
from app.reindex.steps.restore_settings import restore_settings
from app.reindex.steps.roll_back import ready_kept, restore_kept, swap_back
from app.reindex.steps.source import restore_source
from app.reindex.steps.swap import swap
from app.reindex.steps.undo import drop_target, end_tasks
from app.reindex.steps.write_block import write_block
from app.store.operations import Operations
from app.store.role import Lease
from app.telemetry import logger

log = logger(__name__)

StepFunction = Callable[[Work, Cluster], Awaitable[Outcome]]

STEPS: dict[Step, StepFunction] = {
    Step.CREATED: write_block,
    Step.READONLY: create_target,
    Step.NEW_INDEX_CREATED: plan_copy,
    Step.REINDEX_STARTED: copy,
    Step.REINDEX_COMPLETED: restore_settings,
    Step.INDEX_SETTINGS_RESTORED: swap,
    Step.ALIAS_CREATED: finish,
}
"""What is done after each completed step, in order."""

JOINED = frozenset({Step.READONLY, Step.NEW_INDEX_CREATED})
"""Completed steps that need no save of their own: the next entry begins by looking, and what it
does may be done again. They are saved with its outcome. Before the swap there is a save, which
brings the latest wish with it."""

WAYS: dict[Goal, tuple[StepFunction, ...]] = {
    Goal.FAIL: (end_tasks, drop_target, drop_kept, restore_source),
    Goal.CANCEL: (end_tasks, drop_target, drop_kept, restore_source),
    Goal.PAUSE: (end_tasks,),
    Goal.PARK: (end_tasks, drop_kept, restore_source),
    Goal.ROLL_BACK: (ready_kept, swap_back, restore_kept),
}
"""The way back, or aside, in order; `Operation.undone` counts the finished entries."""

MOST_CRASHES = 3
FOLLOW_UP_SECONDS = 600.0
"""So long is the tidying after the swap retried before the operation is done with a warning."""
LOOK_SECONDS = 2.0
"""How often a waiting machine looks for wishes that another service has written."""


@dataclass
class _Turn:
    """What the machine has in hand between two turns."""

    operation: Operation
    windows: tuple[Window, ...]
    cluster: Cluster
    ear: Ear
    doubt: bool = True
    wait: float = 0.0
    limit: Limit = UNLIMITED


class Machine:
    """Runs operations for the holder of the lease, each with a view of the cluster of its own.

    `park_after`: seconds of a hold after which an operation makes room for others, None: never.
    """

    def __init__(
        self,
        operations: Operations,
        cluster: Callable[[], Cluster],
        bell: Bell,
        limits: Limits,
        governor: Governor,
        who: str,
        park_after: float | None = None,
    ) -> None:
        self._operations = operations
        self._cluster = cluster
        self._bell = bell
        self._limits = limits
        self._governor = governor
        self._who = who
        self._park_after = park_after

    async def run(
        self, operation: Operation, lease: Callable[[], Lease], stopping: Callable[[], bool]
    ) -> None:
        """Walks `operation` to its end, or until `stopping`.

        Raises `StoreTrouble`: the caller takes the operation up again from the store.
        """
        windows = await self._operations.windows(operation.id)
        cluster = self.new_cluster(lease)
        with self._bell.listening() as ear:
            turn = _Turn(operation, windows, cluster, ear)
            try:
                while turn.operation.runs and not turn.operation.aside and not stopping():
                    await self._grant(turn, lease())
                    outcome = await self._next(turn, lease())
                    await self._keep(turn, outcome, lease())
                    if turn.wait and turn.operation.runs:
                        await self._pause(turn, stopping)
            finally:
                self._governor.leave(operation)

    def new_cluster(self, lease: Callable[[], Lease]) -> Cluster:
        """A view of the cluster that changes it only while the lease is held."""
        cluster = self._cluster()
        cluster.permit = lambda: _check(lease())
        return cluster

    async def _grant(self, turn: _Turn, lease: Lease) -> None:
        """Turns a wish into a goal; one that comes too late changes nothing."""
        operation, wish = turn.operation, turn.operation.requested
        if wish is Wish.NONE:
            return
        changes, notes = granted(operation)
        turn.operation = await self._save(lease, operation, changes, (), notes, granted=wish)

    async def _next(self, turn: _Turn, lease: Lease) -> Outcome:
        """Calls the next entry; whatever goes wrong becomes an outcome here, one arm each."""
        operation = turn.operation
        doubt, turn.doubt = turn.doubt, True
        if not lease.held:
            return Hold("the worker role is being renewed", 0.2)
        turn.limit = await self._governor.limit(operation)
        if hold := halt_before(operation, turn.limit):
            return hold
        if turn.limit.closed is None and await self._governor.look_after(
            operation, turn.cluster, lease.token
        ):
            turn.limit = await self._governor.limit(operation)
        allowance = self._governor.allowance(operation, turn.limit)
        work = Work(operation, turn.windows, self._limits, doubt, turn.limit, allowance)
        outcome = await self._call(_entry(operation), work, turn.cluster)
        if isinstance(outcome, Hold) and lost_target.may_be(operation):
            instead = partial(lost_target.instead_of, outcome)
            outcome = await self._call(instead, work, turn.cluster)
        if isinstance(outcome, Done) and outcome.changes.get("last_completed_step") in JOINED:
            outcome = await self._join(work, outcome, turn.cluster)
        turn.doubt = isinstance(outcome, Hold)
        return outcome

    async def _join(self, work: Work, done: Done, cluster: Cluster) -> Outcome:
        """The next entry's outcome with `done` in it, as if both were one."""
        operation = work.operation.model_copy(update=dict(done.changes))
        windows = _with(work.windows, done.windows)
        next_work = replace(work, operation=operation, windows=windows, doubt=False)
        outcome = await self._call(_entry(operation), next_work, cluster)
        joined = replace(
            outcome,
            changes={**done.changes, **outcome.changes},
            windows=[*done.windows, *outcome.windows],
            notes=[*done.notes, *outcome.notes],
        )
        if isinstance(joined, Done) and outcome.changes.get("last_completed_step") in JOINED:
            return await self._join(work, joined, cluster)
        return joined

    async def _call(self, entry: StepFunction, work: Work, cluster: Cluster) -> Outcome:
        operation = work.operation
        try:
            outcome = await entry(work, cluster)
        except ClusterTrouble as error:
            return Hold(error.message, backoff(operation.attempts))
        except TaskCancelled as error:
            return _turn_back(operation, error, Goal.CANCEL)
        except Failure as error:
            return _failed(operation, error)
        except StoreTrouble:
            raise
        except Exception as error:
            log.exception("step_crashed", operation=operation.id, index=operation.index_name)
            return _crashed(operation, error)
        return _ended(operation, outcome) if isinstance(outcome, Done) else outcome

    async def _keep(self, turn: _Turn, outcome: Outcome, lease: Lease) -> None:
        """Saves the outcome where it says something new."""
        operation, notes = turn.operation, turn.cluster.take_notes()
        changes = outcome.changes
        turn.wait = 0.0
        if isinstance(outcome, Hold):
            outcome = replace(outcome, reason=capped(outcome.reason))
            turn.wait = outcome.retry_after
            repeated = same_hold(outcome.reason, operation.hold_reason)
            notes = [*([] if repeated else notes), *_hold_notes(operation, outcome)]
            changes = _held(operation, outcome)
        else:
            notes = [*notes, *outcome.notes]
            if isinstance(outcome, Again):
                turn.wait = outcome.after
            if operation.hold_reason is not None and operation.goal is not Goal.PARK:
                changes = cleared(changes)
                notes.append(Note(what="goes on", index=operation.index_name))
        if changes or notes or outcome.windows:
            anew = isinstance(outcome, Again) and outcome.anew
            turn.operation = await self._save(
                lease, operation, changes, outcome.windows, notes, anew=anew
            )
            turn.windows = _with(() if anew else turn.windows, outcome.windows)
        if isinstance(outcome, Hold) and not outcome.patient:
            await self._put_aside(turn, lease)

    async def _put_aside(self, turn: _Turn, lease: Lease) -> None:
        """Where the policy says so, one that holds for long makes room for those behind it."""
        operation, since = turn.operation, turn.operation.hold_since
        if self._park_after is None or operation.single or operation.goal is not Goal.FINISH:
            return
        if operation.last_completed_step >= Step.ALIAS_CREATED or since is None:
            return
        if _age(since) < self._park_after or not await self._operations.others_wait(operation):
            return
        note = Note(what="parking", index=operation.index_name, text=operation.hold_reason or "")
        turn.operation = await self._save(lease, operation, {"goal": Goal.PARK}, (), [note])
        turn.wait = 0.0

    async def _save(
        self,
        lease: Lease,
        operation: Operation,
        changes: Changes,
        windows: Sequence[Window],
        notes: Sequence[Note],
        *,
        granted: Wish = Wish.NONE,
        anew: bool = False,
    ) -> Operation:
        saved = await self._operations.save(
            lease.token,
            operation,
            changes,
            windows,
            notes,
            self._who,
            granted=granted,
            anew=anew,
        )
        if saved.status is not operation.status or (
            saved.last_completed_step is not operation.last_completed_step
        ):
            log.info(
                "operation_moved",
                operation=saved.id,
                index=saved.index_name,
                step=saved.last_completed_step.name.lower(),
                status=saved.status.name.lower(),
                error=saved.error_message,
            )
        return saved

    async def _pause(self, turn: _Turn, stopping: Callable[[], bool]) -> None:
        """Waits, looking for wishes and another pace now and then, at once where the bell rings."""
        until = datetime.now(UTC) + timedelta(seconds=turn.wait)
        while not stopping():
            left = (until - datetime.now(UTC)).total_seconds()
            if left <= 0:
                return
            rung = await turn.ear.wait(min(left, LOOK_SECONDS))
            if rung or left > LOOK_SECONDS:
                fresh = await self._operations.load(turn.operation.id)
                if fresh.requested is not turn.operation.requested:
                    turn.operation = fresh
                    return
                if await self._governor.limit(turn.operation) != turn.limit:
                    return


def _check(lease: Lease) -> None:
    if not lease.held:
        raise LeaseLost


def _entry(operation: Operation) -> StepFunction:
    if operation.goal is Goal.FINISH:
        return STEPS[operation.last_completed_step]
    return WAYS[operation.goal][operation.undone]


def _ended(operation: Operation, done: Done) -> Done:
    """A finished entry of a way; with the last one the operation ends, or is put aside."""
    changes: Changes = {**done.changes, "attempts": 0, "crashes": 0}
    notes = list(done.notes)
    if operation.goal is not Goal.FINISH:
        changes["undone"] = operation.undone + 1
        if changes["undone"] == len(WAYS[operation.goal]):
            changes |= end_of_way(operation)
            notes += aside_notes(operation)
    if "status" in changes and changes["status"] not in LIVE:
        changes["ended_at"] = datetime.now(UTC)
        back = operation.goal is Goal.ROLL_BACK
        what = "rolled back" if back else changes["status"].name.lower()
        notes.append(Note(what=what, index=operation.index_name))
    return replace(done, changes=changes, notes=notes)


def _failed(operation: Operation, error: Failure) -> Outcome:
    """Turns back before the swap; after it, and on the way back, waits and tries again."""
    if not_back_yet(operation):
        return _stays(operation, error)
    if operation.goal is Goal.FINISH and operation.last_completed_step < Step.ALIAS_CREATED:
        return _turn_back(operation, error, Goal.FAIL, keep=isinstance(error, DocumentsDiffer))
    since = operation.hold_since
    if operation.goal is Goal.FINISH and since and _age(since) > FOLLOW_UP_SECONDS:
        text = f"the copy is in place, but the tidying afterwards did not succeed: {error.message}"
        done = Done({"status": Status.COMPLETED}, notes=[Note(what="warning", text=text)])
        return _ended(operation, done)
    return Hold(error.message, backoff(operation.attempts))


def _crashed(operation: Operation, error: Exception) -> Outcome:
    """An unexpected exception: three attempts, then failed with nothing deleted.

    Before the copy there is nothing to keep: the target is the empty one of the trial.
    """
    crashes = operation.crashes + 1
    reason = capped(f"unexpected {type(error).__name__}: {error}", 500)
    forward = operation.goal is Goal.FINISH and operation.last_completed_step < Step.ALIAS_CREATED
    if crashes < MOST_CRASHES or not (forward or not_back_yet(operation)):
        return Hold(reason, backoff(operation.attempts), {"crashes": crashes})
    failure = Failure("unexpected", f"{reason}. This is a fault of Reindex Queue; see its log.")
    if not_back_yet(operation):
        return _stays(operation, failure)
    copied = operation.last_completed_step >= Step.REINDEX_STARTED
    return _turn_back(operation, failure, Goal.FAIL, keep=copied)


def _stays(operation: Operation, error: Failure) -> Outcome:
    """A rollback that cannot be: the operation stays completed."""
    note = Note(what="rollback refused", index=operation.index_name, text=error.message)
    return Again(stay_completed(), notes=[note])


def _turn_back(operation: Operation, error: Failure, goal: Goal, *, keep: bool = False) -> Outcome:
    message = capped(error.message)
    changes: Changes = {
        "goal": goal,
        "error_code": error.code,
        "error_message": message,
        "failure": failures.details(operation, error, _doing(operation)),
        "keep_target": keep,
        "lost_since": None,
        "crashes": 0,
    }
    note = Note(what="turned back", index=operation.index_name, text=message)
    return Again(cleared(changes), notes=[note])


def _doing(operation: Operation) -> str:
    """The entry that is being done, by the name of its function."""
    if operation.last_completed_step is Step.CREATED and operation.target_uuid is None:
        return prepare.__name__
    return STEPS[operation.last_completed_step].__name__


def _held(operation: Operation, hold: Hold) -> Changes:
    now = datetime.now(UTC)
    return {
        **hold.changes,
        "hold_reason": hold.reason,
        "hold_since": operation.hold_since or now,
        "attempts": operation.attempts + 1,
        "next_attempt_at": now + timedelta(seconds=hold.retry_after),
    }


def _hold_notes(operation: Operation, hold: Hold) -> list[Note]:
    if same_hold(hold.reason, operation.hold_reason):
        return list(hold.notes)
    log.warning("operation_holds", operation=operation.id, reason=hold.reason)
    return [*hold.notes, Note(what="holds", index=operation.index_name, text=hold.reason)]


def _with(windows: tuple[Window, ...], changed: Sequence[Window]) -> tuple[Window, ...]:
    if not changed:
        return windows
    by_number = {window.number: window for window in (*windows, *changed)}
    return tuple(by_number[number] for number in sorted(by_number))


def _age(since: datetime) -> float:
    return (datetime.now(UTC) - since).total_seconds()


def backoff(attempts: int) -> float:
    """Seconds until the next try: doubling from 1 to 30, each between half and whole of that."""
    most: float = min(30.0, 2.0 ** min(attempts, 5))
    return most * random.uniform(0.5, 1.0)  # noqa: S311 - jitter, not a secret
