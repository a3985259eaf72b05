"""The read model of the worker: who works, at what, and what it waits for."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from typing import Literal

from app.copying.pace import Pacing
from app.domain.brief import Brief
from app.domain.errors import OtherDatabase, ReindexQueueError
from app.domain.job import State
from app.domain.operation import Operation
from app.domain.ownership import Conflict
from app.domain.pace import Limit
from app.domain.reach import EVERYTHING, Reach
from app.elastic.answers import Version
from app.elastic.connection import REMEMBERED_SECONDS
from app.jobs.ownership import ClusterOwnership
from app.jobs.worker import Worker, WorkerReport, WorkerState
from app.sites.overview import OperationView, Overview
from app.store.listing import Filter
from app.store.role import owner_name
from app.store.store import Store
from app.upgrades.admission import Surroundings

PING_SECONDS = 2.0
MOST_IN_HAND = 50
IN_HAND = (State.RUNNING, State.HOLDING, State.UNDOING)
"""Started and not ended."""


@dataclass(frozen=True)
class ClusterReport:
    """The nodes' versions, oldest first; empty with an `error` where the cluster is away."""

    versions: list[Version]
    error: str | None


@dataclass(frozen=True)
class Situation:
    """`in_hand`: what is started and has not ended, by `queued_at`; `head`: of the batch queue."""

    worker: WorkerReport
    name: str
    holder: str | None
    counts: dict[State, int]
    in_hand: list[OperationView]
    head: OperationView | None
    cluster: ClusterReport
    database: Literal["sqlite", "postgresql"]
    limit: Limit
    conflict: Conflict | None = None

    @property
    def waits_for(self) -> str | None:
        """Why nothing moves, in a sentence; None where something does, or nothing is to do."""
        if self.conflict:
            return OtherDatabase(self.conflict).message
        return _of_worker(self) or _of_pace(self) or _of_head(self.head)


class Checkup:
    def __init__(
        self,
        store: Store,
        overview: Overview,
        surroundings: Surroundings,
        worker: Worker,
        pacing: Pacing,
        ownership: ClusterOwnership,
    ) -> None:
        self._ownership = ownership
        self._store = store
        self._overview = overview
        self._surroundings = surroundings
        self._worker = worker
        self._pacing = pacing
        self._cluster: tuple[float, ClusterReport] = (0.0, ClusterReport([], None))

    async def situation(self, reach: Reach = EVERYTHING) -> Situation:
        """Of the operations within `reach`. Raises `StoreTrouble`; a cluster that is away is a part
        of the answer."""
        report = self._worker.report
        if reach.limited:
            report = report.told_in_part()
        seen = Filter(IN_HAND, reach=reach)
        in_hand = await self._overview.page(seen, MOST_IN_HAND, counted=True)
        head = await self._store.lanes.head()
        assert in_hand.counts is not None
        return Situation(
            worker=report,
            name=owner_name(),
            holder=owner_name() if report.at_work else await self._store.role.holder(),
            counts=in_hand.counts,
            in_hand=in_hand.operations,
            head=(await self._overview.views([Brief.of(head)]))[0]
            if isinstance(head, Operation) and reach.covers_pair(head)
            else None,
            cluster=await self.cluster(),
            database=self._store.kind,
            limit=(await self._pacing.service()).limit,
            conflict=await self._ownership.conflict(),
        )

    async def cluster(self) -> ClusterReport:
        """Asked at most every few seconds, however many want to know."""
        known_at, report = self._cluster
        if not known_at or time.monotonic() - known_at > REMEMBERED_SECONDS:
            report = await self._ask()
            self._cluster = (time.monotonic(), report)
        return report

    async def _ask(self) -> ClusterReport:
        try:
            versions = await asyncio.wait_for(self._surroundings.versions(), PING_SECONDS)
        except ReindexQueueError as error:
            return ClusterReport([], error.message)
        except TimeoutError:
            return ClusterReport([], f"Elasticsearch gave no answer within {PING_SECONDS:g} s.")
        return ClusterReport(versions, None)


def _of_worker(situation: Situation) -> str | None:
    worker = situation.worker
    if worker.state is WorkerState.RESTARTING:
        return f"the worker starts again after an error: {worker.error}"
    if situation.holder is None and worker.state is not WorkerState.STARTING:
        return "no service has the worker role"
    return None


def _of_pace(situation: Situation) -> str | None:
    """A stop, and the hours of the service."""
    moves = situation.counts[State.RUNNING] + situation.counts[State.UNDOING]
    waits = situation.counts[State.WAITING] + situation.counts[State.HOLDING]
    return situation.limit.closed if waits and not moves else None


def _of_head(head: OperationView | None) -> str | None:
    return head.brief.hold_reason if head else None
