"""The event log: events are added in the order of the commits; only a pruning removes old ones."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol, Self

from pydantic import BaseModel, ConfigDict
from sqlalchemy import ColumnElement, exists, func
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlmodel import col, select

from app.domain.events import EventKind
from app.domain.reach import EVERYTHING, Reach
from app.store.listing import within
from app.store.tables import ClusterStateRow, EventRow, JobRow, read_rows, read_tuples


class Event(BaseModel):
    """Who did what to which index when, and how it was before and after.

    `indices`: of its job, the name that was posted, the index behind it, and the target. None where
    the event is of no job, of one that is gone or has no target, or where nobody has looked.
    """

    model_config = ConfigDict(frozen=True)

    cluster_id: str
    number: int
    job_id: str | None
    batch_id: str | None
    at: datetime
    who: str
    what: str
    index_name: str | None
    text: str
    before: Any
    after: Any
    indices: tuple[str, ...] | None = None

    def without_documents(self) -> Self:
        """Without what may hold ids and values of documents: for viewers of some indices only."""
        hidden: dict[str, Any] = {"before": None, "after": None}
        if self.what == EventKind.TURNED_BACK:  # the error may name documents
            hidden["text"] = ""
        return self.model_copy(update=hidden)


class Sortable(Protocol):
    """What an `EventFilter` looks at."""

    @property
    def job_id(self) -> str | None: ...
    @property
    def batch_id(self) -> str | None: ...
    @property
    def what(self) -> str: ...
    @property
    def indices(self) -> tuple[str, ...] | None: ...


@dataclass(frozen=True)
class EventFilter:
    """Which events are wanted; None, or no kind: whichever. `reach`: of who wants them. Where that
    is limited, only events of jobs whose source and target are within it are wanted.

    It is written down twice, for rows of the table and for events in memory: a test compares both.
    """

    batch_id: str | None = None
    job_id: str | None = None
    kinds: frozenset[str] = frozenset()
    reach: Reach = EVERYTHING

    def takes(self, event: Sortable) -> bool:
        return (
            self.batch_id in (None, event.batch_id)
            and self.job_id in (None, event.job_id)
            and (not self.kinds or event.what in self.kinds)
            and self._reaches(event.indices)
        )

    def _reaches(self, indices: tuple[str, ...] | None) -> bool:
        if not self.reach.limited:
            return True
        return indices is not None and self.reach.covers(*indices)

    @property
    def conditions(self) -> list[ColumnElement[bool]]:
        found: list[ColumnElement[bool]] = []
        if self.batch_id is not None:
            found.append(col(EventRow.batch_id) == self.batch_id)
        if self.job_id is not None:
            found.append(col(EventRow.job_id) == self.job_id)
        if self.kinds:
            found.append(col(EventRow.what).in_(sorted(self.kinds)))
        if self.reach.limited:
            its_job = col(JobRow.id) == col(EventRow.job_id)
            found.append(exists().where(its_job, *within(self.reach)))
        return found


EVERY_EVENT = EventFilter()


class EventLog:
    """The event logs of several clusters, which are in one database.

    What is visible of a log has no gap that is filled later: each writing transaction keeps the
    row of its cluster locked until its commit is visible, and that row has the number of its last
    event (`store/transactions.py`).
    """

    def __init__(self, reader: AsyncEngine, clusters: Sequence[str]) -> None:
        self._reader = reader
        self.clusters = tuple(clusters)

    async def heads(self) -> dict[str, int]:
        """The number of the newest event of each cluster; 0 where there was never one."""
        query = select(ClusterStateRow.cluster_id, ClusterStateRow.last_event).where(
            col(ClusterStateRow.cluster_id).in_(self.clusters)
        )
        rows = await read_tuples(self._reader, query)
        return dict.fromkeys(self.clusters, 0) | {row[0]: row[1] for row in rows}

    async def between(
        self,
        cluster: str,
        above: int,
        upto: int,
        *,
        wanted: EventFilter = EVERY_EVENT,
        limit: int,
        newest_first: bool = False,
        with_indices: bool = False,
    ) -> list[Event]:
        """At most `limit` of the events from `above` + 1 to `upto`, by their numbers."""
        number = col(EventRow.number)
        query = (
            select(EventRow)
            .where(
                col(EventRow.cluster_id) == cluster,
                number > above,
                number <= upto,
                *wanted.conditions,
            )
            .order_by(number.desc() if newest_first else number)
            .limit(limit)
        )
        rows = await read_rows(self._reader, query)
        jobs = {str(row["job_id"]) for row in rows if row["job_id"]} if with_indices else set[str]()
        indices = await self._indices(jobs) if jobs else {}
        return [
            Event.model_validate({**row, "indices": indices.get(row["job_id"])}) for row in rows
        ]

    async def _indices(self, jobs: Collection[str]) -> dict[str, tuple[str, ...]]:
        """`Event.indices` of these jobs."""
        source = func.coalesce(JobRow.concrete_name, JobRow.index_name)
        query = select(col(JobRow.id), JobRow.index_name, source, JobRow.new_index_name).where(
            col(JobRow.id).in_(jobs), col(JobRow.new_index_name).is_not(None)
        )
        found = await read_tuples(self._reader, query)
        return {row[0]: tuple(row[1:]) for row in found}

    async def count(self, cluster: str, above: int, upto: int) -> int:
        """How many of the events from `above` + 1 to `upto` are there: a pruning removes some."""
        number = col(EventRow.number)
        query = select(func.count()).where(
            col(EventRow.cluster_id) == cluster, number > above, number <= upto
        )
        ((found,),) = await read_tuples(self._reader, query)
        return int(found)


class Events:
    """The event log of one cluster."""

    def __init__(self, reader: AsyncEngine, cluster_id: str) -> None:
        self._reader = reader
        self._cluster_id = cluster_id

    async def after(self, number: int, limit: int = 1_000) -> list[Event]:
        """Events with a greater number, oldest first."""
        query = (
            select(EventRow)
            .where(col(EventRow.cluster_id) == self._cluster_id, col(EventRow.number) > number)
            .order_by(col(EventRow.number))
            .limit(limit)
        )
        return [Event.model_validate(row) for row in await read_rows(self._reader, query)]

    async def newest(self) -> int:
        """The number of the newest event; 0 before the first."""
        query = select(ClusterStateRow.last_event).where(
            col(ClusterStateRow.cluster_id) == self._cluster_id
        )
        return next((row["last_event"] for row in await read_rows(self._reader, query)), 0)

    async def of_operation(self, operation_id: str, most: int | None = None) -> list[Event]:
        """The newest `most`, oldest first."""
        query = (
            select(EventRow)
            .where(
                col(EventRow.cluster_id) == self._cluster_id,
                col(EventRow.job_id) == operation_id,
            )
            .order_by(col(EventRow.number).desc())
            .limit(most)
        )
        rows = await read_rows(self._reader, query)
        return [Event.model_validate(row) for row in reversed(rows)]
