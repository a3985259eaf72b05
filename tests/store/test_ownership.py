"""The id of a database, its terms, and what a person decides, on both databases."""

from __future__ import annotations

import asyncio

import pytest

from app.domain.errors import LeaseLost, WrongState
from app.domain.ownership import Conflict, ConflictKind, Finding, Mark
from app.store.store import Store
from tests.store.conftest import OpenStore
from tests.store.database import execute

OTHER = Mark(instance="another", term=40, writer="w")


async def taken(store: Store) -> str:
    lease = await store.role.take()
    assert lease
    return lease.token


async def stopped(store: Store, seen: Mark = OTHER) -> Conflict:
    _, conflict = await store.ownerships.weigh(seen)
    assert conflict
    return conflict


async def test_the_id_is_made_once_and_is_that_of_every_cluster(open_store: OpenStore) -> None:
    stores = await asyncio.gather(open_store("one"), open_store("two"))
    ids = {(await store.ownerships.known()).own.instance for store in stores}
    assert len(ids) == 1


async def test_each_term_counts_one_more_and_is_told(store: Store, database_url: str) -> None:
    token = await taken(store)
    first = await store.ownerships.begin_term(token, None)
    second = await store.ownerships.begin_term(token, first)
    assert (first.term, second.term) == (1, 2)
    assert first.writer != second.writer
    assert (await store.ownerships.known()).own == second
    assert await store.ownerships.weigh(first) == (Finding.FREE, None)
    assert await store.ownerships.weigh(second) == (Finding.OWN, None)
    whats = execute(database_url, "SELECT what FROM event ORDER BY number")
    assert whats == []


async def test_a_term_is_begun_only_by_whoever_has_the_role(store: Store) -> None:
    await taken(store)
    with pytest.raises(LeaseLost):
        await store.ownerships.begin_term("of another", None)
    assert (await store.ownerships.known()).own.term == 0


async def test_a_conflict_lasts_though_the_other_mark_has_gone(
    open_store: OpenStore, database_url: str
) -> None:
    store = await open_store()
    await store.ownerships.begin_term(await taken(store), None)
    conflict = await stopped(store)
    assert (conflict.kind, conflict.seen, conflict.own.term) == (ConflictKind.OTHER, OTHER, 1)
    assert await store.ownerships.weigh(None) == (Finding.FREE, conflict)
    elsewhere = await open_store()
    assert (await elsewhere.ownerships.known()).conflict == conflict
    whats = execute(database_url, "SELECT what FROM event ORDER BY number")
    assert whats == [("other database found",)]


async def test_adopted_it_goes_on_above_the_term_that_was_seen(
    store: Store, database_url: str
) -> None:
    token = await taken(store)
    await store.ownerships.begin_term(token, None)
    with pytest.raises(WrongState):
        await store.ownerships.adopt("ops")
    conflict = await stopped(store)
    assert await store.ownerships.adopt("ops") == conflict
    assert await store.ownerships.weigh(OTHER) == (Finding.FREE, None)
    mark = await store.ownerships.begin_term(token, OTHER)
    assert mark.term == OTHER.term + 1
    assert await store.ownerships.weigh(OTHER) == (Finding.FREE, None)  # not overwritten yet
    _, again = await store.ownerships.weigh(OTHER.model_copy(update={"term": 41, "writer": "x"}))
    assert again
    assert again.own == mark
    ((who, text),) = execute(
        database_url, "SELECT who, text FROM event WHERE what = 'database adopted'"
    )
    assert (who, text) == ("ops", "other")


async def test_what_was_found_in_one_cluster_keeps_nothing_from_another(store: Store) -> None:
    await store.cluster_identities.settle("cluster-a", None)
    await store.ownerships.begin_term(await taken(store), None)
    await stopped(store)
    assert await store.cluster_identities.settle("cluster-b", None, moves=False) == "cluster-a"
    assert (await store.ownerships.known()).conflict
    assert await store.cluster_identities.settle("cluster-b", None) == "cluster-b"
    assert (await store.ownerships.known()).conflict is None
