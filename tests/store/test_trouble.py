"""A database that cannot be opened, or that goes away: a clear error, and the store goes on."""

from __future__ import annotations

import asyncio
import os
import shutil
from pathlib import Path

import pytest
from sqlalchemy import insert

from app.domain.errors import StoreUnavailable
from app.domain.events import EventKind, Note
from app.domain.operation import Operation
from app.store.engine import open_engines, parse_url, sqlite_path
from app.store.store import Store
from app.store.tables import ClaimRow
from app.store.transactions import Transaction, Transactions
from testbed.postgres import PostgresServer
from tests.conditions import eventually
from tests.store.conftest import CLUSTER, OpenStore
from tests.store.open_transaction import open_transaction
from tests.store.operations import enqueued, lease_of, saved, started

REMEDY = "sqlite:///"


@pytest.mark.parametrize(
    "address",
    [
        "",
        "nonsense",
        "queue.db",
        "mysql://user@host/name",
        "oracle+odd://host",
        "sqlite://",
        "sqlite:///",
        "sqlite:///:memory:",
        "sqlite:///file:queue?mode=memory&uri=true",
        "postgresql://host:port/name",
        "postgresql://[::1/name",
    ],
)
async def test_an_address_that_is_none_is_refused_with_the_remedy(address: str) -> None:
    with pytest.raises(StoreUnavailable) as caught:
        await Store.open(address, CLUSTER, lease_seconds=60)
    for word in ("DATABASE_URL", REMEDY, "postgresql://"):
        assert word in caught.value.message
    assert caught.value.__cause__ is None, "the library's own text may show a password"


@pytest.mark.parametrize(
    ("address", "driver"),
    [
        ("postgresql://user@host/name", "postgresql+psycopg"),
        ("postgres://user@host/name", "postgresql+psycopg"),
        ("postgresql+psycopg2://user@host/name", "postgresql+psycopg"),
        ("postgresql://user@/name?host=/a/folder", "postgresql+psycopg"),
        ("sqlite:///relative.db", "sqlite+aiosqlite"),
        ("sqlite:////absolute/file.db", "sqlite+aiosqlite"),
        ("sqlite+pysqlite:///relative.db", "sqlite+aiosqlite"),
    ],
)
def test_every_usual_way_to_write_an_address_is_understood(address: str, driver: str) -> None:
    url = parse_url(address)
    assert url.drivername == driver
    assert url.query.get("host") == ("/a/folder" if "host=" in address else None)


async def test_postgres_is_another_name_of_postgresql(postgres_url: str) -> None:
    address = postgres_url.replace("postgresql://", "postgres://")
    store = await Store.open(address, CLUSTER, lease_seconds=60)
    await store.ping()
    await store.close()


async def test_a_relative_file_is_beside_the_working_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert sqlite_path(parse_url("sqlite:///relative.db")) == tmp_path / "relative.db"
    store = await Store.open("sqlite:///relative.db", CLUSTER, lease_seconds=60)
    await store.role.release(await lease_of(store))
    await store.close()
    assert {"relative.db", "relative.db.test.worker-lock"} <= set(os.listdir(tmp_path))


async def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(StoreUnavailable) as caught:
        await Store.open(f"sqlite:///{tmp_path}/none/queue.db", CLUSTER, lease_seconds=60)
    assert f"{tmp_path}/none" in caught.value.message


async def test_a_file_that_is_no_database_is_left_alone(tmp_path: Path) -> None:
    file = tmp_path / "queue.db"
    file.write_bytes(b"a letter" * 1000)
    with pytest.raises(StoreUnavailable, match="not a database"):
        await Store.open(f"sqlite:///{file}", CLUSTER, lease_seconds=60)
    assert file.read_bytes() == b"a letter" * 1000


async def test_a_folder_is_no_database(tmp_path: Path) -> None:
    with pytest.raises(StoreUnavailable, match="unable to open"):
        await Store.open(f"sqlite:///{tmp_path}", CLUSTER, lease_seconds=60)


async def test_a_server_that_is_not_there_is_said(tmp_path: Path) -> None:
    address = f"postgresql://user:secret@/name?host={tmp_path}"
    with pytest.raises(StoreUnavailable) as caught:
        await Store.open(address, CLUSTER, lease_seconds=60)
    assert str(tmp_path) in caught.value.message
    assert "secret" not in caught.value.message


