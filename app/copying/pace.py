"""The pace: what API and command line ask and change. It is written here, and has its effect in the
worker."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from app.copying.limit import in_force
from app.domain import clock
from app.domain.brief import Brief
from app.domain.errors import InvalidPace, PartOutOfReach, UnknownBatch, UnknownOperation
from app.domain.hours import Schedule, are_open, next_change
from app.domain.pace import NO_LIMIT, AfterHours, ClusterHealth, Limit, Pace, Said, Scope, Stop
from app.domain.reach import EVERYTHING, Reach
from app.jobs.term import WakeUps
from app.store.listing import Filter
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
    health: ClusterHealth
    blocked: Sequence[str] = ()


class Pacing:
    """`defaults`: what the settings say, for as long as nobody has said otherwise."""

    def __init__(
        self, store: Store, defaults: Pace, wake_ups: WakeUps, after_hours: AfterHours | None = None
    ) -> None:
        self._store = store
        self._paces = store.paces
        self.defaults = defaults
        self._wake_ups = wake_ups
        self._after_hours = after_hours or AfterHours()

    # --- asking

    async def get(self, scope: Scope, owner_id: str = "", reach: Reach = EVERYTHING) -> PaceReport:
        """`owner_id`: of the batch or the operation. `reach`: of the caller.

        Raises `UnknownBatch`, `UnknownOperation`, also where nothing of it is within reach.
        """
        batch_id = await self._batch_of(scope, owner_id, reach)
        batch = await self._paces.get(Scope.BATCH, batch_id)
        is_operation, is_service = scope is Scope.OPERATION, scope is Scope.SERVICE
        own = await self._paces.get(scope, owner_id) if is_operation else NO_LIMIT
        found = await self._paces.of_service()
        said = self.said(found, batch, own)
        pace = dict(said.scopes())[scope]
        copying = 1 if is_service else await self._copying(found)
        return PaceReport(
            scope,
            pace,
            found.pace is not None if is_service else pace != NO_LIMIT,
            in_force(said, clock.now(), copying),
            found.stop,
            found.health,
            await self._blocked(reach) if is_service and found.stop else (),
        )

    async def service(self) -> PaceReport:
        return await self.get(Scope.SERVICE)

    async def _blocked(self, reach: Reach) -> list[str]:
        return [name for name in await self._paces.blocked_indices() if reach.covers(name)]

    async def limits(self, briefs: Sequence[Brief]) -> dict[str, Limit]:
        """The limit in force for each of these operations that has not ended, by its id."""
        live = [brief for brief in briefs if not brief.state.ended]
        if not live:
            return {}
        found, now = await self._paces.of_service(), clock.now()
        batches = await self._paces.get_all(
            Scope.BATCH, list({b.batch_id for b in live if b.batch_id})
        )
        operations = await self._paces.get_all(Scope.OPERATION, [brief.id for brief in live])
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

    async def _batch_of(self, scope: Scope, owner_id: str, reach: Reach = EVERYTHING) -> str | None:
        """The batch whose pace has a say. Raises `UnknownBatch`, `UnknownOperation`."""
        if scope is Scope.SERVICE:
            return None
        if scope is Scope.OPERATION:
            operation = await self._store.operations.load(owner_id)
            if not reach.covers_pair(operation):
                raise UnknownOperation(owner_id)
            return operation.batch_id
        if await self._store.batches.find(owner_id) is None:
            raise UnknownBatch(owner_id)
        if reach.limited and not await self._store.listing.page(_of(owner_id, reach), 1):
            raise UnknownBatch(owner_id)
        return owner_id

    async def _require(self, scope: Scope, owner_id: str, reach: Reach) -> None:
        """The pace of a batch is that of each of its operations. Raises `UnknownBatch`,
        `UnknownOperation`, `PartOutOfReach`."""
        if await self._batch_of(scope, owner_id, reach) is None or scope is not Scope.BATCH:
            return
        of_it = await self._store.operations.of_batch(owner_id)
        if not all(reach.covers_pair(operation) for operation in of_it):
            raise PartOutOfReach(owner_id)

    async def _copying(self, found: ServicePace) -> int:
        """By how many the service's rate is shared, where there is one."""
        if self.said(found).service.requests_per_second is None:
            return 1
        return max(1, await self._paces.copying())

    # --- changing

    async def change(
        self,
        change: Change,
        by: str,
        scope: Scope,
        owner_id: str = "",
        reach: Reach = EVERYTHING,
    ) -> PaceReport:
        """`owner_id`: of the batch or the operation. `reach`: of the caller.

        Raises `InvalidPace`, `UnknownBatch`, `UnknownOperation`, `WrongState` where it has ended,
        `PartOutOfReach`.
        """
        if reach.limited:
            await self._require(scope, owner_id, reach)
        wider = await self._hours_around(scope, owner_id)

        def checked(before: Pace) -> Pace | None:
            after = change(before)
            return after and _sensible(after, wider)

        unset = self.defaults if scope is Scope.SERVICE else NO_LIMIT
        await self._paces.change(checked, by, scope, owner_id, unset)
        return self._told(await self.get(scope, owner_id))

    async def forget(self, by: str, scope: Scope, owner_id: str = "") -> PaceReport:
        """Back to what holds where nothing is set. Raises as `change`."""
        return await self.change(lambda _: None, by, scope, owner_id)

    async def check_batch(self, pace: Pace) -> None:
        """Whether a batch that is still to be posted can have it. Raises `InvalidPace`."""
        _sensible(pace, self.said(await self._paces.of_service()).schedules)

    async def stop(self, by: str, reason: str) -> PaceReport:
        """Nothing new starts, and copies stop where they are; write blocks stay."""
        await self._paces.stop(by, reason)
        return self._told(await self.service())

    async def go_on(self, by: str) -> PaceReport:
        await self._paces.go_on(by)
        return self._told(await self.service())

    async def _hours_around(self, scope: Scope, owner_id: str) -> list[Schedule]:
        """Those of the wider scopes."""
        if scope is Scope.SERVICE:
            return []
        batch_id = await self._batch_of(scope, owner_id) if scope is Scope.OPERATION else None
        batch = await self._paces.get(Scope.BATCH, batch_id)
        return self.said(await self._paces.of_service(), batch).schedules

    def _told(self, report: PaceReport) -> PaceReport:
        self._wake_ups.wake()
        log.info("pace_changed", scope=report.scope.value, limit=report.limit.reason)
        return report


def _of(batch_id: str, reach: Reach) -> Filter:
    return Filter(batch=batch_id, reach=reach)


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
