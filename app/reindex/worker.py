"""The worker: holds the role, takes the head of the queue, runs it to its end."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from enum import StrEnum

from app.domain.errors import LeaseLost, StoreTrouble
from app.reindex.announcements import Bell
from app.reindex.machine import Machine, backoff
from app.store.operations import Operations
from app.store.role import Lease, WorkerRole
from app.telemetry import logger

log = logger(__name__)

IDLE_SECONDS = 5.0
"""How often an idle worker asks the store; a POST to this service rings the bell."""
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
    """For `/readyz`: `operation_id` of what is being worked on, `error` of the last crash."""

    state: WorkerState
    operation_id: str | None
    error: str | None

    @property
    def alive(self) -> bool:
        return self.state not in (WorkerState.RESTARTING, WorkerState.STOPPED)


class Worker:
    """One task in the service's process. It stops by event between steps, never by cancellation."""

    def __init__(
        self, role: WorkerRole, operations: Operations, machine: Machine, bell: Bell, who: str
    ) -> None:
        self._role = role
        self._operations = operations
        self._machine = machine
        self._bell = bell
        self._who = who
        self._lease: Lease | None = None
        self._stop = asyncio.Event()
        self._crashes = 0
        self.report = WorkerReport(WorkerState.STARTING, None, None)

    def stop(self) -> None:
        """Asks the worker to end after the step it is in."""
        self._stop.set()
        self._bell.ring()

    async def run(self) -> None:
        """Until `stop`. Whatever ends a term of work, the next one starts from the store."""
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
                await self._restart(f"{type(error).__name__}: {error}")
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
        while not self._stop.is_set():
            if renewing and renewing.done():
                raise LeaseLost
            operation = await self._operations.head()
            if operation and operation.started_at is None:
                operation = await self._operations.claim(
                    self._held().token, operation.id, self._who
                )
            if operation is None:
                self._tell(WorkerState.IDLE)
                self._crashes = 0
                await self._bell.wait(IDLE_SECONDS)
                continue
            self._tell(WorkerState.WORKING, operation.id)
            await self._machine.run(operation, self._held, lambda: self._over(renewing))

    def _over(self, renewing: asyncio.Task[None] | None) -> bool:
        return self._stop.is_set() or bool(renewing and renewing.done())

    def _held(self) -> Lease:
        """The lease as last renewed. Raises `LeaseLost`."""
        if self._lease is None:
            raise LeaseLost
        return self._lease

    def _tell(
        self, state: WorkerState, operation_id: str | None = None, error: str | None = None
    ) -> None:
        self.report = WorkerReport(state, operation_id, error)

    async def _sleep(self, seconds: float) -> None:
        try:
            await asyncio.wait_for(self._stop.wait(), seconds)
        except TimeoutError:
            return