async def test_a_database_that_is_not_there_is_said(postgres_url: str) -> None:
    with pytest.raises(StoreUnavailable, match="does not exist"):
        await Store.open(postgres_url.replace("/test_", "/no_"), CLUSTER, lease_seconds=60)


async def test_a_removed_folder_is_trouble_and_not_a_crash(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    folder.mkdir()
    store = await Store.open(f"sqlite:///{folder / 'queue.db'}", CLUSTER, lease_seconds=60)
    shutil.rmtree(folder)
    calls = (
        store.ping,
        store.lanes.head,
        store.listing.queue,
        lambda: store.jobs.windows("x"),
        lambda: store.events.after(0),
        store.role.take,
    )
    results = [await asyncio.gather(call(), return_exceptions=True) for call in calls]
    await store.close()
    assert [type(result) for (result,) in results] == [StoreUnavailable] * len(calls)


async def test_the_store_goes_on_after_a_restart_of_postgresql(
    postgres_server: PostgresServer, postgres_url: str
) -> None:
    store = await Store.open(postgres_url, CLUSTER, lease_seconds=60)
    lease = await lease_of(store)
    operation = await started(store, lease, "a")
    await asyncio.to_thread(postgres_server.stop, keep=True)
    calls = (
        store.ping(),
        store.lanes.head(),
        store.events.after(0),
        store.role.take(),
        store.role.renew(lease),
        saved(store, lease, operation, {"attempts": 1}),
    )
    for result in await asyncio.gather(*calls, return_exceptions=True):
        assert isinstance(result, StoreUnavailable), result
    await asyncio.to_thread(postgres_server.start)
    assert await _answers(store)
    assert await store.operations.load(operation.id) == operation
    await store.role.renew(lease)
    assert (await saved(store, lease, operation, {"attempts": 1})).attempts == 1
    await store.close()


async def _answers(store: Store) -> bool:
    async def pinged() -> bool:
        try:
            await store.ping()
        except StoreUnavailable:
            return False
        return True

    await eventually(pinged, "the database answers")
    return True


async def test_a_server_that_is_killed_within_a_save_leaves_nothing_of_it(
    postgres_server: PostgresServer, postgres_url: str
) -> None:
    store = await Store.open(postgres_url, CLUSTER, lease_seconds=60)
    operation = await enqueued(store, "a")
    before = await store.events.after(0)
    writer, _ = open_engines(parse_url(postgres_url))

    async def work(transaction: Transaction) -> None:
        transaction.announce("worker", [Note(what=EventKind.WARNING)], operation.id)

    with pytest.raises(StoreUnavailable):
        async with open_transaction(Transactions(writer, CLUSTER), work):
            await asyncio.to_thread(postgres_server.kill)
    await asyncio.to_thread(postgres_server.start)
    assert await _answers(store)
    assert await store.events.after(0) == before
    await writer.dispose()
    await store.close()


@pytest.mark.parametrize("rows", [0, 1, 3])
async def test_an_owner_frozen_within_a_save_does_not_keep_the_role(
    postgres_url: str, rows: int
) -> None:
    """Whatever its last statement was: after a pipeline PostgreSQL would not end it."""
    store = await Store.open(postgres_url, CLUSTER, lease_seconds=60)
    operation = await enqueued(store, "a")
    writer, _ = open_engines(parse_url(postgres_url), idle_seconds=0.5)

    async def work(transaction: Transaction) -> None:
        own = {"cluster_id": CLUSTER, "job_id": operation.id, "exclusive": True}
        claims = [own | {"index_name": f"index-{n}"} for n in range(rows)]
        await transaction.bulk(insert(ClaimRow), claims)

    with pytest.raises(StoreUnavailable):
        async with open_transaction(Transactions(writer, CLUSTER), work):
            await store.role.release(await lease_of(store))  # waits until PostgreSQL frees the row
    assert [event.what for event in await store.events.after(0)] == ["queued"]
    await writer.dispose()
    await store.close()


async def test_two_stores_may_be_closed_while_others_go_on(open_store: OpenStore) -> None:
    one, other = await open_store(), await open_store()
    first: Operation = await enqueued(one, "a")
    await one.close()
    assert await other.lanes.head() == first
    await enqueued(other, "b")
