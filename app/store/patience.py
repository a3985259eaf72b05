"""A connection to PostgreSQL on which no question is waited for without end."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import psycopg
from sqlalchemy.ext.asyncio import AsyncConnection

ANSWER_SECONDS = 30.0
"""Longer than a transaction that is left open keeps the cluster's row from others."""


class Patient(psycopg.AsyncConnection[Any]):
    """A question without an answer for `patience` seconds (None: no limit) is trouble of the store.

    A pooler keeps a question for two minutes while it has no server (pgbouncer 1.24,
    `query_wait_timeout`), and a network that drops packets for ever; the server's own
    `statement_timeout` ends neither.
    """

    patience: float | None = None

    async def wait(self, *given: Any, **named: Any) -> Any:
        try:
            async with asyncio.timeout(self.patience):
                return await super().wait(*given, **named)
        except TimeoutError:
            raise psycopg.OperationalError(f"no answer within {self.patience:g} s") from None


def patient(seconds: float) -> Callable[..., Awaitable[Patient]]:
    """How to connect with so much patience."""

    async def connect(*given: Any, **named: Any) -> Patient:
        connection = await Patient.connect(*given, **named)
        connection.patience = seconds
        return connection

    return connect


@asynccontextmanager
async def unhurried(connection: AsyncConnection) -> AsyncGenerator[None]:
    """A migration of a large table, and the wait for somebody else's, take their time."""
    raw = (await connection.get_raw_connection()).driver_connection
    if not isinstance(raw, Patient):
        yield
        return
    usual, raw.patience = raw.patience, None
    try:
        yield
    finally:
        raw.patience = usual
