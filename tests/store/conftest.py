"""Stores on an empty database; every test that takes one runs on SQLite and on PostgreSQL."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import AsyncExitStack

import pytest

from app.store.engine import open_engines, parse_url
from app.store.role import FileLockRole, Lease
from app.store.store import Store
from app.store.transactions import Transactions

CLUSTER = "test"

OpenStore = Callable[..., Awaitable[Store]]
"""`await open_store(cluster_id="test", lease_seconds=60.0)`."""


@pytest.fixture
async def open_store(database_url: str) -> AsyncGenerator[OpenStore]:
    """Opens the same database once more, as another service would; closed after the test."""
    async with AsyncExitStack() as stack:

        async def open_one(cluster_id: str = CLUSTER, lease_seconds: float = 60.0) -> Store:
            opened = await Store.open(database_url, cluster_id, lease_seconds)
            stack.push_async_callback(_close, opened)
            return opened

        yield open_one


async def _close(store: Store) -> None:
    if isinstance(store.role, FileLockRole):
        await store.role.release(Lease("the lock is the file", None))
    await store.close()


@pytest.fixture
async def store(open_store: OpenStore) -> Store:
    return await open_store()


@pytest.fixture
async def transactions(store: Store, database_url: str) -> AsyncGenerator[Transactions]:  # noqa: ARG001 - made by it
    """For transactions with work of the test's own in them, on a migrated database."""
    writer, reader = open_engines(parse_url(database_url))
    made = Transactions(writer, CLUSTER)
    yield made
    await made.drain()
    await writer.dispose()
    await reader.dispose()
