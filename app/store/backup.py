"""A copy of an SQLite database, made while a service works on it."""

from __future__ import annotations

import contextlib
import os
import shlex
import sqlite3
from collections.abc import Generator
from pathlib import Path

from app.domain.errors import BackupFailed
from app.domain.formatting import capped
from app.store.engine import BUSY_MILLISECONDS, parse_url, sqlite_path
from app.store.trouble import PRIVATE

A_COPY = "a copy"
"""In the place of the writer of a mark."""


def file_of(address: str) -> Path | None:
    """The file of that database; None on PostgreSQL. Raises `StoreUnavailable` for what is no
    address."""
    return sqlite_path(parse_url(address))


def dump_command(address: str, target: str) -> str:
    """What a person does instead on PostgreSQL: a line for a shell, without the password."""
    # Not by `set`, which takes None for "as it is".
    url = parse_url(address)._replace(drivername="postgresql", password=None)
    url = url.difference_update_query(["password", "sslpassword"])
    return shlex.join(
        [
            "pg_dump",
            "--format=custom",
            f"--file={target}",
            url.render_as_string(hide_password=False),
        ]
    )


def copy_to(source: Path, target: Path) -> int:
    """Writes all of `source`, as it is at one moment, to the new file `target`, for its owner only;
    answers its bytes. Nothing is left where it fails, and a file that is there is never touched.

    By `VACUUM INTO`: one statement reads one snapshot, whoever writes meanwhile, in this process
    or another. SQLite's backup of pages would begin anew with each commit of another process, or
    copy all pages in one step, with those that were freed; so what was pruned would be in the copy.

    Raises `BackupFailed`.
    """
    if not source.is_file():
        raise BackupFailed(f"There is no database {source}. Correct DATABASE_URL.")
    with _made(target.absolute()) as growing, _read(source, target) as connection:
        connection.execute("VACUUM INTO ?", (str(growing),))
        _mark_as_copy(growing)
        _check(growing)
    return target.stat().st_size


def _mark_as_copy(file: Path) -> None:
    """The mark in the cluster is not the copy's own, also where it is of the same term: a service
    that is started on the copy changes nothing until a person says so (`app.domain.ownership`).
    A database of an older release has no such column yet, and then no mark either."""
    with contextlib.closing(sqlite3.connect(str(file))) as copy, contextlib.suppress(sqlite3.Error):
        copy.execute("UPDATE cluster_state SET writer = ? WHERE term > 0", (A_COPY,))
        copy.commit()


@contextlib.contextmanager
def _made(target: Path) -> Generator[Path]:
    """An empty file beside `target`, which takes its place when it was filled.

    Until then an empty `target` keeps the name, so that nothing is overwritten in the end: a copy
    that was cut is a file of no bytes, and so never taken for one.
    """
    growing = target.with_name(f".{target.name}.{os.getpid()}.part")
    with _told(target):
        _make(target)
        try:
            _make(growing)
            yield growing
            _flush(growing)
            growing.replace(target)
            _flush(target.parent)
        except BaseException:
            growing.unlink(missing_ok=True)
            target.unlink(missing_ok=True)
            raise


def _make(file: Path) -> None:
    """An empty one, for its owner only. Raises `FileExistsError`, also for a link to nowhere."""
    os.close(os.open(file, os.O_CREAT | os.O_EXCL | os.O_WRONLY, PRIVATE))


@contextlib.contextmanager
def _read(source: Path, target: Path) -> Generator[sqlite3.Connection]:
    """A connection that changes nothing and makes no database."""
    try:
        connection = sqlite3.connect(f"{source.as_uri()}?mode=rw", uri=True, isolation_level=None)
        with contextlib.closing(connection):
            connection.execute(f"PRAGMA busy_timeout={BUSY_MILLISECONDS}")
            yield connection
    except sqlite3.Error as error:
        raise BackupFailed(
            f"{source} cannot be copied to {target}: {capped(str(error))}."
        ) from None


@contextlib.contextmanager
def _told(target: Path) -> Generator[None]:
    try:
        yield
    except FileExistsError:
        raise BackupFailed(f"{target} is there already. Name a file that is not.") from None
    except OSError as error:
        raise BackupFailed(f"{target} cannot be written: {error.strerror}.") from None


def _check(copy: Path) -> None:
    """Raises `BackupFailed` where the copy is not whole."""
    with contextlib.closing(sqlite3.connect(f"{copy.as_uri()}?mode=ro", uri=True)) as connection:
        ((found,),) = connection.execute("PRAGMA quick_check(1)").fetchall()
    if found != "ok":
        raise BackupFailed(f"The copy is not whole: {capped(str(found))}. Look at the disks.")


def _flush(path: Path) -> None:
    """To the disk: the content of a file, the names of a folder."""
    opened = os.open(path, os.O_RDONLY)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)
