"""The reach of callers in the database: what lists show of operations, and what queueing says."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from app.domain.errors import AlreadyInProgress, TargetTaken
from app.domain.job import Lane, Requested, State
from app.domain.names import IndexName
from app.domain.operation import Operation
from app.domain.reach import EVERYTHING, Reach
from app.store.listing import Filter
from app.store.operations import Wanted
from app.store.store import Store
from app.store.tables import columns_of
from tests.store.operations import lease_of, saved, wanted

ODD = ["logs-1", "logs_1", "logs-%", "logs-[1]", "logsx1", ".logs-1", "lögs-1", "l'ogs", "a+b"]
PATTERNS = ["*", "logs-*", "logs_*", "logs-%", "*-1", "logs-[1]", ".*", "lögs*", "l'*", "*s*1", ""]
LOGS = Reach(("logs-*", "reindexed-v8-logs-*"))


def pair(index: str, target: str, concrete: str | None = None) -> Wanted:
    behind = IndexName(concrete) if concrete else None
    return Wanted(IndexName(index), IndexName(target), concrete_name=behind)


async def listed(store: Store, reach: Reach) -> list[str]:
    return [b.index_name for b in await store.listing.page(Filter(reach=reach), 500)]


@pytest.mark.parametrize("pattern", PATTERNS)
async def test_the_database_sees_a_pattern_as_the_domain_does(store: Store, pattern: str) -> None:
    wants = [pair(name, f"new-{n}", name) for n, name in enumerate(ODD)]
    await store.operations.enqueue(wants, "caller")
    reach = Reach((pattern, "new-*"))
    assert await listed(store, reach) == [name for name in ODD if reach.covers(name)]


async def test_an_operation_is_seen_where_source_and_target_are_within_reach(
    store: Store,
) -> None:
    wants = [
        pair("logs-1", "reindexed-v8-logs-1"),
        pair("logs-2", "elsewhere-2"),
        pair("secret-3", "reindexed-v8-logs-3"),
        pair("logs-4", "reindexed-v8-logs-4", "kept-logs-4-0"),
        pair("logs-5", "reindexed-v8-logs-5"),
    ]
    batch = (await store.operations.enqueue(wants, "caller")).batch_id
    assert batch
    seen = ["logs-1", "logs-5"]
    assert await listed(store, LOGS) == seen
    assert await listed(store, EVERYTHING) == [want.index_name for want in wants]
    assert await listed(store, Reach(())) == []
    assert [entry.index_name for entry in await store.listing.queue(LOGS)] == seen
    assert len(await store.listing.queue()) == 5
    assert await store.listing.not_begun(batch, LOGS) == seen
    counts = await store.listing.counts(Filter(batch=batch, reach=LOGS))
    assert counts[State.WAITING] == 2
    page = await store.listing.page(Filter((State.WAITING,), index="logs-2", reach=LOGS), 5)
    assert page == []


async def test_a_job_keeps_the_reach_of_whoever_posted_it(store: Store) -> None:
    first = await queued(store, ["logs-1", "logs-2"], LOGS)
    (free,) = await queued(store, ["metrics"], EVERYTHING)
    for operation in first:
        assert operation.reach == LOGS
        assert (await store.operations.load(operation.id)).reach == LOGS
    assert (await store.operations.load(free.id)).reach == EVERYTHING
    lease = await lease_of(store)
    begun = await store.jobs.begin(lease.token, first[0].id, "worker")
    assert isinstance(begun, Operation)
    changed = await saved(store, lease, begun, {"target_uuid": "u", "position": "prepare"})
    assert changed.reach == LOGS
    assert (await store.operations.load(begun.id)).reach == LOGS
    assert "record" in columns_of(begun, {"target_uuid": "v"})


async def test_a_small_job_keeps_it_too(store: Store) -> None:
    small = store.small_jobs
    left = await small.leave("trial", IndexName("logs-1"), "caller", {"a": 1}, reach=LOGS)
    assert (await small.find(left)).reach == LOGS
    other = await small.leave("trial", IndexName("logs-2"), "caller")
    job = await small.find(other)
    assert (job.reach, job.lane) == (EVERYTHING, Lane.SMALL)


async def test_a_conflict_names_no_index_beyond_reach(store: Store) -> None:
    await store.operations.enqueue([pair("secret-1", "reindexed-v8-logs-1")], "caller")
    wants = [
        pair("reindexed-v8-logs-1", "logs-9"),
        pair("logs-1", "reindexed-v8-logs-1"),
    ]
    refused = (await store.operations.enqueue(wants, "token:ci", reach=LOGS)).refused
    assert isinstance(refused[IndexName("reindexed-v8-logs-1")], AlreadyInProgress)
    assert isinstance(refused[IndexName("logs-1")], TargetTaken)
    for error in refused.values():
        assert "secret" not in error.message
    told = (await store.operations.enqueue(wants, "caller")).refused
    assert all("secret-1" in error.message for error in told.values())


async def test_a_paused_operation_beyond_reach_is_not_resumed_by_a_post(store: Store) -> None:
    hidden = (await store.operations.enqueue([pair("logs-1", "elsewhere")], "caller")).operations
    seen = await queued(store, ["logs-2"], EVERYTHING)
    ids = [one.id for one in (*hidden, *seen)]
    assert await store.requested_actions.pause_waiting(ids, "caller") == set(ids)
    answer = await store.operations.enqueue(wanted("logs-1", "logs-2"), "token:ci", reach=LOGS)
    assert [one.index_name for one in answer.operations] == ["logs-2"]
    assert isinstance(answer.refused[IndexName("logs-1")], AlreadyInProgress)
    states = {one.index_name: one.state for one in await store.listing.page(Filter(), 9)}
    assert states == {"logs-1": State.PAUSED, "logs-2": State.WAITING}
    assert (await store.operations.load(hidden[0].id)).requested is Requested.NONE


async def queued(store: Store, names: Sequence[str], reach: Reach) -> list[Operation]:
    return (await store.operations.enqueue(wanted(*names), "caller", reach=reach)).operations
