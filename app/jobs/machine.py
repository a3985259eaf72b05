"""The machine: how a job is walked through the phases of its routes.

Every iteration takes the next phase, calls it, saves its outcome and announces it. The phases look
before they act and never save; a process killed anywhere goes on at the same phase.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from app.domain import clock
from app.domain.errors import (
    ClusterTrouble,
    Failure,
    InUse,
    LeaseLost,
    Outdated,
    ReindexQueueError,
    StoreTrouble,
    TaskCancelled,
)
from app.domain.estimates import Measured
from app.domain.events import EventKind, Note
from app.domain.holds import HoldCause
from app.domain.job import Job, Lane, Requested
from app.domain.names import IndexName
from app.domain.operation import Changes
from app.domain.pace import UNLIMITED, Limit
from app.domain.state import Goal
from app.domain.tasks import Watch
from app.domain.texts import capped
from app.domain.windows import Window, WindowState
from app.elastic.cluster import Cluster
from app.jobs.cluster_identity import ClusterIdentity
from app.jobs.pacer import Pacer
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
from app.jobs.wake_up import Subscription, WakeUps
from app.store.jobs import Jobs
from app.store.lanes import Lanes
from app.store.role import Lease
from app.telemetry import logger

log = logger(__name__)

MOST_LOOKS = 20
"""So often in a row a phase may ask to be called again with nothing new to be saved."""
LOOK_SECONDS = 2.0
"""How often a waiting machine looks for wishes that another service has written."""
LASTING_SECONDS = 300.0
"""A shorter hold is not worth a copy: nothing is given back because of it."""


OF_THE_MACHINE = (
    EventKind.HOLDS,
    EventKind.GOES_ON,
    EventKind.TURNED_BACK,
    EventKind.COMPLETED,
    EventKind.FAILED,
)
"""How a small job goes is told to its client, and is no event; what it changes is one."""
IN_USE_SECONDS = 10.0
"""So soon is an index asked for again that another job uses."""

_ASIDE = (Goal.PARK, Goal.GIVE_BACK)
"""On the way there a hold stays shown: it is why."""


@dataclass
class _Turn:
    """What the machine has in hand between two iterations."""

    kind: Kind[Any]
    job: Job
    windows: tuple[Window, ...]
    cluster: Cluster
    subscription: Subscription
    watch: Watch
    maybe_sent: bool = True
    wait: float = 0.0
    limit: Limit = UNLIMITED
    looks: int = 0


@dataclass(kw_only=True)
class Machine:
    """Runs operations for the holder of the lease, each with a view of the cluster of its own.

    `kinds`: by the name that a job has. `history` answers what the newest completed ones say
    of how long one takes. `park_after`: seconds of a hold after which a job makes room for
    others, None: never.
    """

    jobs: Jobs
    lanes: Lanes
    kinds: Mapping[str, Kind[Any]]
    cluster: Callable[[Callable[[], None]], Cluster]
    wake_ups: WakeUps
    limits: Limits
    pacer: Pacer
    cluster_identity: ClusterIdentity
    who: str
    history: Callable[[], Awaitable[Sequence[Measured]]]
    park_after: float | None = None

    async def run(
        self,
        job: Job,
        lease: Callable[[], Lease],
        stopping: Callable[[], bool],
        *,
        claimed: bool = False,
    ) -> None:
        """Walks `job` to its end, or until `stopping`.

        `claimed`: nobody had it in hand before, so that nothing it had sent is on its way.
        Raises `StoreTrouble`: the caller takes the job up again from the store.
        """
        windows = await self.jobs.windows(job.id)
        cluster = self.new_cluster(lease)
        with self.wake_ups.subscribed() as subscription:
            begun = any(window.state is not WindowState.DONE for window in windows)
            kind, watch = self.kinds[job.kind], Watch(unsure=begun and not claimed)
            turn = _Turn(kind, job, windows, cluster, subscription, watch)
            try:
                while _is_in_hand(turn.job) and not stopping():
                    await self._grant(turn, lease())
                    if not turn.job.runs:  # a rollback that was taken back
                        return
                    outcome = await self._next(turn, lease())
                    await self._keep(turn, outcome, lease())
                    if turn.job.gives_way and not job.gives_way:
                        return  # it is taken up again beside the queue
                    if turn.wait and turn.job.runs:
                        await self._pause(turn, stopping)
            finally:
                self.pacer.leave(job)

    def new_cluster(self, lease: Callable[[], Lease]) -> Cluster:
        """A view of the cluster that changes it only while the lease is held."""
        return self.cluster(lambda: _check(lease()))

    async def _grant(self, turn: _Turn, lease: Lease) -> None:
        """Turns a wish into a goal; one that comes too late changes nothing."""
        job, wish = turn.job, turn.job.requested
        if wish is Requested.NONE or comes_later(job):
            return
        changes, notes = granted(job)
        try:
            turn.job = await self._save(lease, job, changes, (), notes, granted=wish)
        except Outdated:  # it was taken back in this moment
            turn.job = await self.jobs.load(job.id)
            if turn.job.requested is wish:
                raise

    async def _next(self, turn: _Turn, lease: Lease) -> Outcome:
        """Calls the next phase; whatever goes wrong becomes an outcome here, one arm each."""
        job = turn.job
        maybe_sent, turn.maybe_sent = turn.maybe_sent, True
        if not lease.held:
            return Hold(HoldCause.ROLE_RENEWED, "the worker role is being renewed", 0.2)
        try:
            phase = phase_of(turn.kind, job)
        except UnknownPosition as error:
            return Hold(HoldCause.UNKNOWN_POSITION, str(error), 30.0, patient=True)
        work = await self._work(turn, maybe_sent=maybe_sent)
        if (instead := self._held_back(turn.kind, work, phase)) is not None:
            return instead
        if turn.limit.closed is None and await self.pacer.look_after(
            job, turn.cluster, lease.token
        ):
            work = await self._work(turn, maybe_sent=maybe_sent)
        outcome = await self._call(turn, phase, phase.run, work)
        if isinstance(outcome, Hold) and (remedy := turn.kind.remedy(outcome, job)):
            outcome = await self._call(turn, phase, remedy, work)
        if isinstance(outcome, Done) and _is_joined(phase, outcome):
            outcome = await self._join(turn, work, outcome)
        outcome = _seen_in_vain(turn, phase, outcome)
        turn.maybe_sent = isinstance(outcome, Hold) or (
            isinstance(outcome, Again) and outcome.maybe_sent
        )
        return outcome

    async def _work(self, turn: _Turn, *, maybe_sent: bool) -> Work[Any]:
        """What the next phase is given, with the pace in force now."""
        turn.limit = await self.pacer.limit(turn.job)
        return Work(
            turn.job,
            turn.windows,
            self.limits,
            maybe_sent,
            turn.limit,
            self.pacer.allowance(turn.job, turn.limit),
            self.history,
            turn.watch,
        )

    def _held_back(self, kind: Kind[Any], work: Work[Any], phase: Phase[Any]) -> Outcome | None:
        try:
            return kind.held_back(work, phase)
        except Failure as error:
            return failed(kind, work.job, phase, error)

    async def _join(self, turn: _Turn, work: Work[Any], done: Done) -> Outcome:
        """The next phase's outcome with `done` in it, as if both were one."""
        job = work.job.model_copy(update=dict(done.changes))
        windows = _with(work.windows, done.windows)
        next_work = replace(work, job=job, windows=windows, maybe_sent=False)
        phase = phase_of(turn.kind, job)
        outcome = self._held_back(turn.kind, next_work, phase)
        if outcome is None:
            outcome = await self._call(turn, phase, phase.run, next_work)
        joined = replace(
            outcome,
            changes={**done.changes, **outcome.changes},
            windows=[*done.windows, *outcome.windows],
            notes=[*done.notes, *outcome.notes],
        )
        if isinstance(joined, Done) and _is_joined(phase, joined):
            return await self._join(turn, work, joined)
        return joined

    async def _call(
        self,
        turn: _Turn,
        phase: Phase[Any],
        run: PhaseFunction[Any],
        work: Work[Any],
    ) -> Outcome:
        kind, job, answers = turn.kind, work.job, False
        try:
            await self.cluster_identity.check(anew=job.lane is Lane.SMALL)
            answers = True
            outcome = await run(work, turn.cluster)
        except StoreTrouble:
            raise
        except ReindexQueueError as error:
            if isinstance(error, ClusterTrouble):
                self.cluster_identity.forget_last_check()
            if (done := kind.answered(job, error)) is not None:
                return ended(kind, job, phase, done)
            return _judged(kind, job, phase, error, answers=answers)
        except Exception as error:
            return _crashed(kind, job, phase, error)
        if isinstance(outcome, Hold):
            return patient(kind, job, phase, outcome)
        return ended(kind, job, phase, outcome) if isinstance(outcome, Done) else outcome

    async def _keep(self, turn: _Turn, outcome: Outcome, lease: Lease) -> None:
        """Saves the outcome where it says something new."""
        notes = turn.cluster.take_notes()
        turn.wait = 0.0
        if isinstance(outcome, Hold):
            await self._keep_hold(turn, outcome, notes, lease)
            return
        try:
            await self._keep_progress(turn, outcome, notes, lease)
        except (
            InUse
        ) as error:  # nothing of it is saved: the phase looks again, and finds its effect
            made = outcome.made if isinstance(outcome, Done) else Changes()
            hold = Hold(HoldCause.INDEX_IN_USE, error.message, IN_USE_SECONDS, made)
            await self._keep_hold(turn, hold, notes, lease)

    async def _keep_progress(
        self, turn: _Turn, outcome: Done | Again, notes: Sequence[Note], lease: Lease
    ) -> None:
        """Raises `InUse` where another job uses an index that it needs for itself."""
        job, changes = turn.job, outcome.changes
        notes = [*notes, *outcome.notes]
        if isinstance(outcome, Again):
            turn.wait = outcome.after
        if job.hold_reason is not None and job.goal not in _ASIDE:
            changes = cleared(changes)
            notes.append(Note(what=EventKind.GOES_ON, index=job.index_name))
        if not (changes or notes or outcome.windows):
            return
        uses, of_another = (), None
        if isinstance(outcome, Done):
            uses, of_another = outcome.uses, outcome.of_another
        turn.job = await self._save(
            lease,
            job,
            changes,
            outcome.windows,
            notes,
            anew=outcome.anew,
            uses=uses,
            of_another=of_another,
        )
        turn.windows = _with(() if outcome.anew else turn.windows, outcome.windows)

    async def _keep_hold(
        self, turn: _Turn, hold: Hold, notes: Sequence[Note], lease: Lease
    ) -> None:
        """A hold that says nothing new is saved all the same: it is shown when the next look is."""
        job, pause = turn.job, growing(hold.retry_after, turn.job.attempts)
        hold = replace(hold, reason=capped(hold.reason), retry_after=pause)
        turn.wait = pause
        repeated = same_hold(hold.reason, job.hold_reason)
        notes = [*([] if repeated else notes), *hold_notes(job, hold)]
        turn.job = await self._save(lease, job, held(job, hold), hold.windows, notes)
        turn.windows = _with(turn.windows, hold.windows)
        if hold.cause is HoldCause.UNKNOWN_POSITION:
            return
        await self._end_long_block(turn, job, lease)
        if not hold.patient:
            at_once = hold.cause is HoldCause.INDEX_IN_USE
            await self._put_aside(turn, 0.0 if at_once else self.park_after, lease)

    async def _end_long_block(self, turn: _Turn, before: Job, lease: Lease) -> None:
        """A hold that keeps writes blocked for long is told, and ends where that is wanted."""
        job, most = turn.job, self.limits.block_seconds
        if note := blocks_for_long(before, most):
            turn.job = job = await self._save(lease, job, {}, (), [note])
        since, held_since = job.writes_blocked_since, job.hold_since
        if not most or since is None or held_since is None or job.goal is not Goal.FINISH:
            return
        left = most - clock.elapsed(since)
        if self.limits.gives_back:
            left = max(left, min(most, LASTING_SECONDS) - clock.elapsed(held_since))
        if left > 0:
            turn.wait = min(turn.wait, left)
            return
        if not self.limits.gives_back:
            return
        note = Note(what=EventKind.GIVING_BACK, index=job.index_name, text=job.hold_reason or "")
        changes: Changes = {
            "goal": Goal.GIVE_BACK,
            "position_back": "",
            "given_back_at": clock.now(),
        }
        turn.job = await self._save(lease, job, changes, (), [note])
        turn.wait = 0.0

    async def _put_aside(self, turn: _Turn, after: float | None, lease: Lease) -> None:
        """One of the queue that has held for so many seconds makes room for those behind it; None:
        it does not, however long."""
        job, since = turn.job, turn.job.hold_since
        if after is None or job.lane is not Lane.QUEUE or job.goal is not Goal.FINISH:
            return
        if job.past_return or since is None or clock.left(since, after):
            return
        if not await self.lanes.others_wait(job):
            return
        reason = job.hold_reason or ""
        note = Note(what=EventKind.PARKING, index=job.index_name, text=reason)
        changes: Changes = {"goal": Goal.PARK, "position_back": ""}
        turn.job = await self._save(lease, job, changes, (), [note])
        turn.wait = 0.0

    async def _save(
        self,
        lease: Lease,
        job: Job,
        changes: Changes,
        windows: Sequence[Window],
        notes: Sequence[Note],
        *,
        granted: Requested = Requested.NONE,
        anew: bool = False,
        uses: Sequence[IndexName] = (),
        of_another: tuple[Job, Changes] | None = None,
    ) -> Job:
        if job.lane is Lane.SMALL:
            notes = [note for note in notes if note.what not in OF_THE_MACHINE]
        saved = await self.jobs.save(
            lease.token,
            job,
            changes,
            windows,
            notes,
            self.who,
            granted=granted,
            anew=anew,
            uses=uses,
            of_another=of_another,
        )
        if (saved.status, saved.position) != (job.status, job.position):
            log.info(
                "operation_moved",
                operation=saved.id,
                index=saved.index_name,
                phase=saved.position,
                status=saved.status.name.lower(),
                error=saved.error_message,
            )
        return saved

    async def _pause(self, turn: _Turn, stopping: Callable[[], bool]) -> None:
        """Waits, looking for wishes and another pace now and then, at once where it is woken.

        A wish that came with the last save is not waited with.
        """
        if turn.job.requested is not Requested.NONE and not comes_later(turn.job):
            return
        until = time.monotonic() + turn.wait
        while not stopping():
            left = until - time.monotonic()
            if left <= 0:
                return
            woken = await turn.subscription.wait(min(left, LOOK_SECONDS))
            if woken or left > LOOK_SECONDS:
                fresh = await self.jobs.load(turn.job.id)
                if fresh.requested is not turn.job.requested:
                    turn.job = fresh
                    return
                if await self.pacer.limit(turn.job) != turn.limit:
                    return


