"""From rows to domain values."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from typing import Any

from sqlalchemy import CursorResult, Executable, RowMapping
from sqlalchemy.ext.asyncio import AsyncEngine

from app.domain.operation import Operation
from app.store.trouble import translating


def operation_of(row: RowMapping) -> Operation:
    return Operation.model_validate(dict(row))


async def read_rows(reader: AsyncEngine, query: Executable) -> list[dict[str, Any]]:
    """Rows by column name, without the ORM: it would take half of the time of a long list."""
    async with _reading(reader, query) as found:
        keys = list(found.keys())
        return [dict(zip(keys, row, strict=True)) for row in found]


async def read_tuples(reader: AsyncEngine, query: Executable) -> Sequence[Sequence[Any]]:
    """Rows as bare as they come."""
    async with _reading(reader, query) as found:
        return found.all()


@asynccontextmanager
async def _reading(reader: AsyncEngine, query: Executable) -> AsyncGenerator[CursorResult[Any]]:
    with translating():
        async with reader.connect() as connection:
            yield await connection.execute(query)
