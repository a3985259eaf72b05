"""The pace: what API and command line ask and change. Wishes are written here, never effects."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from app.copying.limit import in_force
from app.domain import clock
from app.domain.brief import Brief
from app.domain.errors import InvalidPace, UnknownBatch, UnknownOperation
from app.domain.hours import Schedule, are_open, next_change
from app.domain.pace import (
    NO_LIMIT,
    AfterHours,
    Health,
    Limit,
    Pace,
    Said,
    Scope,
    Stop,
)
from app.jobs.wake_up import Bell
from app.store.paces import Change, ServicePace
from app.store.store import Store
from app.telemetry import logger

log = logger(__name__)


@dataclass(frozen=True)
class PaceReport:
    """What is set in one place, and the limit in force there. `stored`: somebody has set it.

    `blocked`: while everything is stopped, the indices whose writes stay blocked.
    """

    scope: Scope
    pace: Pace
    stored: bool
    limit: Limit
    stop: Stop | None
    health: Health
    blocked: Sequence[str] = ()


class Pacing:
    """`defaults`: what the settings say, for as long as nobody has said otherwise."""

    def __init__(
        self, store: Store, defaults: Pace, bell: Bell, after_hours: AfterHours | None = None
    ) -> None:
        self._store = store
        self._paces = store.paces
        self.defaults = defaults
        self._bell = bell
        self._after_hours = after_hours or AfterHours()

    # --- asking

    async def service(self) -> PaceReport:
        found = await self._paces.of_service()
        said = self.said(found)
        return PaceReport(
            Scope.SERVICE,
            said.service,
            found.pace is not None,
            in_force(said, clock.now()),
            found.stop,
            found.health,
            await self._paces.blocked_indices() if found.stop else (),
        )

    async def batch(self, batch_id: str) -> PaceReport:
        """Raises `UnknownBatch`."""
        if await self._store.batches.find(batch_id) is None:
            raise UnknownBatch(batch_id)
        pace = await self._paces.of_batch(batch_id)
        return await self._report(Scope.BATCH, pace, NO_LIMIT)

    async def operation(self, operation_id: str) -> PaceReport:
        """Raises `UnknownOperation`."""
        operation = await self._store.operations.find(operation_id)
        if operation is None:
            raise UnknownOperation(operation_id)
        pace = (await self._paces.of_operations([operation_id])).get(operation_id, NO_LIMIT)
        return await self._report(
            Scope.OPERATION, pace, await self._paces.of_batch(operation.batch_id)
        )

    async def limits(self, briefs: Sequence[Brief]) -> dict[str, Limit]:
        """The limit in force for each of these operations that has not ended, by its id."""
        live = [brief for brief in briefs if not brief.state.ended]
        if not live:
            return {}
        found, now = await self._paces.of_service(), clock.now()
        batches = await self._paces.of_batches(list({b.batch_id for b in live if b.batch_id}))
        operations = await self._paces.of_operations([brief.id for brief in live])
        copying = await self._copying(found)
        return {
            brief.id: in_force(
                self.said(
                    found,
                    batches.get(brief.batch_id or "", NO_LIMIT),
                    operations.get(brief.id, NO_LIMIT),
                ),
                now,
                copying,
                blocked=brief.writes_blocked,
            )
            for brief in live
        }

    def said(self, found: ServicePace, batch: Pace = NO_LIMIT, operation: Pace = NO_LIMIT) -> Said:
        """All that has a say, with the settings where nothing else is said."""
        pace, usual = found.pace or self.defaults, self.defaults.windows_in_flight
        if pace.windows_in_flight is None:
            pace = pace.model_copy(update={"windows_in_flight": usual})
        return Said(pace, batch, operation, found.stop, found.health, usual or 1, self._after_hours)

    async def _report(self, scope: Scope, pace: Pace, of_batch: Pace) -> PaceReport:
        found = await self._paces.of_service()
        batch, operation = (pace, NO_LIMIT) if scope is Scope.BATCH else (of_batch, pace)
        copying = await self._copying(found)
        limit = in_force(self.said(found, batch, operation), clock.now(), copying)
        return PaceReport(scope, pace, pace != NO_LIMIT, limit, found.stop, found.health)

    async def _copying(self, found: ServicePace) -> int:
        """By how many the service's rate is shared, where there is one."""
        if self.said(found).service.requests_per_second is None:
            return 1
        return max(1, await self._paces.copying())

    # --- wishes

    async def change_service(self, change: Callable[[Pace], Pace | None], by: str) -> PaceReport:
        """None as the result: as the settings say. Raises `InvalidPace`."""

        def checked(before: Pace) -> Pace | None:
            after = change(before)
            return after and _sensible(after)

        await self._paces.change_service(checked, self.defaults, by)
        return self._told(await self.service())

    async def check_batch(self, pace: Pace) -> None:
        """Whether a batch can have it. Raises `InvalidPace`."""
        _sensible(pace, await self._hours_of_service())

    async def change_batch(self, batch_id: str, change: Change, by: str) -> PaceReport:
        """Raises `InvalidPace`, `UnknownBatch`."""
        wider = await self._hours_of_service()
        await self._paces.change_batch(batch_id, lambda p: _sensible(change(p), wider), by)
        return self._told(await self.batch(batch_id))

    async def change_operation(self, operation_id: str, change: Change, by: str) -> PaceReport:
        """Raises `InvalidPace`, `UnknownOperation`, `WrongState` where it has ended."""
        operation = await self._store.operations.find(operation_id)
        of_batch = await self._paces.of_batch(operation.batch_id if operation else None)
        wider = [*await self._hours_of_service(), *([of_batch.hours] if of_batch.hours else [])]
        await self._paces.change_operation(operation_id, lambda p: _sensible(change(p), wider), by)
        return self._told(await self.operation(operation_id))

    async def stop(self, by: str, reason: str) -> PaceReport:
        """Nothing new starts, and copies stop where they are; write blocks stay."""
        await self._paces.stop(by, reason)
        return self._told(await self.service())

    async def go_on(self, by: str) -> PaceReport:
        await self._paces.go_on(by)
        return self._told(await self.service())

    async def _hours_of_service(self) -> list[Schedule]:
        return self.said(await self._paces.of_service()).schedules

    def _told(self, report: PaceReport) -> PaceReport:
        self._bell.ring()
        log.info("pace_changed", scope=report.scope.value, limit=report.limit.reason)
        return report


def _sensible(pace: Pace, wider: Sequence[Schedule] = ()) -> Pace:
    """`pace`, if it can be kept to. `wider`: the hours around it. Raises `InvalidPace`."""
    pace.checked()
    schedules = [*wider, *([pace.hours] if pace.hours else [])]
    now = clock.now()
    if pace.hours and not are_open(schedules, now) and next_change(schedules, now) is None:
        raise InvalidPace(
            f"The hours {', '.join(map(str, pace.hours))} never open together with those of the "
            "batch or the service."
        )
    return pace