def _judged(
    kind: Kind[Any], job: Job, phase: Phase[Any], error: ReindexQueueError, *, answers: bool
) -> Outcome:
    """`answers`: the cluster has answered another request just now."""
    if isinstance(error, ClusterTrouble):
        return troubled(kind, job, phase, error, answers=answers)
    if isinstance(error, TaskCancelled):
        return turn_back(kind, job, phase, error, Goal.CANCEL)
    if isinstance(error, Failure):
        return failed(kind, job, phase, error)
    return _crashed(kind, job, phase, error)


def _crashed(kind: Kind[Any], job: Job, phase: Phase[Any], error: Exception) -> Outcome:
    log.error("step_crashed", operation=job.id, index=job.index_name, exc_info=error)
    return crashed(kind, job, phase, error)


def _is_joined(phase: Phase[Any], done: Done) -> bool:
    """False also where it claims an index or changes another job: what comes next relies on it, and
    may hold, and then nothing but the fields of a joined phase is saved."""
    return phase.joined and not (done.uses or done.of_another)


def _seen_in_vain(turn: _Turn, phase: Phase[Any], outcome: Outcome) -> Outcome:
    """`outcome`, or a hold where a phase looks for what it did again and again."""
    if not isinstance(outcome, Again) or outcome.changes or phase.watches:
        turn.looks = 0
        return outcome
    turn.looks += 1
    if turn.looks <= MOST_LOOKS:
        return outcome
    what = phase.name.replace("_", " ")
    reason = f"what was changed ({what}) was accepted, but is not in the cluster state"
    return patient(turn.kind, turn.job, phase, Hold(HoldCause.NOT_SEEN, reason))


def _is_in_hand(job: Job) -> bool:
    """False once it has ended, was paused, parked or given back."""
    return job.runs and not job.suspended and job.started_at is not None


def _check(lease: Lease) -> None:
    if not lease.held:
        raise LeaseLost


def _with(windows: tuple[Window, ...], changed: Sequence[Window]) -> tuple[Window, ...]:
    if not changed:
        return windows
    by_number = {window.number: window for window in (*windows, *changed)}
    return tuple(by_number[number] for number in sorted(by_number))
