"""Batches: what was posted together, found by its id or by its idempotency key."""

from __future__ import annotations

from datetime import datetime

from pydantic import BaseModel, ConfigDict
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlmodel import col, select

from app.store.rows import read_rows
from app.store.tables import BatchRow


class BatchRecord(BaseModel):
    """`refused`: `index`, `code` and `message` of each name that was not queued, in order."""

    model_config = ConfigDict(frozen=True)

    id: str
    caller: str
    created_at: datetime
    request_hash: str | None
    refused: list[dict[str, str]]


class Batches:
    def __init__(self, reader: AsyncEngine, cluster_id: str) -> None:
        self._reader = reader
        self._cluster_id = cluster_id

    async def find(self, batch_id: str) -> BatchRecord | None:
        return await self._first(batch_id, None)

    async def posted_with(self, key: str) -> BatchRecord | None:
        """The batch that was posted with that idempotency key."""
        return await self._first(None, key)

    async def _first(self, batch_id: str | None, key: str | None) -> BatchRecord | None:
        query = select(BatchRow).where(
            col(BatchRow.cluster_id) == self._cluster_id,
            col(BatchRow.id) == batch_id if batch_id else col(BatchRow.idempotency_key) == key,
        )
        rows = await read_rows(self._reader, query)
        return BatchRecord.model_validate(rows[0]) if rows else None
