"""A backup of an SQLite database: whole, of one moment, for its owner only, and over nothing."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import pytest

from app.domain.errors import BackupFailed, StoreUnavailable
from app.store.backup import copy_to, dump_command, file_of
from app.store.store import Store
from tests.store.database import execute
from tests.store.operations import enqueue


@pytest.fixture
def source(sqlite_url: str) -> Path:
    found = file_of(sqlite_url)
    assert found
    return found


@pytest.fixture
async def store(sqlite_url: str) -> AsyncGenerator[Store]:
    """A service that works on the database meanwhile."""
    opened = await Store.open(sqlite_url, "test", 60.0)
    yield opened
    await opened.close()


def only(folder: Path) -> set[str]:
    """What is there beside the database and what belongs to it."""
    return {file.name for file in folder.iterdir() if not file.name.startswith("queue.db")}


async def test_the_copy_is_a_database_with_all_that_was_saved(
    store: Store, source: Path, tmp_path: Path
) -> None:
    await enqueue(store, "a", "b")
    copy = tmp_path / "copy"
    size = copy_to(source, copy)
    assert size == copy.stat().st_size
    assert copy.stat().st_mode & 0o777 == 0o600
    assert only(tmp_path) == {"copy"}
    url = f"sqlite:///{copy}"
    assert execute(url, "SELECT index_name FROM job ORDER BY 1") == [("a",), ("b",)]
    again = await Store.open(url, "test", 60.0)
    assert await again.operations.live_names() == {"a", "b"}
    await again.close()
    await enqueue(store, "c")  # the service goes on


async def test_it_is_of_one_moment_while_others_write(
    store: Store, source: Path, tmp_path: Path
) -> None:
    await enqueue(store, "first")
    written = asyncio.Event()

    async def write() -> None:
        for n in range(1, 10_000):
            await enqueue(store, f"a-{n}", f"b-{n}")
            if n >= 5:
                written.set()

    writing = asyncio.create_task(write())
    await written.wait()
    try:
        for n in range(5):
            await asyncio.to_thread(copy_to, source, tmp_path / f"copy-{n}")
    finally:
        writing.cancel()
        await asyncio.gather(writing, return_exceptions=True)
    numbers: list[int] = []
    for n in range(5):
        url = f"sqlite:///{tmp_path / f'copy-{n}'}"
        pairs = execute(
            url,
            "SELECT batch_id, count(*) FROM job WHERE index_name <> 'first' GROUP BY batch_id",
        )
        assert {number for _, number in pairs} == {2}
        ((events,),) = execute(url, "SELECT count(*) FROM event")
        assert events == 2 * len(pairs) + 1
        numbers.append(len(pairs))
    assert numbers == sorted(numbers)
    assert numbers[0] >= 5


async def test_what_was_removed_is_not_in_it(store: Store, source: Path, tmp_path: Path) -> None:
    await enqueue(store, "forgotten-index")
    for table in ("event", "job"):
        execute(f"sqlite:///{source}", f"DELETE FROM {table}")
    copy_to(source, tmp_path / "copy")
    assert b"forgotten-index" not in (tmp_path / "copy").read_bytes()


@pytest.mark.parametrize("there", ["file", "folder", "link", "link to nowhere"])
async def test_nothing_is_overwritten(
    store: Store, source: Path, tmp_path: Path, there: str
) -> None:
    assert store
    target, other = tmp_path / "copy", tmp_path / "other"
    if there == "file":
        target.write_text("precious")
    elif there == "folder":
        target.mkdir()
    else:
        if there == "link":
            other.write_text("precious")
        target.symlink_to(other)
    before = only(tmp_path)
    with pytest.raises(BackupFailed, match="is there already"):
        copy_to(source, target)
    assert only(tmp_path) == before
    if target.is_file():
        assert target.read_text() == "precious"
    assert copy_to(source, tmp_path / "elsewhere")


async def test_the_database_itself_is_not_a_place_for_it(store: Store, source: Path) -> None:
    assert store
    with pytest.raises(BackupFailed, match="is there already"):
        copy_to(source, source)


async def test_a_folder_that_is_not_there_is_told(
    store: Store, source: Path, tmp_path: Path
) -> None:
    assert store
    with pytest.raises(BackupFailed, match="No such file or directory"):
        copy_to(source, tmp_path / "nowhere" / "copy")


def test_no_database_is_made_where_there_is_none(source: Path, tmp_path: Path) -> None:
    with pytest.raises(BackupFailed, match="There is no database"):
        copy_to(source, tmp_path / "copy")
    assert list(tmp_path.iterdir()) == []


def test_what_is_no_database_is_told_and_leaves_nothing(source: Path, tmp_path: Path) -> None:
    source.write_bytes(b"no database, but long enough to be looked at" * 100)
    with pytest.raises(BackupFailed, match="cannot be copied"):
        copy_to(source, tmp_path / "copy")
    assert only(tmp_path) == set()


async def test_a_copy_that_is_not_whole_is_not_left(
    store: Store, source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert store
    connect = sqlite3.connect

    def broken(database: str, **given: Any) -> sqlite3.Connection:
        """What was written is found broken when it is looked at."""
        if "mode=ro" in database:
            file = next(tmp_path.glob(".copy.*.part"))
            with file.open("r+b") as opened:
                opened.seek(4096)
                opened.write(b"\xff" * 4096)
        return connect(database, **given)

    monkeypatch.setattr(sqlite3, "connect", broken)
    with pytest.raises(BackupFailed):
        copy_to(source, tmp_path / "copy")
    assert only(tmp_path) == set()


def test_on_postgresql_the_command_for_it_has_no_password() -> None:
    url = "postgresql://me:hunter2@db:5433/queue?sslpassword=hunter3&sslmode=require"
    assert file_of(url) is None
    assert dump_command(url, "a copy") == (
        "pg_dump --format=custom '--file=a copy' 'postgresql://me@db:5433/queue?sslmode=require'"
    )


def test_what_is_no_address_is_told() -> None:
    with pytest.raises(StoreUnavailable, match="DATABASE_URL must begin with"):
        file_of("mysql://db/queue")
