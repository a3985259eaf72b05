"""The machine: how a job is walked through the phases of its routes.

Every iteration grants what was asked of the job, calls the next phase, and gives its outcome to the
bookkeeping. The phases look before they act and never save; a process killed anywhere goes on at
the same phase.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from app.domain.errors import (
    ClusterTrouble,
    Failure,
    LeaseLost,
    Outdated,
    ReindexQueueError,
    StoreTrouble,
    TaskCancelled,
)
from app.domain.holds import HoldCause
from app.domain.job import Goal, Job, Lane, Requested, Status, end_of
from app.domain.pace import UNLIMITED, Limit
from app.domain.progress import Measured
from app.domain.windows import Watch, WindowState
from app.elastic.cluster import Cluster
from app.jobs.bookkeeping import Bookkeeping, InHand, with_changed
from app.jobs.ownership import ClusterOwnership
from app.jobs.phases import (
    Again,
    Done,
    Hold,
    Kind,
    Limits,
    Outcome,
    Pacer,
    Phase,
    PhaseFunction,
    UnknownPosition,
    Work,
    phase_of,
)
from app.jobs.stopwatch import Stopwatch
from app.jobs.term import ClusterIdentity, Subscription, WakeUps
from app.jobs.transitions import (
    comes_later,
    crashed,
    ended,
    failed,
    granted,
    patient,
    troubled,
    turn_back,
)
from app.store.jobs import Jobs
from app.store.role import Lease
from app.telemetry import Meters, logger

log = logger(__name__)

MOST_LOOKS = 20
"""So often in a row a phase may ask to be called again with nothing new to be saved."""
LOOK_SECONDS = 2.0
"""How often a waiting machine looks for requested actions that another service has written."""


@dataclass(kw_only=True)
class _Walk(InHand):
    """A job in hand, and what only this process knows of it. `maybe_sent`: of the next call.

    `limit`: the pace as it was asked for last. `looks`: in a row, with nothing new to be saved.
    `stopwatch`: of its phases.
    """

    kind: Kind[Any]
    cluster: Cluster
    subscription: Subscription
    watch: Watch
    maybe_sent: bool = True
    limit: Limit = UNLIMITED
    looks: int = 0
    stopwatch: Stopwatch = field(default_factory=Stopwatch)


@dataclass(kw_only=True)
class Machine:
    """Runs operations for the holder of the lease, each with a view of the cluster of its own.

    `kinds`: by the name that a job has. `history` answers what the newest completed ones say
    of how long one takes. `holding`: by id, what the jobs in hand that hold now wait for.
    """

    jobs: Jobs
    bookkeeping: Bookkeeping
    kinds: Mapping[str, Kind[Any]]
    cluster: Callable[[Callable[[], None]], Cluster]
    wake_ups: WakeUps
    limits: Limits
    pacer: Pacer
    cluster_identity: ClusterIdentity
    ownership: ClusterOwnership
    history: Callable[[], Awaitable[Sequence[Measured]]]
    meters: Meters = field(default_factory=Meters)
    holding: dict[str, HoldCause] = field(default_factory=dict[str, HoldCause], init=False)

    def __post_init__(self) -> None:
        self.meters.expect(self.kinds)

    async def run(
        self,
        job: Job,
        lease: Callable[[], Lease],
        stopping: Callable[[], bool],
        *,
        claimed: bool = False,
    ) -> None:
        """Walks `job` to its end, or until `stopping`. `lease`: as it was renewed last.

        `claimed`: nobody had it in hand before, so that nothing it had sent is on its way.
        Raises `StoreTrouble`: the caller takes the job up again from the store.
        """
        windows = await self.jobs.windows(job.id)
        with self.wake_ups.subscribed() as subscription:
            begun = any(window.state is not WindowState.DONE for window in windows)
            walk = _Walk(
                job=job,
                windows=windows,
                kind=self.kinds[job.kind],
                cluster=self.new_cluster(lease),
                subscription=subscription,
                # Another process may have sent a start just before it died: it may yet arrive.
                watch=Watch(unsure=begun and not claimed),
            )
            try:
                while _is_in_hand(walk.job) and not stopping():
                    await self._grant(walk, lease())
                    if not walk.job.runs:  # a rollback that was taken back
                        return
                    outcome = await self._next(walk, lease())
                    notes, before = walk.cluster.take_notes(), walk.job
                    await self.bookkeeping.keep(walk, outcome, notes, lease())
                    self._count(walk, before)
                    if walk.job.gives_way and not job.gives_way:
                        return  # it is taken up again beside the queue
                    if walk.wait and walk.job.runs:
                        await self._pause(walk, stopping)
            finally:
                self._leave(job)

    def _leave(self, job: Job) -> None:
        """It is not in hand any more."""
        self.pacer.leave(job)
        self.holding.pop(job.id, None)

    def _count(self, walk: _Walk, before: Job) -> None:
        """Counts what was saved of `walk`; `before`: its job as it was saved the time before."""
        job = walk.job
        for phase, seconds in walk.stopwatch.take(saved=_place(job) != _place(before)):
            self.meters.finished(job.kind, phase, seconds)
        if before.live and not job.live:
            self.meters.ended(job.kind, end_of(job))
        if walk.cause is None:
            self.holding.pop(job.id, None)
        else:
            self.holding[job.id] = walk.cause

    def new_cluster(self, lease: Callable[[], Lease]) -> Cluster:
        """A view of the cluster that changes it only while the lease is held."""
        return self.cluster(lambda: _check(lease()))

    async def _grant(self, walk: _Walk, lease: Lease) -> None:
        """Turns a requested action into a goal; one that comes too late changes nothing."""
        job, requested = walk.job, walk.job.requested
        if requested is Requested.NONE or comes_later(job):
            return
        changes, notes = granted(job)
        try:
            walk.job = await self.bookkeeping.save(
                lease, job, changes, (), notes, granted=requested
            )
        except Outdated:
            # It was taken back in this moment: then the job goes on without it. Where it is still
            # there, somebody else has changed the row, and what is in hand is not true.
            walk.job = await self.jobs.load(job.id)
            if walk.job.requested is requested:
                raise

    async def _next(self, walk: _Walk, lease: Lease) -> Outcome:
        """Calls the next phase; whatever goes wrong becomes an outcome here, one arm each."""
        job = walk.job
        # Only a phase that has answered below makes it False again: every way out before leaves it.
        maybe_sent, walk.maybe_sent = walk.maybe_sent, True
        if not lease.held:
            # The renewal is late. The hold may be saved all the same: the store compares the token.
            return Hold(HoldCause.ROLE_RENEWED, "the worker role is being renewed", 0.2)
        try:
            phase = phase_of(walk.kind, job)
        except UnknownPosition as error:
            return Hold(HoldCause.UNKNOWN_POSITION, str(error), 30.0, patient=True)
        work = await self._work(walk, maybe_sent=maybe_sent)
        if (instead := self._held_back(walk.kind, work, phase)) is not None:
            return instead
        if walk.limit.closed is None and await self.pacer.look_after(
            job, walk.cluster, lease.token
        ):
            # What the health gate has just lowered counts for this call already.
            work = await self._work(walk, maybe_sent=maybe_sent)
        outcome = await self._call(walk, phase, phase.run, work)
        if isinstance(outcome, Hold) and (remedy := walk.kind.remedy(outcome, job)):
            outcome = await self._call(walk, phase, remedy, work)
        if isinstance(outcome, Done) and _is_joined(phase, outcome):
            outcome = await self._join(walk, work, outcome)
        outcome = _seen_in_vain(walk, phase, outcome)
        walk.maybe_sent = isinstance(outcome, Hold) or (
            isinstance(outcome, Again) and outcome.maybe_sent
        )
        return outcome

    async def _work(self, walk: _Walk, *, maybe_sent: bool) -> Work[Any]:
        """What the next phase is given, with the pace in force now."""
        walk.limit = await self.pacer.limit(walk.job)
        return Work(
            walk.job,
            walk.windows,
            self.limits,
            maybe_sent,
            walk.limit,
            self.pacer.allowance(walk.job, walk.limit),
            self.history,
            walk.watch,
        )

    def _held_back(self, kind: Kind[Any], work: Work[Any], phase: Phase[Any]) -> Outcome | None:
        try:
            return kind.held_back(work, phase)
        except Failure as error:
            return failed(kind, work.job, phase, error)

    async def _call(
        self, walk: _Walk, phase: Phase[Any], run: PhaseFunction[Any], work: Work[Any]
    ) -> Outcome:
        """What `run` answers, or makes of the job by what it raises. Raises `StoreTrouble`."""
        kind, job, answers = walk.kind, work.job, False
        walk.stopwatch.begin(phase.name)
        try:
            # A small job has recorded nothing of its index that would tell another cluster's apart.
            await self.cluster_identity.check(anew=job.lane is Lane.SMALL)
            await self.ownership.check()
            answers = True
            outcome = await run(work, walk.cluster)
        except StoreTrouble:
            # Of the database, or of the lease: no outcome of this job, and the end of the term.
            raise
        except ReindexQueueError as error:
            if isinstance(error, ClusterTrouble):
                # What answers after this may be another cluster at the same address.
                self.cluster_identity.forget_last_check()
            if (done := kind.answered(job, error)) is not None:
                walk.stopwatch.end(phase.name)
                return ended(kind, job, phase, done)
            return _judged(kind, job, phase, error, answers=answers)
        except Exception as error:
            return _crashed(kind, job, phase, error)
        if isinstance(outcome, Hold):
            return patient(kind, job, phase, outcome)
        if isinstance(outcome, Again):
            return outcome
        walk.stopwatch.end(phase.name)
        return ended(kind, job, phase, outcome)

    async def _join(self, walk: _Walk, work: Work[Any], done: Done) -> Outcome:
        """The next phase's outcome with `done` in it, as if both were one."""
        job = work.job.model_copy(update=dict(done.changes))
        windows = with_changed(work.windows, done.windows)
        next_work = replace(work, job=job, windows=windows, maybe_sent=False)
        phase = phase_of(walk.kind, job)
        outcome = self._held_back(walk.kind, next_work, phase)
        if outcome is None:
            outcome = await self._call(walk, phase, phase.run, next_work)
        joined = replace(
            outcome,
            changes={**done.changes, **outcome.changes},
            windows=[*done.windows, *outcome.windows],
            notes=[*done.notes, *outcome.notes],
        )
        if isinstance(joined, Done) and _is_joined(phase, joined):
            return await self._join(walk, work, joined)
        return joined

    async def _pause(self, walk: _Walk, stopping: Callable[[], bool]) -> None:
        """Waits; looks for requested actions and another pace now and then, at once where woken."""
        # An action may have been requested in the row that was saved last: no wake-up comes for it.
        if walk.job.requested is not Requested.NONE and not comes_later(walk.job):
            return
        until = time.monotonic() + walk.wait
        while not stopping():
            left = until - time.monotonic()
            if left <= 0:
                return
            # No wake-up comes from another service: what it has written is found by looking.
            woken = await walk.subscription.wait(min(left, LOOK_SECONDS))
            if woken or left > LOOK_SECONDS:
                fresh = await self.jobs.load(walk.job.id)
                if fresh.requested is not walk.job.requested:
                    walk.job = fresh
                    return
                if await self.pacer.limit(walk.job) != walk.limit:
                    return
                adoptable = walk.cause is HoldCause.OTHER_DATABASE
                if adoptable and not await self.ownership.kept():
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


def _seen_in_vain(walk: _Walk, phase: Phase[Any], outcome: Outcome) -> Outcome:
    """`outcome`, or a hold where a phase looks for what it did again and again."""
    if not isinstance(outcome, Again) or outcome.changes or phase.watches:
        walk.looks = 0
        return outcome
    walk.looks += 1
    if walk.looks <= MOST_LOOKS:
        return outcome
    what = phase.name.replace("_", " ")
    reason = f"what was changed ({what}) was accepted, but is not in the cluster state"
    return patient(walk.kind, walk.job, phase, Hold(HoldCause.NOT_SEEN, reason))


def _place(job: Job) -> tuple[str, str, Goal, Status]:
    """Where it is on its route; another one where phases are finished."""
    return job.position, job.position_back, job.goal, job.status


def _is_in_hand(job: Job) -> bool:
    """False once it has ended, was paused, parked or given back."""
    return job.runs and not job.suspended and job.started_at is not None


def _check(lease: Lease) -> None:
    if not lease.held:
        raise LeaseLost
