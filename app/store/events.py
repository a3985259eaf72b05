"""The event log: append-only, numbered in the order of the commits."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from pydantic import BaseModel, ConfigDict
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlmodel import col, select

from app.store.tables import ClusterStateRow, EventRow, read_rows


class Event(BaseModel):
    """Who did what to which index when, and how it was before and after."""

    model_config = ConfigDict(frozen=True)

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


class Events:
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
