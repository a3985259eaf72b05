"""The machine: how an operation is walked through the tables of its ways.

Every turn takes the next entry, calls it, saves its outcome and announces it. The entries look
before they act and never save; a process killed anywhere goes on at the same entry.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial

from app.domain import clock
from app.domain.errors import (
    ClusterTrouble,
    Failure,
    LeaseLost,
    Outdated,
    StoreTrouble,
    TaskCancelled,
)
from app.domain.estimates import Measured
from app.domain.holds import HoldCause
from app.domain.operation import (
    Again,
    Changes,
    Done,
    Goal,
    Hold,
    Limits,
    Note,
    Operation,
    Outcome,
    Step,
    Wish,
    Work,
)
from app.domain.pace import UNLIMITED, Limit
from app.domain.tasks import Watch
from app.domain.texts import capped
from app.domain.windows import Window, WindowState
from app.elastic.cluster import Cluster
from app.reindex import lost_target
from app.reindex.announcements import Bell, Ear
from app.reindex.copying.halting import give_back, halt_before
from app.reindex.goals import (
    cleared,
    comes_later,
    granted,
    same_hold,
)
from app.reindex.home import Home
from app.reindex.outcomes import (
    blocks_for_long,
    crashed,
    ended,
    failed,
    growing,
    held,
    hold_notes,
    patient,
    troubled,
    turn_back,
)
from app.reindex.pacing.governor import Governor
from app.reindex.steps.copy import copy
from app.reindex.steps.undo import end_tasks
from app.reindex.ways import JOINED, StepFunction, entry
from app.store.operations import Operations
from app.store.role import Lease
from app.telemetry import logger

log = logger(__name__)

MOST_LOOKS = 20
"""So often in a row an entry may ask to be called again with nothing new to be saved."""
LOOK_SECONDS = 2.0
"""How often a waiting machine looks for wishes that another service has written."""
LASTING_SECONDS = 300.0
"""A shorter hold is not worth a copy: nothing is given back because of it."""


_ASIDE = (Goal.PARK, Goal.GIVE_BACK)
"""On the way there a hold stays shown: it is why."""


@dataclass
class _Turn:
    """What the machine has in hand between two turns."""

    operation: Operation
    windows: tuple[Window, ...]
    cluster: Cluster
    ear: Ear
    watch: Watch
    doubt: bool = True
    wait: float = 0.0
    limit: Limit = UNLIMITED
    looks: int = 0


class Machine:
    """Runs operations for the holder of the lease, each with a view of the cluster of its own.

    `park_after`: seconds of a hold after which an operation makes room for others, None: never.
    """

    def __init__(
        self,
        operations: Operations,
        cluster: Callable[[Callable[[], None]], Cluster],
        bell: Bell,
        limits: Limits,
        governor: Governor,
        home: Home,
        who: str,
        history: Callable[[], Awaitable[Sequence[Measured]]],
        park_after: float | None = None,
    ) -> None:
        self._operations = operations
        self._cluster = cluster
        self._bell = bell
        self._limits = limits
        self._governor = governor
        self._home = home
        self._who = who
        self._history = history
        self._park_after = park_after

    async def run(
        self,
        operation: Operation,
        lease: Callable[[], Lease],
        stopping: Callable[[], bool],
        *,
        claimed: bool = False,
    ) -> None:
        """Walks `operation` to its end, or until `stopping`.

        `claimed`: nobody had it in hand before, so that nothing it had sent is on its way.
        Raises `StoreTrouble`: the caller takes the operation up again from the store.
        """
        windows = await self._operations.windows(operation.id)
        cluster = self.new_cluster(lease)
        with self._bell.listening() as ear:
            begun = any(window.state is not WindowState.DONE for window in windows)
            turn = _Turn(operation, windows, cluster, ear, Watch(unsure=begun and not claimed))
            try:
                while _is_in_hand(turn.operation) and not stopping():
                    await self._grant(turn, lease())
                    if not turn.operation.runs:  # a rollback that was taken back
                        return
                    outcome = await self._next(turn, lease())
                    await self._keep(turn, outcome, lease())
                    if turn.operation.gives_way and not operation.gives_way:
                        return  # it is taken up again beside the queue
                    if turn.wait and turn.operation.runs:
                        await self._pause(turn, stopping)
            finally:
                self._governor.leave(operation)

    def new_cluster(self, lease: Callable[[], Lease]) -> Cluster:
        """A view of the cluster that changes it only while the lease is held."""
        return self._cluster(lambda: _check(lease()))

    async def _grant(self, turn: _Turn, lease: Lease) -> None:
        """Turns a wish into a goal; one that comes too late changes nothing."""
        operation, wish = turn.operation, turn.operation.requested
        if wish is Wish.NONE or comes_later(operation):
            return
        changes, notes = granted(operation)
        try:
            turn.operation = await self._save(lease, operation, changes, (), notes, granted=wish)
        except Outdated:  # it was taken back in this moment
            turn.operation = await self._operations.load(operation.id)
            if turn.operation.requested is wish:
                raise

    async def _next(self, turn: _Turn, lease: Lease) -> Outcome:
        """Calls the next entry; whatever goes wrong becomes an outcome here, one arm each."""
        operation = turn.operation
        doubt, turn.doubt = turn.doubt, True
        if not lease.held:
            return Hold(HoldCause.ROLE_RENEWED, "the worker role is being renewed", 0.2)
        turn.limit = await self._governor.limit(operation)
        try:
            if instead := give_back(operation, turn.windows, turn.limit):
                return instead
        except Failure as error:
            return failed(operation, error)
        if hold := halt_before(operation, turn.limit):
            return hold
        if turn.limit.closed is None and await self._governor.look_after(
            operation, turn.cluster, lease.token
        ):
            turn.limit = await self._governor.limit(operation)
        allowance = self._governor.allowance(operation, turn.limit)
        work = Work(
            operation,
            turn.windows,
            self._limits,
            doubt,
            turn.limit,
            allowance,
            self._history,
            turn.watch,
        )
        outcome = await self._call(entry(operation), work, turn.cluster)
        if isinstance(outcome, Hold) and lost_target.may_be(operation):
            instead = partial(lost_target.instead_of, outcome)
            outcome = await self._call(instead, work, turn.cluster)
        if isinstance(outcome, Done) and outcome.changes.get("last_completed_step") in JOINED:
            outcome = await self._join(work, outcome, turn.cluster)
        outcome = _seen_in_vain(turn, outcome)
        turn.doubt = isinstance(outcome, Hold) or (isinstance(outcome, Again) and outcome.doubt)
        return outcome

    async def _join(self, work: Work, done: Done, cluster: Cluster) -> Outcome:
        """The next entry's outcome with `done` in it, as if both were one."""
        operation = work.operation.model_copy(update=dict(done.changes))
        windows = _with(work.windows, done.windows)
        next_work = replace(work, operation=operation, windows=windows, doubt=False)
        outcome = await self._call(entry(operation), next_work, cluster)
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
        operation, answers = work.operation, False
        try:
            await self._home.check()
            answers = True
            outcome = await entry(work, cluster)
        except ClusterTrouble as error:
            self._home.doubt()
            return troubled(operation, error, answers=answers)
        except TaskCancelled as error:
            return turn_back(operation, error, Goal.CANCEL)
        except Failure as error:
            return failed(operation, error)
        except StoreTrouble:
            raise
        except Exception as error:
            log.exception("step_crashed", operation=operation.id, index=operation.index_name)
            return crashed(operation, error)
        if isinstance(outcome, Hold):
            return patient(operation, outcome)
        return ended(operation, outcome) if isinstance(outcome, Done) else outcome

    async def _keep(self, turn: _Turn, outcome: Outcome, lease: Lease) -> None:
        """Saves the outcome where it says something new."""
        operation, notes = turn.operation, turn.cluster.take_notes()
        changes = outcome.changes
        turn.wait = 0.0
        if isinstance(outcome, Hold):
            pause = growing(outcome.retry_after, operation.attempts)
            outcome = replace(outcome, reason=capped(outcome.reason), retry_after=pause)
            turn.wait = outcome.retry_after
            repeated = same_hold(outcome.reason, operation.hold_reason)
            notes = [*([] if repeated else notes), *hold_notes(operation, outcome)]
            changes = held(operation, outcome)
        else:
            notes = [*notes, *outcome.notes]
            if isinstance(outcome, Again):
                turn.wait = outcome.after
            if operation.hold_reason is not None and operation.goal not in _ASIDE:
                changes = cleared(changes)
                notes.append(Note(what="goes on", index=operation.index_name))
        if changes or notes or outcome.windows:
            anew = not isinstance(outcome, Hold) and outcome.anew
            turn.operation = await self._save(
                lease, operation, changes, outcome.windows, notes, anew=anew
            )
            turn.windows = _with(() if anew else turn.windows, outcome.windows)
        if isinstance(outcome, Hold):
            await self._end_long_block(turn, operation, lease)
        if isinstance(outcome, Hold) and not outcome.patient:
            await self._put_aside(turn, lease)

    async def _end_long_block(self, turn: _Turn, before: Operation, lease: Lease) -> None:
        """A hold that keeps writes blocked for long is told, and ends where that is wanted."""
        operation, most = turn.operation, self._limits.block_seconds
        if note := blocks_for_long(before, most):
            turn.operation = operation = await self._save(lease, operation, {}, (), [note])
        since, held_since = operation.writes_blocked_since, operation.hold_since
        if not most or since is None or held_since is None or operation.goal is not Goal.FINISH:
            return
        left = most - clock.elapsed(since)
        if self._limits.gives_back:
            left = max(left, min(most, LASTING_SECONDS) - clock.elapsed(held_since))
        if left > 0:
            turn.wait = min(turn.wait, left)
            return
        if not self._limits.gives_back:
            return
        note = Note(
            what="giving back", index=operation.index_name, text=operation.hold_reason or ""
        )
        changes: Changes = {
            "goal": Goal.GIVE_BACK,
            "undone": 0,
            "given_back_at": clock.now(),
        }
        turn.operation = await self._save(lease, operation, changes, (), [note])
        turn.wait = 0.0

    async def _put_aside(self, turn: _Turn, lease: Lease) -> None:
        """Where the policy says so, one that holds for long makes room for those behind it."""
        operation, since = turn.operation, turn.operation.hold_since
        if self._park_after is None or operation.single or operation.goal is not Goal.FINISH:
            return
        if operation.last_completed_step >= Step.ALIAS_CREATED or since is None:
            return
        if clock.left(since, self._park_after):
            return
        if not await self._operations.others_wait(operation):
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
        """Waits, looking for wishes and another pace now and then, at once where the bell rings.

        A wish that came with the last save is not waited with.
        """
        if turn.operation.requested is not Wish.NONE and not comes_later(turn.operation):
            return
        until = time.monotonic() + turn.wait
        while not stopping():
            left = until - time.monotonic()
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


def _seen_in_vain(turn: _Turn, outcome: Outcome) -> Outcome:
    """`outcome`, or a hold where an entry looks for what it did again and again."""
    step = entry(turn.operation)
    if not isinstance(outcome, Again) or outcome.changes or step in (copy, end_tasks):
        turn.looks = 0
        return outcome
    turn.looks += 1
    if turn.looks <= MOST_LOOKS:
        return outcome
    what = step.__name__.replace("_", " ")
    reason = f"what was changed ({what}) was accepted, but is not in the cluster state"
    return patient(turn.operation, Hold(HoldCause.NOT_SEEN, reason))


def _is_in_hand(operation: Operation) -> bool:
    """False once it has ended, was paused, parked or given back."""
    return operation.runs and not operation.aside and operation.started_at is not None


def _check(lease: Lease) -> None:
    if not lease.held:
        raise LeaseLost


def _with(windows: tuple[Window, ...], changed: Sequence[Window]) -> tuple[Window, ...]:
    if not changed:
        return windows
    by_number = {window.number: window for window in (*windows, *changed)}
    return tuple(by_number[number] for number in sorted(by_number))
