"""The worker: holds the role, takes the head of the queue, runs it to its end."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from app.domain.clock import boot_seconds
from app.domain.errors import (
    ClusterRefused,
    ClusterTrouble,
    Failure,
    Outdated,
    ReindexQueueError,
    StoreTrouble,
)
from app.domain.operation import Operation, Wish
from app.elastic.cluster import Cluster
from app.reindex.announcements import Bell, Ear
from app.reindex.copying.tasks import HEADER_DROPPED, HEADER_REMEDY
from app.reindex.ending import Ending, EndKind
from app.reindex.errands import is_to_be_repeated, perform
from app.reindex.expiry import counts, expire
from app.reindex.home import Home
from app.reindex.machine import Machine
from app.reindex.outcomes import backoff
from app.reindex.pacing.governor import Governor
from app.reindex.term import Term
from app.store.role import Lease
from app.store.store import Store
from app.telemetry import logger, mark_as

log = logger(__name__)

IDLE_SECONDS = 5.0
"""How often an idle worker asks the store; a POST to this service rings the bell."""
ERRAND_SECONDS = 1.0
"""How soon an errand that was cut is gone on with."""
EXPIRY_REST = 30.0
"""So many seconds are kept copies left alone after trouble with the cluster."""
STANDBY_SECONDS = 1.0
"""How often a standby asks for the role."""


class WorkerState(StrEnum):
    STARTING = "starting"
    STANDBY = "standby"
    IDLE = "idle"
    WORKING = "working"
    RESTARTING = "restarting"
    STOPPED = "stopped"


@dataclass(frozen=True)
class WorkerReport:
    """For `/readyz`: ids of the `operations` being worked on. `error`: what ended the last term;
    after a crash until the worker has gone on well for a while."""

    state: WorkerState
    operations: tuple[str, ...]
    error: str | None

    @property
    def alive(self) -> bool:
        return self.state not in (WorkerState.RESTARTING, WorkerState.STOPPED)

    @property
    def at_work(self) -> bool:
        """It has the role."""
        return self.state in (WorkerState.IDLE, WorkerState.WORKING)


class Worker:
    """One task in the service's process. It stops by event between steps, never by cancellation."""

    def __init__(
        self,
        store: Store,
        machine: Machine,
        bell: Bell,
        governor: Governor,
        home: Home,
        who: str,
        most_singles: int,
    ) -> None:
        self._role = store.role
        self._operations = store.operations
        self._errands = store.errands
        self._kept_copies = store.kept_copies
        self._expiry_rests_until = 0.0
        self._expiry_tried: Counter[str] = Counter()
        self._machine = machine
        self._bell = bell
        self._governor = governor
        self._home = home
        self._who = who
        self._stop = asyncio.Event()
        self._contact = False
        self._bad_terms = 0
        self._last_end = EndKind.STOPPED
        self._error: str | None = None
        self._most_singles = most_singles
        self._on_errand: dict[str, Cluster] = {}
        self._head = ""
        self.report = WorkerReport(WorkerState.STARTING, (), None)

    def stop(self) -> None:
        """Asks the worker to end after the step it is in."""
        self._stop.set()
        self._bell.ring()

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
        log.info("role_taken", owner=self._who)
        term = Term(self._role, lease, self._bell, self._stop.is_set, self._show)
        try:
            return await term.run(self._work(term))
        finally:
            await self._release(term.lease)

    async def _take(self) -> Lease | None:
        while not self._stop.is_set():
            lease = await self._role.take()
            if lease:
                return lease
            self._tell(WorkerState.STANDBY)
            await self._sleep(STANDBY_SECONDS)
        return None

    async def _release(self, lease: Lease) -> None:
        try:
            await self._role.release(lease)
        except StoreTrouble as error:
            log.warning("role_not_released", reason=error.message)

    async def _work(self, term: Term) -> None:
        """Keeps the head of the queue and a few singles running, each in a task of its own."""
        running: dict[str, asyncio.Task[None]] = {}
        self._contact = False
        with self._bell.listening() as ear:
            while not term.over:
                for operation_id in [key for key, task in running.items() if task.done()]:
                    del running[operation_id]
                await self._fill(term, running)
                self._settle(term, idle=not running)
                self._tell(WorkerState.WORKING if running else WorkerState.IDLE, [*running])
                await self._change(ear, running)

    async def _fill(self, term: Term, running: dict[str, asyncio.Task[None]]) -> None:
        await self._run_errands(term)
        if not running:
            await self._expire(term)
        head = None if self._head in running else await self._operations.head()
        singles = await self._operations.singles(self._most_singles)
        urgent = await self._operations.urgent()
        found = {one.id: one for one in (*([head] if head else []), *singles, *urgent)}
        wanted = [operation for key, operation in found.items() if key not in running]
        if wanted and self.report.state is WorkerState.IDLE:
            self._home.doubt()  # hours may have passed since the last question
        if wanted:
            await self._first_contact(term)
        closed = bool(wanted) and (await self._governor.service()).closed is not None
        for operation in wanted:
            if term.over or (closed and _is_new(operation)):
                continue
            taken: Operation | None = operation
            new = operation.started_at is None or operation.aside
            if new:
                taken = await self._operations.claim(term.lease.token, operation.id, self._who)
            if taken:
                self._head = taken.id if head and taken.id == head.id else self._head
                running[taken.id] = term.start(
                    self._machine.run(taken, lambda: term.lease, lambda: term.over, claimed=new)
                )

    async def _first_contact(self, term: Term) -> None:
        """Says, once a term, where copies cannot be found by their header."""
        if self._contact:
            return
        try:
            back = await self._machine.new_cluster(lambda: term.lease).tasks.header_comes_back()
        except (ClusterTrouble, ClusterRefused):
            return
        self._contact = True
        if not back:
            log.warning("header_dropped", finding=HEADER_DROPPED, remedy=HEADER_REMEDY)

    async def _run_errands(self, term: Term) -> None:
        """Small changes that clients wait for, before anything new is taken."""
        waiting = await self._errands.waiting()
        known = self._on_errand  # with the notes of a turn before
        self._on_errand = {
            errand.id: known.get(errand.id) or self._machine.new_cluster(lambda: term.lease)
            for errand in waiting
        }
        for errand in waiting:
            cluster = self._on_errand[errand.id]
            error: ReindexQueueError | None = None
            result: Mapping[str, Any] | None = None
            try:
                await self._home.check(anew=True)
                result = await perform(errand, self._operations, cluster)
            except StoreTrouble:
                raise
            except ReindexQueueError as met:
                if is_to_be_repeated(errand, met):
                    log.warning("errand_waits", errand=errand.id, reason=met.message)
                    continue
                error = met
            except Exception as met:  # its client is told; the worker goes on
                log.exception("errand_crashed", errand=errand.id)
                error = Failure("unexpected", f"unexpected {type(met).__name__}: {met}")
            del self._on_errand[errand.id]
            notes = cluster.take_notes()
            await self._errands.end(term.lease.token, errand, error, notes, self._who, result)
            self._bell.ring()

    async def _expire(self, term: Term) -> None:
        """Removes a kept copy whose time is over, when nothing else is in hand."""
        if boot_seconds() < self._expiry_rests_until:
            return
        operation = await self._kept_copies.expired()
        if operation is None or (await self._governor.service()).stopped:
            return
        cluster = self._machine.new_cluster(lambda: term.lease)
        try:
            await self._home.check(anew=True)
            changes, notes = await expire(operation, cluster, self._expiry_tried[operation.id])
        except (ClusterTrouble, Failure) as error:
            self._expiry_tried[operation.id] += counts(error)
            log.warning("expiry_waits", operation=operation.id, reason=error.message)
            self._expiry_rests_until = boot_seconds() + EXPIRY_REST
            return
        del self._expiry_tried[operation.id]
        notes = [*cluster.take_notes(), *notes]
        try:
            await self._operations.save(term.lease.token, operation, changes, (), notes, self._who)
        except Outdated:  # it was asked back in this moment; what became of it is found there
            return

    async def _change(self, ear: Ear, running: Mapping[str, asyncio.Task[None]]) -> None:
        """Waits until something has ended, the bell rings, or it is time to look."""
        seconds = ERRAND_SECONDS if self._on_errand else IDLE_SECONDS
        listening = asyncio.ensure_future(ear.wait(seconds))
        try:
            await asyncio.wait({listening, *running.values()}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            listening.cancel()
            await asyncio.gather(listening, return_exceptions=True)

    def _tell(self, state: WorkerState, operations: Sequence[str] = ()) -> None:
        self.report = WorkerReport(state, tuple(operations), self._error)

    async def _sleep(self, seconds: float) -> None:
        try:
            await asyncio.wait_for(self._stop.wait(), seconds)
        except TimeoutError:
            return


def _is_new(operation: Operation) -> bool:
    """Nothing has been done for it yet, and nobody has asked it back."""
    return operation.started_at is None and operation.requested is Wish.NONE
