"""Pruning beside the jobs: it rests, begins by itself when it is time, and harms no term."""

from __future__ import annotations

from collections.abc import AsyncGenerator

import pytest

from app.domain.errors import LeaseLost, StoreFault, StoreUnavailable
from app.domain.pruning import Pruning, Retention
from app.jobs import pruning
from app.jobs.pruning import EVERY_SECONDS, LONG_REST, LOOK_SECONDS, Pruner
from app.store.store import Store


@pytest.fixture
async def store(sqlite_url: str) -> AsyncGenerator[Store]:
    opened = await Store.open(sqlite_url, "test", 60.0)
    yield opened
    await opened.close()


@pytest.fixture
async def token(store: Store) -> AsyncGenerator[str]:
    """Of a worker that has the role until the end of the test."""
    lease = await store.role.take()
    assert lease
    yield lease.token
    await store.role.release(lease)


async def done(pruner: Pruner, store: Store, token: str) -> Pruning:
    """The last pruning, after as many steps as it takes."""
    for _ in range(20):
        await pruner.step(token)
        last = await store.prunings.last()
        if last and last.ended_at:
            return last
    raise AssertionError("it does not end")


async def test_nothing_is_written_where_nobody_asks(store: Store, token: str) -> None:
    pruner = Pruner(store.prunings, Retention(None, 400.0), "worker")
    assert await pruner.step(token) == LOOK_SECONDS
    assert await store.prunings.last() is None


async def test_it_begins_by_itself_once_an_hour(
    store: Store, token: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 1_000.0
    monkeypatch.setattr(pruning, "boot_seconds", lambda: now)
    pruner = Pruner(store.prunings, Retention(30.0, 400.0), "worker")
    begun: list[Pruning] = []
    for passed in (0.0, EVERY_SECONDS - 1, 1.0):
        now += passed
        begun.append(await done(pruner, store, token))
    first, second, third = (one.asked_at for one in begun)
    assert first == second < third


async def test_a_database_that_does_not_answer_is_asked_again(
    store: Store, token: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    pruner = Pruner(store.prunings, Retention(None, 400.0), "worker")

    async def fails() -> Pruning | None:
        raise StoreUnavailable("away")

    monkeypatch.setattr(store.prunings, "last", fails)
    assert await pruner.step(token) == LOOK_SECONDS


@pytest.mark.parametrize("error", [StoreFault("no right"), LeaseLost(), ZeroDivisionError()])
async def test_trouble_is_rested_after_and_ends_nothing(
    store: Store, token: str, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    pruner = Pruner(store.prunings, Retention(None, 400.0), "worker")
    await store.prunings.request(Retention(None, 400.0).pruning("api:ops", 30.0))

    async def fails(*_: object) -> bool:
        raise error

    monkeypatch.setattr(store.prunings, "go_on", fails)
    assert await pruner.step(token) == LONG_REST
    monkeypatch.undo()
    assert (await done(pruner, store, token)).by == "api:ops"
