"""The file of the database for any user: private, and named with the remedy where it cannot be."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from app.domain.errors import StoreUnavailable
from app.store.store import Store
from tests.conditions import eventually
from tests.disks import fill_up, make_read_only, small_file_system
from tests.store.conftest import CLUSTER
from tests.store.operations import enqueued, lease_of

STRANGER = 54_321
"""A user without a name, as OpenShift gives one, in group 0."""


async def opened(file: Path) -> str:
    """What became of it: nothing, or the words of the error."""
    try:
        store = await Store.open(f"sqlite:///{file}", CLUSTER, lease_seconds=60)
    except StoreUnavailable as error:
        return error.message
    await enqueued(store, "a")
    await store.role.release(await lease_of(store))
    await store.close()
    return ""


def as_stranger(file: Path) -> str:
    """`opened` in a process of that user's. The folders on the way are opened for it."""
    if os.geteuid() != 0:
        pytest.skip("only root can be somebody else")
    for parent in file.parents:
        if parent.stat().st_uid == 0 and parent.is_relative_to("/tmp") and parent != Path("/tmp"):
            parent.chmod(parent.stat().st_mode | 0o011)
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reading)
        os.setgroups([])
        os.setresgid(0, 0, 0)
        os.setresuid(STRANGER, STRANGER, STRANGER)
        os.environ.pop("HOME", None)
        try:
            said = asyncio.run(opened(file))
        except BaseException as error:
            said = repr(error)
        os.write(writing, said.encode())
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as stream:
        said = stream.read()
    os.waitpid(child, 0)
    return said


def test_sqlite_file_and_all_beside_it_are_for_their_owner_only(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        assert asyncio.run(_modes(tmp_path)) == {
            f"queue.db{end}": 0o600 for end in ("", "-wal", "-shm", ".test.worker-lock")
        }
    finally:
        os.umask(before)


async def _modes(folder: Path) -> dict[str, int]:
    store = await Store.open(f"sqlite:///{folder}/queue.db", CLUSTER, lease_seconds=60)
    lease = await lease_of(store)
    found = {name: (folder / name).stat().st_mode & 0o777 for name in os.listdir(folder)}
    await store.role.release(lease)
    await store.close()
    return found


def test_sqlite_file_is_made_by_a_user_without_a_name_in_a_folder_of_group_0(
    tmp_path: Path,
) -> None:
    folder = tmp_path / "data"
    folder.mkdir()
    folder.chmod(0o770)
    assert as_stranger(folder / "queue.db") == ""
    assert (folder / "queue.db").stat().st_uid == STRANGER


def _folder_of_another(folder: Path) -> None:
    folder.chmod(0o755)


def _file_of_another(folder: Path) -> None:
    folder.chmod(0o777)
    (folder / "queue.db").touch(0o600)


def _folder_closed(folder: Path) -> None:
    (folder / "queue.db").touch(0o666)
    folder.chmod(0o700)


@pytest.mark.parametrize("spoil", [_folder_of_another, _file_of_another, _folder_closed])
def test_sqlite_file_that_may_not_be_used_is_told_with_path_user_and_remedy(
    tmp_path: Path, spoil: Callable[[Path], None]
) -> None:
    folder = tmp_path / "data"
    folder.mkdir()
    spoil(folder)
    said = as_stranger(folder / "queue.db")
    for word in (
        "unable to open database file",
        str(folder),
        str(STRANGER),
        "chown",
        "DATABASE_URL",
    ):
        assert word in said, said


async def test_sqlite_file_on_a_read_only_file_system_is_told_so(tmp_path: Path) -> None:
    with small_file_system(tmp_path / "small") as folder:
        assert await opened(folder / "queue.db") == ""
        make_read_only(folder)
        said = await opened(folder / "queue.db")
    for word in (str(folder), "read-only", "Mount a volume", "DATABASE_URL"):
        assert word in said, said


async def test_sqlite_file_that_can_be_read_but_not_written_is_noticed(tmp_path: Path) -> None:
    with small_file_system(tmp_path / "small") as folder:
        store = await Store.open(f"sqlite:///{folder}/queue.db", CLUSTER, lease_seconds=60)
        await store.check(1.0)
        fill_up(folder / "filler")
        await eventually(lambda: _is_full(store), "it is noticed")
        await store.ping()  # it can be read
        (folder / "filler").unlink()

        async def mended() -> bool:
            return not await _is_full(store)

        await eventually(mended, "it can be written again")
        await store.close()


async def _is_full(store: Store) -> bool:
    try:
        await store.check(1.0)
    except StoreUnavailable as error:
        return "full" in error.message
    return False
