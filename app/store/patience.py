"""A connection to PostgreSQL on which no question is waited for without end."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import psycopg

ANSWER_SECONDS = 30.0
"""Longer than a transaction that is left open keeps the cluster's row from others."""


def patient(seconds: float) -> Callable[..., Awaitable[psycopg.AsyncConnection[Any]]]:
    """How to connect so that a question without an answer for `seconds` is trouble of the store.

    A pooler keeps a question for two minutes while it has no server (pgbouncer 1.24,
    `query_wait_timeout`), and a network that drops packets for ever; the server's own
    `statement_timeout` ends neither.
    """

    class Patient(psycopg.AsyncConnection[Any]):
        async def wait(self, *given: Any, **named: Any) -> Any:
            try:
                async with asyncio.timeout(seconds):
                    return await super().wait(*given, **named)
            except TimeoutError:
                raise psycopg.OperationalError(f"no answer within {seconds:g} s") from None

    return Patient.connect
