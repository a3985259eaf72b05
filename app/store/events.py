"""The event log: events are added in the order of the commits; only a pruning removes old ones."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from pydantic import BaseModel, ConfigDict
from sqlalchemy import ColumnElement, func
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlmodel import col, select

from app.store.tables import ClusterStateRow, EventRow, read_rows, read_tuples


class Event(BaseModel):
    """Who did what to which index when, and how it was before and after."""

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


class Sortable(Protocol):
    """What an `EventFilter` looks at."""

    @property
    def job_id(self) -> str | None: ...
    @property
    def batch_id(self) -> str | None: ...
    @property
    def what(self) -> str: ...


@dataclass(frozen=True)
class EventFilter:
    """Which events are wanted; None, or no kind: whichever.

    It is written down twice, for rows of the table and for events in memory: a test compares both.
    """

    batch_id: str | None = None
    job_id: str | None = None
    kinds: frozenset[str] = frozenset()

    def takes(self, event: Sortable) -> bool:
        return (
            self.batch_id in (None, event.batch_id)
            and self.job_id in (None, event.job_id)
            and (not self.kinds or event.what in self.kinds)
        )

    @property
    def conditions(self) -> list[ColumnElement[bool]]:
        found: list[ColumnElement[bool]] = []
        if self.batch_id is not None:
            found.append(col(EventRow.batch_id) == self.batch_id)
        if self.job_id is not None:
            found.append(col(EventRow.job_id) == self.job_id)
        if self.kinds:
            found.append(col(EventRow.what).in_(sorted(self.kinds)))
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
        return [Event.model_validate(row) for row in await read_rows(self._reader, query)]

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
