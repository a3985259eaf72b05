"""The read model of `/metrics`: what lists, the worker, database and cluster say now, as figures
without the name of an index."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from app.domain import clock
from app.domain.errors import StoreTrouble
from app.domain.holds import HoldCause
from app.domain.job import State
from app.domain.operation import REWRITE
from app.jobs.worker import Worker, WorkerReport
from app.sites.checkup import PING_SECONDS, Checkup
from app.store.store import Store

OTHER = "other"
"""The kind of a job that only another release knows: labels are of a closed list."""


@dataclass(frozen=True)
class WorkFigures:
    """What only the service with the worker role tells, so that sums over services are right.

    `jobs` by kind and state; `holding`: those in hand, by what they wait for; `speed`: documents a
    second of all copies now; `blocked_since`: of each index that takes no writes, oldest first;
    `closed`: nothing may begin, since everything is stopped or it is outside of the hours.
    `last_event`: the number of the newest event.
    """

    jobs: Mapping[tuple[str, State], int]
    holding: Mapping[HoldCause, int]
    speed: float
    blocked_since: Sequence[datetime]
    closed: bool
    last_event: int


@dataclass(frozen=True)
class SiteFigures:
    """`work` is None for a standby, and while the database is away."""

    worker: WorkerReport
    database: bool
    elasticsearch: bool
    work: WorkFigures | None


class Figures:
    def __init__(self, store: Store, checkup: Checkup, worker: Worker) -> None:
        self._store = store
        self._checkup = checkup
        self._worker = worker

    async def now(self) -> SiteFigures:
        """Asks the database, and Elasticsearch at most every few seconds. What is away is a part of
        the answer."""
        database, work = await self._of_store()
        cluster = await self._checkup.cluster()
        return SiteFigures(self._worker.report, database, cluster.error is None, work)

    async def _of_store(self) -> tuple[bool, WorkFigures | None]:
        """Whether the database does its work; what it says, where this service is the worker."""
        try:
            await self._store.check(PING_SECONDS)
            return True, await self._work() if self._worker.report.at_work else None
        except StoreTrouble:
            return False, None

    async def _work(self) -> WorkFigures:
        """Raises `StoreTrouble`."""
        situation = await self._checkup.situation()
        rewrites = {(REWRITE, state): number for state, number in situation.counts.items()}
        since = await self._store.listing.blocked_since()
        speeds = [view.progress.speed for view in situation.in_hand if view.progress]
        return WorkFigures(
            jobs=rewrites | await self._others(),
            holding=Counter(self._worker.machine.holding.values()),
            speed=sum(speed for speed in speeds if speed is not None),
            blocked_since=sorted(clock.as_of_now(one) for one in since),
            closed=situation.limit.closed is not None,
            last_event=await self._store.events.newest(),
        )

    async def _others(self) -> dict[tuple[str, State], int]:
        """Jobs of other kinds that live. Those of kinds that only another release knows are one."""
        known = self._worker.machine.kinds
        counted = Counter[tuple[str, State]]()
        for (kind, state), number in (await self._store.listing.others()).items():
            counted[kind if kind in known else OTHER, state] += number
        return dict(counted)
