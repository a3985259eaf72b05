"""The test's own look into a database, beside the store."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Connection, create_engine, text
from sqlalchemy.pool import NullPool

from app.store.engine import parse_url


@contextmanager
def connected(url: str) -> Generator[Connection]:
    """A connection in a transaction that is committed at the end."""
    address = parse_url(url)
    address = address.set(drivername=address.drivername.replace("+aiosqlite", ""))
    with create_engine(address, poolclass=NullPool).begin() as connection:
        yield connection


def execute(url: str, statement: str, **values: Any) -> list[tuple[Any, ...]]:
    """Runs one statement and answers its rows, if it has any."""
    with connected(url) as connection:
        result = connection.execute(text(statement), values)
        return [tuple(row) for row in result] if result.returns_rows else []
