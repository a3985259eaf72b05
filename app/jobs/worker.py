"""The worker: holds the role, takes the head of the queue, runs it to its end."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum

from app.domain.errors import (
    ClusterRefused,
    ClusterTrouble,
    OtherCluster,
    OtherDatabase,
    StoreTrouble,
)
from app.domain.job import Job, Lane, Requested
from app.elastic.cluster import Cluster
from app.jobs.machine import Machine
from app.jobs.ownership import ClusterOwnership
from app.jobs.phases import Pacer
from app.jobs.pruning import Pruner
from app.jobs.term import (
    ClusterIdentity,
    Companion,
    Ending,
    EndKind,
    Subscription,
    Term,
    WakeUps,
)
from app.jobs.transitions import backoff
from app.store.jobs import Jobs
from app.store.lanes import Lanes
from app.store.role import Lease, WorkerRole
from app.telemetry import logger, mark_as

log = logger(__name__)

IDLE_SECONDS = 5.0
"""How often an idle worker asks the store; a POST to this service wakes it."""
MOST_SMALL, MOST_HOLDING = 10, 100
"""So many small jobs at once, and with those that hold."""
COMPANION_RESTS = 60.0
"""Seconds, where what runs beside the jobs has ended before the term."""
STANDBY_SECONDS = 1.0
"""How often a standby asks for the role."""
LOOK_SECONDS = 30.0
"""How often a look at the mark is tried again where the cluster is away."""


class WorkerState(StrEnum):
    STARTING = "starting"
    STANDBY = "standby"
    IDLE = "idle"
    WORKING = "working"
    RESTARTING = "restarting"
    STOPPED = "stopped"


TOLD_IN_PART = "an error, of which only those are told who are not limited to some indices"


@dataclass(frozen=True)
class WorkerReport:
    """How the worker is: ids of the `operations` being worked on. `error`: what ended the last
    term; after a crash until the worker has gone on well for a while."""

    state: WorkerState
    operations: tuple[str, ...]
    error: str | None

    def told_in_part(self) -> WorkerReport:
        """For whoever may not know of every job: an error may name an index or a job."""
        error = None if self.error is None else TOLD_IN_PART
        return replace(self, operations=(), error=error)

    @property
    def alive(self) -> bool:
        return self.state not in (WorkerState.RESTARTING, WorkerState.STOPPED)

    @property
    def at_work(self) -> bool:
        """It has the role."""
        return self.state in (WorkerState.IDLE, WorkerState.WORKING)


@dataclass(kw_only=True)
class Worker:
    """One task in the service's process. It stops by event between phases, never by cancellation.

    `most_beside`: so many operations that were started by name run beside the queue. `greet` is
    called once a term, before its first job. `when_idle` leaves small jobs for what is due.
    `companion`: what else is done by whoever has the role; it can neither delay a job nor end the
    term.
    """

    role: WorkerRole
    jobs: Jobs
    lanes: Lanes
    machine: Machine
    wake_ups: WakeUps
    pacer: Pacer
    cluster_identity: ClusterIdentity
    ownership: ClusterOwnership
    who: str
    most_beside: int
    greet: Callable[[Cluster], Awaitable[None]]
    when_idle: Callable[[], Awaitable[None]]
    pruner: Pruner | None = None
    companion: Companion | None = None
    report: WorkerReport = field(
        default_factory=lambda: WorkerReport(WorkerState.STARTING, (), None), init=False
    )

    def __post_init__(self) -> None:
        self._stop = asyncio.Event()
        self._contact = False
        self._bad_terms = 0
        self._last_end = EndKind.STOPPED
        self._error: str | None = None
        self._head = ""
        self._unknown: set[str] = set()

    def stop(self) -> None:
        """Asks the worker to end after the step it is in."""
        self._stop.set()
        # What waits sees the stop when it wakes; nothing is cancelled in the middle of a step.
        self.wake_ups.wake()

    async def run(self) -> None:
        """Until `stop`. Whatever ends a term of work, the next one starts from the store."""
        mark_as("worker")
        while not self._stop.is_set():
            try:
                ending = await self._serve_a_term()
            except Exception as error:
                ending = Ending.of([error])
            await self._recover(ending)
        self._tell(WorkerState.STOPPED)

    async def _recover(self, ending: Ending) -> None:
        """Tells what ended a term, and rests the longer the more of them have ended badly in a row,
        however far each of them came."""
        for error in ending.crashes:
            log.error("worker_crashed", exc_info=error)
        self._last_end = ending.kind
        if ending.kind is EndKind.STOPPED:
            return
        if ending.kind is EndKind.ROLE_LOST:
            log.warning("role_lost", reason=ending.reason)
            rest = backoff(self._bad_terms - 1) if self._bad_terms else 0.0
        else:
            rest = backoff(self._bad_terms)
            log.error("worker_restarts", reason=ending.reason, seconds=round(rest, 2))
            self._show(ending)
        self._bad_terms += 1
        await self._sleep(rest)

    def _show(self, ending: Ending) -> None:
        if ending.kind in (EndKind.TROUBLE, EndKind.CRASH):
            self._error = ending.reason
            self._tell(WorkerState.RESTARTING)

    def _settle(self, term: Term, *, idle: bool) -> None:
        """Forgets how earlier terms ended: trouble as soon as the database answers, though the
        next rest is shorter only once nothing is in hand; a crash when this term is steady."""
        trouble = self._last_end is EndKind.TROUBLE
        if trouble or term.steady:
            self._error = None
        if (trouble and idle) or term.steady:
            self._bad_terms = 0

    async def _serve_a_term(self) -> Ending:
        """From taking the role to losing it, a stop or a crash."""
        lease = await self._take()
        if lease is None:
            return Ending(EndKind.STOPPED)
        log.info("role_taken", owner=self.who)
        term = Term(self.role, lease, self.wake_ups, self._stop.is_set, self._show)
        try:
            return await term.run(self._work(term))
        finally:
            self.ownership.end()
            await self._release(term.lease)

    async def _take(self) -> Lease | None:
        looking: asyncio.Task[None] | None = None
        try:
            while not self._stop.is_set():
                lease = await self.role.take()
                if lease:
                    return lease
                # Nobody tells when the role becomes free: the other process may have been killed.
                self._tell(WorkerState.STANDBY)
                if looking is None:
                    looking = asyncio.create_task(self._look(self._stopped_within))
                await self._sleep(STANDBY_SECONDS)
        finally:
            if looking:
                looking.cancel()
                await asyncio.gather(looking, return_exceptions=True)
        return None

    async def _stopped_within(self, seconds: float) -> bool:
        await self._sleep(seconds)
        return self._stop.is_set()

    async def _release(self, lease: Lease) -> None:
        try:
            await self.role.release(lease)
        except StoreTrouble as error:
            # It runs out by itself, and this process may take its own one again before.
            log.warning("role_not_released", reason=error.message)

    async def _work(self, term: Term) -> None:
        """Keeps the lanes running, each job in a task of its own."""
        self._contact = False
        self.ownership.begin(self.machine.new_cluster(lambda: term.lease), term.lease.token)
        looking = term.start(self._look(term.over_within))
        if self.pruner:
            term.start(self._prune(term, self.pruner))
        if self.companion:
            term.start(self._accompany(term, self.companion))
        try:
            await self._fill_and_wait(term)
        finally:
            looking.cancel()  # a stop does not wait for an answer about nothing in hand

    async def _fill_and_wait(self, term: Term) -> None:
        running: dict[str, asyncio.Task[None]] = {}
        small: dict[str, asyncio.Task[None]] = {}
        # Subscribed before the first look: what comes between a look and the wait ends the wait.
        with self.wake_ups.subscribed() as subscription:
            while not term.over:
                # Before the lanes are asked: a job that gave way has ended here to go on as urgent.
                for tasks in (running, small):
                    for job_id in [key for key, task in tasks.items() if task.done()]:
                        del tasks[job_id]
                await self._fill(term, running, small)
                self._settle(term, idle=not running)
                self._tell(WorkerState.WORKING if running else WorkerState.IDLE, [*running])
                await self._change(subscription, [*running.values(), *small.values()])

    async def _look(self, over_within: Callable[[float], Awaitable[bool]]) -> None:
        """Whether this database is the one that works on the cluster, before anything is to do."""
        while True:
            try:
                # One that has never worked on it has nothing to do twice, and asks nothing idly.
                if not await self.ownership.is_new():
                    await self.cluster_identity.check(moves=False)
                    await self.ownership.look()
            except (ClusterTrouble, ClusterRefused, StoreTrouble) as error:
                known = isinstance(error, (OtherDatabase, OtherCluster))
            else:
                known = True
            finally:
                self.ownership.note_first_look()
            if known or await over_within(LOOK_SECONDS):
                return

    async def _prune(self, term: Term, pruner: Pruner) -> None:
        """Beside the jobs: each piece is a transaction of its own, between two of their saves."""
        rest = 0.0
        while not await term.over_within(rest):
            rest = await pruner.step(term.lease.token)

    async def _accompany(self, term: Term, companion: Companion) -> None:
        """Whatever ends it, it begins anew, and the term goes on."""
        rest = 0.0
        while not await term.over_within(rest):
            try:
                await companion.run(term)
            except Exception:
                log.exception("companion_crashed")
            rest = COMPANION_RESTS

    async def _fill(
        self,
        term: Term,
        running: dict[str, asyncio.Task[None]],
        small: dict[str, asyncio.Task[None]],
    ) -> None:
        """Begins whatever may be begun now, and goes on with what was begun."""
        if not running and not await self.ownership.kept():
            # Before the lanes are asked: what it leaves is begun in this very look.
            await self.when_idle()
        little = await self.lanes.small(MOST_HOLDING)
        head = None if self._head in running else await self.lanes.head()
        others = [
            *await self.lanes.first(Lane.BESIDE, self.most_beside),
            *await self.lanes.urgent(),
        ]
        # A job may be in two lanes at once, as one that was begun by name and is cancelled.
        found = {one.id: one for one in (*([head] if head else []), *others)}
        wanted = [job for job in found.values() if job.id not in running and self._knows(job)]
        little = [job for job in little if self._knows(job)]
        due = [job for job in little if job.id not in small]
        if (wanted or due) and self.report.state is WorkerState.IDLE:
            # Hours may have passed, and another cluster may have the address by now.
            self.cluster_identity.forget_last_check()
        if wanted or due:
            await self._make_contact(term)
        # One that holds takes no room from those behind it.
        busy = sum(job.id in small and job.hold_reason is None for job in little)
        for job in due[: max(0, MOST_SMALL - busy)]:
            # Asked for each: the term may have ended while the one before was begun.
            if not term.over:
                await self._begin(term, job, small)
        kept = await self.ownership.kept()
        closed = bool(wanted) and (await self.pacer.service()).closed is not None
        in_use = {job.index_name for job in little if job.hold_reason is None}
        for job in wanted:
            if term.over or _comes_later(job, in_use, kept=kept, closed=closed):
                continue
            if await self._begin(term, job, running) and head and job.id == head.id:
                self._head = job.id

    async def _begin(self, term: Term, job: Job, tasks: dict[str, asyncio.Task[None]]) -> bool:
        """False where it was cancelled or paused meanwhile."""
        # The row decides, not what was read: the API ends one that was not begun, and then this
        # finds no row to begin.
        new = job.started_at is None or job.suspended
        taken = await self.jobs.begin(term.lease.token, job.id, self.who) if new else job
        if taken:
            tasks[taken.id] = term.start(self._run(taken, term, new=new))
        return taken is not None

    def _knows(self, job: Job) -> bool:
        """One of a kind that only another release knows waits for that."""
        if job.kind in self.machine.kinds:
            return True
        if job.id not in self._unknown:
            self._unknown.add(job.id)
            log.warning("job_of_unknown_kind", job=job.id, kind=job.kind, index=job.index_name)
        return False

    async def _run(self, job: Job, term: Term, *, new: bool) -> None:
        await self.machine.run(job, lambda: term.lease, lambda: term.over, claimed=new)
        if job.lane is Lane.SMALL:
            self.wake_ups.wake()  # its client waits

    async def _make_contact(self, term: Term) -> None:
        """Before jobs begin: it is the right cluster, and no other database works on it; and a
        greeting once a term."""
        try:
            await self.cluster_identity.check()
            if not await self.ownership.is_new():  # it leaves its mark with its first change
                await self.ownership.check()
            if not self._contact:
                await self.greet(self.machine.new_cluster(lambda: term.lease))
                self._contact = True
        except (ClusterTrouble, ClusterRefused):
            return  # asked again before the next job, and by each job itself

    async def _change(
        self, subscription: Subscription, tasks: Sequence[asyncio.Task[None]]
    ) -> None:
        """Waits until something has ended, a wake-up comes, or it is time to look."""
        woken = asyncio.ensure_future(subscription.wait(IDLE_SECONDS))
        try:
            await asyncio.wait({woken, *tasks}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            # A wait that is left over would swallow a wake-up that comes during the next look.
            woken.cancel()
            await asyncio.gather(woken, return_exceptions=True)

    def _tell(self, state: WorkerState, operations: Sequence[str] = ()) -> None:
        self.report = WorkerReport(state, tuple(operations), self._error)

    async def _sleep(self, seconds: float) -> None:
        try:
            await asyncio.wait_for(self._stop.wait(), seconds)
        except TimeoutError:
            return


def _comes_later(job: Job, in_use: Collection[str], *, kept: bool, closed: bool) -> bool:
    """`in_use`: the indices of small jobs, which go first, for their clients wait. `kept`: a person
    is to say first that this database goes on. `closed`: nothing begins, but what is asked of a job
    is granted."""
    new = job.started_at is None
    if kept and (new or job.suspended):
        return True
    if new and (job.source_name in in_use or job.index_name in in_use):
        return True
    return closed and new and job.requested is Requested.NONE
