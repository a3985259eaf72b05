"""The store behind pgbouncer: migrations, the limit of an idle transaction, one's own options."""

from __future__ import annotations

import asyncio

import pytest
from sqlalchemy import func, select, text

from app.domain.errors import StoreUnavailable
from app.domain.events import EventKind, Note
from app.store.engine import open_engines, parse_url
from app.store.migrations import ADVISORY_LOCK
from app.store.store import Store
from app.store.transactions import Transaction, Transactions
from testbed.pooler import PgBouncer, PoolMode
from testbed.postgres import PostgresServer
from tests.store.conftest import CLUSTER
from tests.store.open_transaction import open_transaction
from tests.store.operations import enqueued, lease_of

MODES: list[PoolMode] = ["session", "transaction"]


@pytest.mark.parametrize("mode", MODES)
async def test_pooler_many_first_starts_at_the_same_time_migrate_once(
    postgres_url: str, mode: PoolMode
) -> None:
    with PgBouncer(postgres_url, mode) as pooler:
        stores = await asyncio.gather(
            *(Store.open(pooler.url, CLUSTER, lease_seconds=60) for _ in range(4))
        )
        for store in stores:
            await store.close()


@pytest.mark.parametrize("mode", MODES)
async def test_pooler_an_owner_frozen_within_a_save_does_not_keep_the_role(
    postgres_url: str, mode: PoolMode, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.store.engine.LEAST_IDLE_SECONDS", 0.5)
    with PgBouncer(postgres_url, mode) as pooler:
        store = await Store.open(pooler.url, CLUSTER, lease_seconds=60)
        operation = await enqueued(store, "a")
        writer, _ = open_engines(parse_url(pooler.url), idle_seconds=0.5)

        async def work(transaction: Transaction) -> None:
            transaction.announce("worker", [Note(what=EventKind.WARNING)], operation.id)

        with pytest.raises(StoreUnavailable):
            async with open_transaction(Transactions(writer, CLUSTER), work):
                await store.role.release(await lease_of(store))
        assert [event.what for event in await store.events.after(0)] == ["queued"]
        await writer.dispose()
        await store.close()


async def test_pooler_the_limit_is_that_of_the_transaction_and_not_of_the_session(
    postgres_url: str,
) -> None:
    store = await Store.open(postgres_url, CLUSTER, lease_seconds=60)
    writer, _ = open_engines(parse_url(postgres_url), idle_seconds=7)
    seen: list[str] = []

    async def work(transaction: Transaction) -> None:
        shown = await transaction.execute(text("SHOW idle_in_transaction_session_timeout"))
        seen.append(str(shown.scalar()))

    await Transactions(writer, CLUSTER).run(work)
    async with writer.connect() as connection:
        shown = await connection.execute(text("SHOW idle_in_transaction_session_timeout"))
        seen.append(str(shown.scalar()))
    assert seen == ["7s", "0"]
    await writer.dispose()
    await store.close()


async def test_pooler_options_of_the_address_are_kept_and_win(postgres_url: str) -> None:
    given = "-c%20idle_in_transaction_session_timeout%3D9000%20-c%20application_name%3Dours"
    address = f"{postgres_url}&options={given}"
    store = await Store.open(address, CLUSTER, lease_seconds=60)
    writer, _ = open_engines(parse_url(address), idle_seconds=7)
    seen: list[str] = []

    async def work(transaction: Transaction) -> None:
        for name in ("idle_in_transaction_session_timeout", "application_name"):
            seen.append(str((await transaction.execute(text(f"SHOW {name}"))).scalar()))

    await Transactions(writer, CLUSTER).run(work)
    assert seen == ["9s", "ours"]
    await writer.dispose()
    await store.close()


@pytest.mark.parametrize("mode", MODES)
async def test_pooler_what_it_answers_by_itself_is_told_in_its_words(
    postgres_server: PostgresServer, postgres_url: str, mode: PoolMode
) -> None:
    with PgBouncer(postgres_url, mode) as pooler:
        store = await Store.open(pooler.url, CLUSTER, lease_seconds=60, answer_seconds=1)
        with pytest.raises(StoreUnavailable, match="authentication failed"):
            await Store.open(pooler.url_as("nobody-we-know"), CLUSTER, lease_seconds=60)
        await asyncio.to_thread(postgres_server.kill)
        for call in (store.lanes.head, store.role.take, store.ping):
            with pytest.raises(StoreUnavailable) as caught:
                await call()
            assert "SELECT" not in caught.value.message
        await store.close()


@pytest.mark.parametrize("mode", MODES)
async def test_pooler_no_answer_is_waited_for_without_end(
    postgres_url: str, mode: PoolMode
) -> None:
    with PgBouncer(postgres_url, mode) as pooler:
        for index, address in {"a": postgres_url, "b": pooler.url}.items():
            store = await Store.open(address, CLUSTER, lease_seconds=60, answer_seconds=0.5)
            writer, _ = open_engines(parse_url(postgres_url))

            async def work(transaction: Transaction) -> None:
                transaction.announce("worker", [Note(what=EventKind.WARNING)])

            async with open_transaction(Transactions(writer, CLUSTER), work):
                with pytest.raises(StoreUnavailable, match=r"no answer within 0\.5 s"):
                    await enqueued(store, index)
            await enqueued(store, index)
            await writer.dispose()
            await store.close()


async def test_pooler_a_migration_waits_for_another_as_long_as_that_takes(
    postgres_url: str,
) -> None:
    writer, _ = open_engines(parse_url(postgres_url))
    begun = asyncio.Event()

    async def start() -> None:
        begun.set()
        store = await Store.open(postgres_url, CLUSTER, lease_seconds=60, answer_seconds=0.5)
        await store.close()

    async with writer.begin() as other:
        await other.execute(select(func.pg_advisory_xact_lock(ADVISORY_LOCK)))
        starting = asyncio.create_task(start())
        await begun.wait()
        done, _ = await asyncio.wait([starting], timeout=2)
        assert not done
    await starting
    await writer.dispose()
