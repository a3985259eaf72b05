"""What can be wrong with a database: its file and what its errors mean, decided in one place,
in words without any SQL."""

from __future__ import annotations

import os
import pwd
import sqlite3
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

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
from app.domain.formatting import capped

PRIVATE = 0o600
"""Of the database, and of what lies beside it: SQLite gives `-wal` and `-shm` the same mode."""
LEAST_ROOM = 64 * 1024
"""Bytes."""
_ELSEWHERE = "or name a place that may be written in DATABASE_URL"


def make_file(file: Path) -> None:
    """An empty file for the database where there is none yet.

    Raises `StoreUnavailable` where this process may not use it, with path, user and remedy.
    """
    said = "unable to open database file"
    try:
        if _finding(file) is None:
            os.close(os.open(file, os.O_CREAT | os.O_RDWR, PRIVATE))
            return
    except OSError as error:
        said = f"{said}: {error.strerror}"
    raise StoreUnavailable(f"{said}. {explain_failure(file)}")


def check_room(file: Path) -> None:
    """Raises `StoreUnavailable` where the disk is full: a small change may still find room in what
    SQLite has already, and the next one not."""
    found = os.statvfs(file.parent)
    if found.f_bavail * found.f_frsize < LEAST_ROOM:
        raise StoreUnavailable(
            "The database can be read but not written: database or disk is full. Make room on the "
            f"file system of {file.parent}."
        )


def explain_failure(file: Path) -> str:
    """Which file, which user, what is wrong as far as can be seen, and the remedy."""
    finding, remedy = _finding(file) or ("", f"Look at {file.parent}, {_ELSEWHERE}.")
    return f"It is {file}, used by {_user()}{': ' if finding else ''}{finding}. {remedy}"


def open_private(file: Path) -> IO[str]:
    """To append to it and to read it; made for its owner only. Raises `OSError`."""
    return os.fdopen(os.open(file, os.O_CREAT | os.O_RDWR | os.O_APPEND, PRIVATE), "a+")


def _finding(file: Path) -> tuple[str, str] | None:
    """What is wrong with file or folder and what to do; None where nothing can be seen."""
    folder = file.parent
    if not folder.is_dir():
        found = "is not a folder" if folder.exists() else "does not exist"
        return f"{folder} {found}", f"Create that folder, {_ELSEWHERE}."
    if file.is_dir():
        return "it is a folder", "Name a file in DATABASE_URL."
    if os.statvfs(folder).f_flag & os.ST_RDONLY:
        return (
            f"the file system of {folder} is read-only",
            f"Mount a volume there that may be written, {_ELSEWHERE}.",
        )
    for path in (folder, file):
        wanted = os.R_OK | os.W_OK | (os.X_OK if path is folder else 0)
        if path.exists() and not os.access(path, wanted, effective_ids=True):
            return (
                f"{path} may not be read and written (it belongs to {_owner(path)})",
                f"Give it to that user (chown {os.geteuid()}:{os.getegid()} {path}; in Kubernetes "
                f"securityContext.fsGroup), {_ELSEWHERE}.",
            )
    return None


def _user() -> str:
    return f"user {_named(os.geteuid())}, group {os.getegid()}"


def _owner(path: Path) -> str:
    found = path.stat()
    return f"user {_named(found.st_uid)}, group {found.st_gid}, mode {found.st_mode & 0o777:03o}"


def _named(uid: int) -> str:
    """The number, with the name where there is one: containers run as users without."""
    try:
        return f"{uid} ({pwd.getpwuid(uid).pw_name})"
    except KeyError:
        return str(uid)


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
    where = f". {explain_failure(file)}" if file and code in _OF_FILE else ""
    return StoreUnavailable(f"The database {said}: {_words(error)}{where}")


def _words(error: Exception) -> str:
    """What the driver says. PostgreSQL puts a piece of the statement into all but its first line,
    where there is a position in it; libpq needs several lines for a connection that failed."""
    cause = getattr(error, "orig", None) or error
    said = getattr(getattr(cause, "diag", None), "message_primary", None)
    return capped(str(said or cause).strip(), MOST_CHARACTERS)
