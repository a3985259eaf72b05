"""What an error of the database means, decided in one place, and its words without any SQL."""

from __future__ import annotations

import sqlite3
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy.exc import (
    DatabaseError,
    DBAPIError,
    InterfaceError,
    InternalError,
    OperationalError,
    PendingRollbackError,
    SQLAlchemyError,
)
from sqlalchemy.exc import TimeoutError as PoolTimeout

from app.domain.errors import StoreFault, StoreTrouble, StoreUnavailable
from app.domain.texts import capped
from app.store import sqlite_file

_PASSING = (
    OperationalError,
    InterfaceError,
    InternalError,
    PendingRollbackError,
    PoolTimeout,
    OSError,
)
"""Waiting may mend it: no answer, a lost connection (a pending rollback where SQLAlchemy has
noticed that late), a pooler's own errors (class 08 and XX of SQLSTATE), no room, a transaction
that was ended for being idle, a server that only reads for now. A plain `DatabaseError` is
SQLite's word for a file that is no database, or a broken one."""
MOST_CHARACTERS = 300
READ_ONLY = "25006"
"""PostgreSQL's SQLSTATE for a change in a transaction, or on a server, that only reads."""
_OF_FILE = (sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_PERM)


@contextmanager
def translating() -> Generator[None]:
    """Makes what SQLAlchemy, the driver or the file system raise within it ours.

    Raises `StoreUnavailable` for what passes, and `StoreFault` for what the database refuses: a
    right that was taken away, a table that is gone. The error that was met is not chained: its
    text has the statement, which would come into the log.
    """
    try:
        yield
    except (SQLAlchemyError, OSError) as error:
        raise _translated(error) from None


def _translated(error: Exception) -> StoreTrouble:
    lost = isinstance(error, DBAPIError) and error.connection_invalidated
    if lost or isinstance(error, _PASSING) or type(error) is DatabaseError:
        return _unavailable(error)
    return StoreFault(f"The database refuses what it is asked for: {_words(error)}")


def _unavailable(error: Exception) -> StoreUnavailable:
    cause = getattr(error, "orig", None) or error
    file: Path | None = getattr(cause, "database_file", None)
    code = getattr(cause, "sqlite_errorcode", 0) & 0xFF
    read_only = code == sqlite3.SQLITE_READONLY or getattr(cause, "sqlstate", "") == READ_ONLY
    said = "can be read but not written" if read_only else "does not answer"
    where = f". {sqlite_file.explained(file)}" if file and code in _OF_FILE else ""
    return StoreUnavailable(f"The database {said}: {_words(error)}{where}")


def _words(error: Exception) -> str:
    """What the driver says. PostgreSQL puts a piece of the statement into all but its first line,
    where there is a position in it; libpq needs several lines for a connection that failed."""
    cause = getattr(error, "orig", None) or error
    said = getattr(getattr(cause, "diag", None), "message_primary", None)
    return capped(str(said or cause).strip(), MOST_CHARACTERS)
