"""Database engines: SQLite with one writer, or PostgreSQL with no question waited for without
end."""

from __future__ import annotations

import asyncio
import sqlite3
import time
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import psycopg
from sqlalchemy import URL, event, func, make_url
from sqlalchemy.engine import ExceptionContext
from sqlalchemy.exc import ArgumentError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from app.domain.errors import StoreUnavailable

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


def with_patience(seconds: float) -> Callable[..., Awaitable[Patient]]:
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


BUSY_MILLISECONDS = 30_000
LEAST_IDLE_SECONDS = 5.0
"""Ten thousand rows are made between two statements."""
CONNECT_SECONDS = 10
IDLE = "idle_in_transaction_session_timeout"


def parse_url(address: str) -> URL:
    """`sqlite:///file` or `postgresql://user@host/name` (also with `?host=/socket/folder`).

    Raises `StoreUnavailable` for anything else.
    """
    try:
        url = make_url(address)
    except (ArgumentError, ValueError):  # its text may show a part of the password
        raise StoreUnavailable(
            "DATABASE_URL is not an address. Use sqlite:///file.db or postgresql://user@host/name; "
            "special characters in a password are written as %40 for @, %2F for / and so on."
        ) from None
    backend = {"postgres": "postgresql"}.get(*[url.get_backend_name()] * 2)
    if backend == "postgresql":
        return url.set(drivername="postgresql+psycopg")
    if backend == "sqlite" and url.database and not url.database.startswith((":", "file:")):
        return url.set(drivername="sqlite+aiosqlite")
    raise StoreUnavailable(
        "DATABASE_URL must begin with sqlite:/// and name a file, or with postgresql://."
    )


def sqlite_path(url: URL) -> Path | None:
    """The database file; None on PostgreSQL."""
    if url.get_backend_name() != "sqlite" or not url.database:
        return None
    return Path(url.database).absolute()


def is_new(address: str) -> bool:
    """True for an SQLite database of which there is no file yet. Raises `StoreUnavailable`."""
    file = sqlite_path(parse_url(address))
    return file is not None and not file.exists()


def without_password(address: str) -> str:
    """The address as it can be shown. Raises `StoreUnavailable`."""
    url = parse_url(address)
    return url.set(drivername=url.get_backend_name()).render_as_string(hide_password=True)


def open_engines(
    url: URL, idle_seconds: float = 15.0, answer_seconds: float = ANSWER_SECONDS
) -> tuple[AsyncEngine, AsyncEngine]:
    """The engine for transactions that write, and the one for those that only read.

    On SQLite the writer is one connection whose transactions begin with BEGIN IMMEDIATE: two that
    read before they write would lose an update without an error (aiosqlite begins too late by
    itself). Readers have connections of their own and are never kept waiting (WAL); a question is
    one statement, which is a transaction by itself.

    PostgreSQL ends a transaction that is left open for `idle_seconds`, see `limits_idle`, and a
    question without an answer for `answer_seconds` fails. Nothing
    is kept in a session, so that poolers may hand out another one for each transaction: no
    prepared statements, nothing in the start-up packet but what the address says, and a question
    is a transaction of its own here, too.
    """
    if url.get_backend_name() != "sqlite":
        engine = create_async_engine(
            url,
            pool_pre_ping=True,
            pool_size=5,
            max_overflow=5,
            connect_args={
                "prepare_threshold": None,
                "async_creator_fn": with_patience(answer_seconds),
                "connect_timeout": url.query.get("connect_timeout", CONNECT_SECONDS),
            },
            hide_parameters=True,
            execution_options={IDLE: _idle_milliseconds(url, idle_seconds)},
        )
        return engine, engine.execution_options(isolation_level="AUTOCOMMIT")
    writer = create_async_engine(
        url, pool_size=1, max_overflow=0, pool_timeout=60, hide_parameters=True
    )
    reader = create_async_engine(
        url, pool_size=4, max_overflow=0, pool_timeout=60, hide_parameters=True
    )
    for engine in (writer, reader):
        event.listen(engine.sync_engine, "handle_error", partial(_name_file, sqlite_path(url)))
    _prepare_sqlite(writer, query_only=False)
    _prepare_sqlite(reader, query_only=True)
    event.listen(writer.sync_engine, "begin", _begin_immediate)
    return writer, reader


def _idle_milliseconds(url: URL, seconds: float) -> int | None:
    """None where the address sets the limit itself."""
    given = url.query.get("options", ())
    if IDLE in " ".join([given] if isinstance(given, str) else given):
        return None
    return int(max(seconds, LEAST_IDLE_SECONDS) * 1000)


def limits_idle(statement: Any, engine: AsyncEngine) -> Any:
    """`statement`, the first of a transaction that locks something, with a request to PostgreSQL
    among what it returns: to end the transaction when it is left open. Itself on SQLite.

    An owner that is frozen, or cut off, in the middle of a save would otherwise keep the cluster's
    row, and so the role. As a part of that statement it takes no round trip of its own, and what is
    local to the transaction is no state that a pooler would have to keep.
    """
    milliseconds = engine.sync_engine.get_execution_options().get(IDLE)
    if milliseconds is None:
        return statement
    limit = func.set_config(IDLE, str(milliseconds), True)
    return statement.add_columns(limit) if statement.is_select else statement.returning(limit)


def _prepare_sqlite(engine: AsyncEngine, *, query_only: bool) -> None:
    # only SQLAlchemy calls it
    @event.listens_for(engine.sync_engine, "connect")
    def on_connect(connection: Any, _record: Any) -> None:  # pyright: ignore[reportUnusedFunction]
        connection.isolation_level = None
        cursor = connection.cursor()
        cursor.execute(f"PRAGMA busy_timeout={BUSY_MILLISECONDS}")
        cursor.execute("PRAGMA foreign_keys=ON")
        cursor.execute("PRAGMA temp_store=MEMORY")  # there may be no folder for temporary files
        if query_only:
            cursor.execute("PRAGMA query_only=ON")
        else:
            _switch_to_wal(connection, cursor)
            cursor.execute("PRAGMA synchronous=FULL")
        cursor.close()


def _name_file(file: Path | None, context: ExceptionContext) -> None:
    """SQLite's own words do not say which file cannot be opened or written."""
    if isinstance(context.original_exception, sqlite3.Error):
        # an attribute of our own, which an exception takes; `trouble.py` reads it
        context.original_exception.database_file = file  # pyright: ignore[reportAttributeAccessIssue]


def _begin_immediate(connection: Any) -> None:
    connection.exec_driver_sql("BEGIN IMMEDIATE")


def _switch_to_wal(connection: Any, cursor: Any) -> None:
    """SQLite does not apply `busy_timeout` to this: of two first starts one would fail at once."""
    deadline = time.monotonic() + BUSY_MILLISECONDS / 1000
    while True:
        try:
            cursor.execute("PRAGMA journal_mode=WAL")
            return
        except sqlite3.OperationalError as error:
            busy = error.sqlite_errorcode & 0xFF in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)
            if not busy or time.monotonic() > deadline:
                raise
        connection.run_async(_pause)


async def _pause(_connection: Any) -> None:
    await asyncio.sleep(0.02)
