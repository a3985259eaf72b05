"""The worker: holds the role, takes the head of the queue, runs it to its end."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from app.domain.clock import boot_seconds
from app.domain.errors import (
    ClusterRefused,
    ClusterTrouble,
    Failure,
    LeaseLost,
    Outdated,
    ReindexQueueError,
    StoreTrouble,
)
from app.domain.operation import Operation, Wish
from app.domain.texts import capped
from app.elastic.cluster import Cluster
from app.reindex.announcements import Bell, Ear
from app.reindex.copying.tasks import HEADER_DROPPED, HEADER_REMEDY
from app.reindex.errands import is_to_be_repeated, perform
from app.reindex.expiry import expire
from app.reindex.home import Home
from app.reindex.machine import Machine
from app.reindex.outcomes import backoff
from app.reindex.pacing.governor import Governor
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
    """For `/readyz`: ids of the `operations` being worked on, `error` of the last crash."""

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
        self._machine = machine
        self._bell = bell
        self._governor = governor
        self._home = home
        self._who = who
        self._lease: Lease | None = None
        self._stop = asyncio.Event()
        self._crashes = 0
        self._broken = False
        self._contact = False
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
                await self._term()
                self._crashes = 0
            except LeaseLost as error:
                log.warning("role_lost", reason=error.message)
            except StoreTrouble as error:
                await self._restart(error.message)
            except Exception as error:
                log.exception("worker_crashed")
                await self._restart(capped(f"{type(error).__name__}: {error}"))
        self._tell(WorkerState.STOPPED)

    async def _restart(self, reason: str) -> None:
        self._tell(WorkerState.RESTARTING, error=reason)
        log.error("worker_restarts", reason=reason)
        await self._sleep(backoff(self._crashes))
        self._crashes += 1

    async def _term(self) -> None:
        """One term as the worker: from taking the role to losing it or stopping."""
        lease = await self._take()
        if lease is None:
            return
        self._lease = lease
        log.info("role_taken", owner=self._who)
        renewing = asyncio.create_task(self._renew()) if self._role.renew_seconds else None
        try:
            await self._work(renewing)
        finally:
            if renewing:
                renewing.cancel()
                await asyncio.gather(renewing, return_exceptions=True)
            await self._release()

    async def _take(self) -> Lease | None:
        while not self._stop.is_set():
            lease = await self._role.take()
            if lease:
                return lease
            self._tell(WorkerState.STANDBY)
            await self._sleep(STANDBY_SECONDS)
        return None

    async def _release(self) -> None:
        lease, self._lease = self._lease, None
        if lease is None:
            return
        try:
            await self._role.release(lease)
        except StoreTrouble as error:
            log.warning("role_not_released", reason=error.message)

    async def _renew(self) -> None:
        """Keeps the lease. A failed renewal is tried again; the deadline decides."""
        assert self._role.renew_seconds
        while self._lease is not None:
            await asyncio.sleep(self._role.renew_seconds)
            try:
                self._lease = await self._role.renew(self._lease)
            except LeaseLost:
                raise
            except StoreTrouble as error:
                log.warning("role_not_renewed", reason=error.message)

    async def _work(self, renewing: asyncio.Task[None] | None) -> None:
        """Keeps the head of the queue and a few singles running, each in a task of its own."""
        running: dict[str, asyncio.Task[None]] = {}
        self._broken = self._contact = False
        with self._bell.listening() as ear:
            try:
                while not self._over(renewing):
                    await self._fill(running, renewing)
                    self._tell(WorkerState.WORKING if running else WorkerState.IDLE, [*running])
                    self._crashes = 0 if not running else self._crashes
                    await self._change(ear, running, renewing)
            finally:
                self._broken = True  # the others stop between two steps, too
                await asyncio.gather(*running.values(), return_exceptions=True)
        if renewing and renewing.done():
            raise LeaseLost

    async def _fill(
        self, running: dict[str, asyncio.Task[None]], renewing: asyncio.Task[None] | None
    ) -> None:
        for operation_id in [key for key, task in running.items() if task.done()]:
            running.pop(operation_id).result()
        await self._run_errands()
        if not running:
            await self._expire()
        head = None if self._head in running else await self._operations.head()
        singles = await self._operations.singles(self._most_singles)
        urgent = await self._operations.urgent()
        found = {one.id: one for one in (*([head] if head else []), *singles, *urgent)}
        wanted = [operation for key, operation in found.items() if key not in running]
        if wanted and self.report.state is WorkerState.IDLE:
            self._home.doubt()  # hours may have passed since the last question
        if wanted:
            await self._first_contact()
        closed = bool(wanted) and (await self._governor.service()).closed is not None
        for operation in wanted:
            if closed and _is_new(operation):
                continue
            taken: Operation | None = operation
            new = operation.started_at is None or operation.aside
            if new:
                taken = await self._operations.claim(self._held().token, operation.id, self._who)
            if taken:
                self._head = taken.id if head and taken.id == head.id else self._head
                running[taken.id] = asyncio.create_task(
                    self._machine.run(taken, self._held, lambda: self._over(renewing), claimed=new)
                )

    async def _first_contact(self) -> None:
        """Says, once a term, where copies cannot be found by their header."""
        if self._contact:
            return
        try:
            back = await self._machine.new_cluster(self._held).header_comes_back()
        except (ClusterTrouble, ClusterRefused):
            return
        self._contact = True
        if not back:
            log.warning("header_dropped", finding=HEADER_DROPPED, remedy=HEADER_REMEDY)

    async def _run_errands(self) -> None:
        """Small changes that clients wait for, before anything new is taken."""
        waiting = await self._errands.waiting()
        known = self._on_errand  # with the notes of a turn before
        self._on_errand = {
            errand.id: known.get(errand.id) or self._machine.new_cluster(self._held)
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
            await self._errands.end(self._held().token, errand, error, notes, self._who, result)
            self._bell.ring()

    async def _expire(self) -> None:
        """Removes a kept copy whose time is over, when nothing else is in hand."""
        if boot_seconds() < self._expiry_rests_until:
            return
        operation = await self._kept_copies.expired()
        if operation is None or (await self._governor.service()).stopped:
            return
        cluster = self._machine.new_cluster(self._held)
        try:
            await self._home.check(anew=True)
            changes, notes = await expire(operation, cluster)
        except (ClusterTrouble, Failure) as error:
            log.warning("expiry_waits", operation=operation.id, reason=error.message)
            self._expiry_rests_until = boot_seconds() + EXPIRY_REST
            return
        notes = [*cluster.take_notes(), *notes]
        try:
            await self._operations.save(
                self._held().token, operation, changes, (), notes, self._who
            )
        except Outdated:  # it was asked back in this moment; what became of it is found there
            return

    async def _change(
        self,
        ear: Ear,
        running: dict[str, asyncio.Task[None]],
        renewing: asyncio.Task[None] | None,
    ) -> None:
        """Waits until something has ended, the bell rings, or it is time to look."""
        seconds = ERRAND_SECONDS if self._on_errand else IDLE_SECONDS
        listening = asyncio.ensure_future(ear.wait(seconds))
        tasks = {listening, *running.values(), *([renewing] if renewing else [])}
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            listening.cancel()
            await asyncio.gather(listening, return_exceptions=True)

    def _over(self, renewing: asyncio.Task[None] | None) -> bool:
        return self._broken or self._stop.is_set() or bool(renewing and renewing.done())

    def _held(self) -> Lease:
        """The lease as last renewed. Raises `LeaseLost`."""
        if self._lease is None:
            raise LeaseLost
        return self._lease

    def _tell(
        self, state: WorkerState, operations: Sequence[str] = (), error: str | None = None
    ) -> None:
        self.report = WorkerReport(state, tuple(operations), error)

    async def _sleep(self, seconds: float) -> None:
        try:
            await asyncio.wait_for(self._stop.wait(), seconds)
        except TimeoutError:
            return


def _is_new(operation: Operation) -> bool:
    """Nothing has been done for it yet, and nobody has asked it back."""
    return operation.started_at is None and operation.requested is Wish.NONE
