"""The machine: how a job is walked through the phases of its routes.

Every iteration takes the next phase, calls it, saves its outcome and announces it. The phases look
before they act and never save; a process killed anywhere goes on at the same phase.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace

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
from app.domain.events import EventKind, Note
from app.domain.holds import HoldCause
from app.domain.operation import Changes, Goal, Operation, Wish
from app.domain.pace import UNLIMITED, Limit
from app.domain.tasks import Watch
from app.domain.texts import capped
from app.domain.windows import Window, WindowState
from app.elastic.cluster import Cluster
from app.jobs.phases import (
    Again,
    Done,
    Hold,
    Kind,
    Limits,
    Outcome,
    Phase,
    PhaseFunction,
    UnknownPosition,
    Work,
    phase_of,
)
from app.jobs.transitions import (
    blocks_for_long,
    cleared,
    comes_later,
    crashed,
    ended,
    failed,
    granted,
    growing,
    held,
    hold_notes,
    patient,
    same_hold,
    troubled,
    turn_back,
)
from app.reindex.announcements import Bell, Ear
from app.reindex.home import Home
from app.reindex.pacing.governor import Governor
from app.store.operations import Operations
from app.store.role import Lease
from app.telemetry import logger

log = logger(__name__)

MOST_LOOKS = 20
"""So often in a row a phase may ask to be called again with nothing new to be saved."""
LOOK_SECONDS = 2.0
"""How often a waiting machine looks for wishes that another service has written."""
LASTING_SECONDS = 300.0
"""A shorter hold is not worth a copy: nothing is given back because of it."""


_ASIDE = (Goal.PARK, Goal.GIVE_BACK)
"""On the way there a hold stays shown: it is why."""


@dataclass
class _Turn:
    """What the machine has in hand between two iterations."""

    kind: Kind
    operation: Operation
    windows: tuple[Window, ...]
    cluster: Cluster
    ear: Ear
    watch: Watch
    doubt: bool = True
    wait: float = 0.0
    limit: Limit = UNLIMITED
    looks: int = 0


@dataclass(kw_only=True)
class Machine:
    """Runs operations for the holder of the lease, each with a view of the cluster of its own.

    `kinds`: by the name that an operation has. `history` answers what the newest completed ones say
    of how long one takes. `park_after`: seconds of a hold after which an operation makes room for
    others, None: never.
    """

    operations: Operations
    kinds: Mapping[str, Kind]
    cluster: Callable[[], Cluster]
    bell: Bell
    limits: Limits
    governor: Governor
    home: Home
    who: str
    history: Callable[[], Awaitable[Sequence[Measured]]]
    park_after: float | None = None

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
        windows = await self.operations.windows(operation.id)
        cluster = self.new_cluster(lease)
        with self.bell.listening() as ear:
            begun = any(window.state is not WindowState.DONE for window in windows)
            kind, watch = self.kinds[operation.kind], Watch(unsure=begun and not claimed)
            turn = _Turn(kind, operation, windows, cluster, ear, watch)
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
                self.governor.leave(operation)

    def new_cluster(self, lease: Callable[[], Lease]) -> Cluster:
        """A view of the cluster that changes it only while the lease is held."""
        cluster = self.cluster()
        cluster.permit = lambda: _check(lease())
        return cluster

    async def _grant(self, turn: _Turn, lease: Lease) -> None:
        """Turns a wish into a goal; one that comes too late changes nothing."""
        operation, wish = turn.operation, turn.operation.requested
        if wish is Wish.NONE or comes_later(operation):
            return
        changes, notes = granted(operation)
        try:
            turn.operation = await self._save(lease, operation, changes, (), notes, granted=wish)
        except Outdated:  # it was taken back in this moment
            turn.operation = await self.operations.load(operation.id)
            if turn.operation.requested is wish:
                raise

    async def _next(self, turn: _Turn, lease: Lease) -> Outcome:
        """Calls the next phase; whatever goes wrong becomes an outcome here, one arm each."""
        operation = turn.operation
        doubt, turn.doubt = turn.doubt, True
        if not lease.held:
            return Hold(HoldCause.ROLE_RENEWED, "the worker role is being renewed", 0.2)
        try:
            phase = phase_of(turn.kind, operation)
        except UnknownPosition as error:
            return Hold(HoldCause.UNKNOWN_POSITION, str(error), 30.0)
        work = await self._work(turn, doubt=doubt)
        if (instead := self._held_back(turn.kind, work, phase)) is not None:
            return instead
        if turn.limit.closed is None and await self.governor.look_after(
            operation, turn.cluster, lease.token
        ):
            work = await self._work(turn, doubt=doubt)
        outcome = await self._call(turn, phase, phase.run, work)
        if isinstance(outcome, Hold) and (remedy := turn.kind.remedy(outcome, operation)):
            outcome = await self._call(turn, phase, remedy, work)
        if isinstance(outcome, Done) and phase.joined:
            outcome = await self._join(turn, work, outcome)
        outcome = _seen_in_vain(turn, phase, outcome)
        turn.doubt = isinstance(outcome, Hold) or (isinstance(outcome, Again) and outcome.doubt)
        return outcome

    async def _work(self, turn: _Turn, *, doubt: bool) -> Work:
        """What the next phase is given, with the pace in force now."""
        turn.limit = await self.governor.limit(turn.operation)
        return Work(
            turn.operation,
            turn.windows,
            self.limits,
            doubt,
            turn.limit,
            self.governor.allowance(turn.operation, turn.limit),
            self.history,
            turn.watch,
        )

    def _held_back(self, kind: Kind, work: Work, phase: Phase) -> Outcome | None:
        try:
            return kind.held_back(work, phase)
        except Failure as error:
            return failed(kind, work.operation, phase, error)

    async def _join(self, turn: _Turn, work: Work, done: Done) -> Outcome:
        """The next phase's outcome with `done` in it, as if both were one."""
        operation = work.operation.model_copy(update=dict(done.changes))
        windows = _with(work.windows, done.windows)
        next_work = replace(work, operation=operation, windows=windows, doubt=False)
        phase = phase_of(turn.kind, operation)
        outcome = self._held_back(turn.kind, next_work, phase)
        if outcome is None:
            outcome = await self._call(turn, phase, phase.run, next_work)
        joined = replace(
            outcome,
            changes={**done.changes, **outcome.changes},
            windows=[*done.windows, *outcome.windows],
            notes=[*done.notes, *outcome.notes],
        )
        if isinstance(joined, Done) and phase.joined:
            return await self._join(turn, work, joined)
        return joined

    async def _call(
        self,
        turn: _Turn,
        phase: Phase,
        run: PhaseFunction,
        work: Work,
    ) -> Outcome:
        kind, operation, answers = turn.kind, work.operation, False
        try:
            await self.home.check()
            answers = True
            outcome = await run(work, turn.cluster)
        except ClusterTrouble as error:
            self.home.doubt()
            return troubled(kind, operation, phase, error, answers=answers)
        except TaskCancelled as error:
            return turn_back(kind, operation, phase, error, Goal.CANCEL)
        except Failure as error:
            return failed(kind, operation, phase, error)
        except StoreTrouble:
            raise
        except Exception as error:
            log.exception("step_crashed", operation=operation.id, index=operation.index_name)
            return crashed(kind, operation, phase, error)
        if isinstance(outcome, Hold):
            return patient(kind, operation, phase, outcome)
        return ended(kind, operation, phase, outcome) if isinstance(outcome, Done) else outcome

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
                notes.append(Note(what=EventKind.GOES_ON, index=operation.index_name))
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
        operation, most = turn.operation, self.limits.block_seconds
        if note := blocks_for_long(before, most):
            turn.operation = operation = await self._save(lease, operation, {}, (), [note])
        since, held_since = operation.writes_blocked_since, operation.hold_since
        if not most or since is None or held_since is None or operation.goal is not Goal.FINISH:
            return
        left = most - clock.elapsed(since)
        if self.limits.gives_back:
            left = max(left, min(most, LASTING_SECONDS) - clock.elapsed(held_since))
        if left > 0:
            turn.wait = min(turn.wait, left)
            return
        if not self.limits.gives_back:
            return
        note = Note(
            what=EventKind.GIVING_BACK, index=operation.index_name, text=operation.hold_reason or ""
        )
        changes: Changes = {
            "goal": Goal.GIVE_BACK,
            "position_back": "",
            "given_back_at": clock.now(),
        }
        turn.operation = await self._save(lease, operation, changes, (), [note])
        turn.wait = 0.0

    async def _put_aside(self, turn: _Turn, lease: Lease) -> None:
        """Where the policy says so, one that holds for long makes room for those behind it."""
        operation, since = turn.operation, turn.operation.hold_since
        if self.park_after is None or operation.single or operation.goal is not Goal.FINISH:
            return
        if operation.past_return or since is None:
            return
        if clock.left(since, self.park_after):
            return
        if not await self.operations.others_wait(operation):
            return
        reason = operation.hold_reason or ""
        note = Note(what=EventKind.PARKING, index=operation.index_name, text=reason)
        changes: Changes = {"goal": Goal.PARK, "position_back": ""}
        turn.operation = await self._save(lease, operation, changes, (), [note])
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
        saved = await self.operations.save(
            lease.token,
            operation,
            changes,
            windows,
            notes,
            self.who,
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
                fresh = await self.operations.load(turn.operation.id)
                if fresh.requested is not turn.operation.requested:
                    turn.operation = fresh
                    return
                if await self.governor.limit(turn.operation) != turn.limit:
                    return


def _seen_in_vain(turn: _Turn, phase: Phase, outcome: Outcome) -> Outcome:
    """`outcome`, or a hold where a phase looks for what it did again and again."""
    if not isinstance(outcome, Again) or outcome.changes or phase.watches:
        turn.looks = 0
        return outcome
    turn.looks += 1
    if turn.looks <= MOST_LOOKS:
        return outcome
    what = phase.name.replace("_", " ")
    reason = f"what was changed ({what}) was accepted, but is not in the cluster state"
    return patient(turn.kind, turn.operation, phase, Hold(HoldCause.NOT_SEEN, reason))


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
