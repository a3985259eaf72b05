"""The file of an SQLite database: made for its owner only, and why it cannot be used, in words."""

from __future__ import annotations

import os
import pwd
from pathlib import Path
from typing import IO

from app.domain.errors import StoreUnavailable

PRIVATE = 0o600
"""Of the database, and of what lies beside it: SQLite gives `-wal` and `-shm` the same mode."""
LEAST_ROOM = 64 * 1024
"""Bytes."""
_ELSEWHERE = "or name a place that may be written in DATABASE_URL"


def make(file: Path) -> None:
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
    raise StoreUnavailable(f"{said}. {explained(file)}")


def check_room(file: Path) -> None:
    """Raises `StoreUnavailable` where the disk is full: a small change may still find room in what
    SQLite has already, and the next one not."""
    found = os.statvfs(file.parent)
    if found.f_bavail * found.f_frsize < LEAST_ROOM:
        raise StoreUnavailable(
            "The database can be read but not written: database or disk is full. Make room on the "
            f"file system of {file.parent}."
        )


def explained(file: Path) -> str:
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
