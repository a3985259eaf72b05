"""Enqueueing: the order, one live operation an index, and what earlier operations left behind."""

from __future__ import annotations

import asyncio
import time
from itertools import pairwise

import pytest
from sqlalchemy.exc import IntegrityError

from app.domain.errors import AlreadyInProgress, TargetTaken
from app.domain.job import State, Status
from app.domain.names import IndexName
from app.domain.operation import Changes, Step
from app.store.listing import Filter
from app.store.operations import Wanted
from app.store.store import Store
from tests.store.conftest import OpenStore
from tests.store.database import execute
from tests.store.operations import (
    ended,
    enqueue,
    enqueued,
    lease_of,
    saved,
    started,
    wanted,
)

MANY = 10_000


def _strictly_increasing(numbers: list[int]) -> bool:
    return all(one < other for one, other in pairwise(numbers))


async def test_a_batch_keeps_the_order_it_was_posted_in(store: Store) -> None:
    await enqueue(store, "c", "a")
    await enqueue(store, "b", "0")
    queue = await store.listing.page(Filter(), 10)
    assert [operation.index_name for operation in queue] == ["c", "a", "b", "0"]
    assert _strictly_increasing([operation.queued_at for operation in queue])
    one, other = {operation.batch_id for operation in queue[:2]}, queue[2].batch_id
    assert len(one) == 1
    assert other not in one
    assert {operation.status for operation in queue} == {Status.IN_PROGRESS}


async def test_ten_thousand_names_are_queued_in_one_call(store: Store) -> None:
    names = [f"index-{number:05}" for number in range(MANY)]
    answered = (await enqueue(store, *names)).operations
    queue = await store.listing.queue()
    assert [operation.index_name for operation in queue] == names
    assert _strictly_increasing([operation.queued_at for operation in queue])
    assert [o.queued_at for o in queue] == [o.queued_at for o in answered]
    assert await store.operations.load(answered[-1].id) == answered[-1]
    assert (await store.listing.counts(Filter()))[State.WAITING] == MANY
    numbers: list[int] = []
    while events := await store.events.after(numbers[-1] if numbers else 0):
        numbers += [event.number for event in events]
    assert numbers == list(range(1, MANY + 1))


async def test_queued_at_grows_when_the_clock_goes_back(store: Store, database_url: str) -> None:
    future = int(time.time() * 1000) + 3_600_000
    execute(database_url, "UPDATE cluster_state SET last_queued_at = :future", future=future)
    await enqueue(store, "a", "b")
    await enqueue(store, "c")
    queue = await store.listing.queue()
    assert [operation.queued_at for operation in queue] == [future + 1, future + 2, future + 3]


async def test_queued_at_is_the_time_of_day_in_milliseconds(store: Store) -> None:
    before = int(time.time() * 1000)
    operation = await enqueued(store, "a")
    assert before <= operation.queued_at <= int(time.time() * 1000)


async def test_an_index_with_a_live_operation_is_refused_and_spoils_nothing(store: Store) -> None:
    first = await enqueued(store, "a")
    answer = await enqueue(store, "b", "a", "c", "c")
    assert [operation.index_name for operation in answer.operations] == ["b", "c"]
    assert {name: type(error) for name, error in answer.refused.items()} == {
        "a": AlreadyInProgress,
        "c": AlreadyInProgress,
    }
    assert await store.operations.latest(IndexName("a")) == first


async def test_a_started_operation_is_live(store: Store) -> None:
    lease = await lease_of(store)
    await saved(store, lease, await started(store, lease, "a"))
    assert list((await enqueue(store, "a")).refused) == ["a"]


@pytest.mark.parametrize("single", [True, False])
async def test_a_paused_operation_is_resumed_where_it_stopped(store: Store, single: bool) -> None:
    """In a batch it goes to the tail; started by name it keeps its place and its kind."""
    lease = await lease_of(store)
    step = Step.NEW_INDEX_CREATED
    paused = await saved(
        store,
        lease,
        await started(store, lease, "a"),
        {"status": Status.PAUSED, "last_completed_step": step},
    )
    other = await enqueued(store, "b")
    answer = await enqueue(store, "a", single=single)
    assert answer.refused == {}
    (resumed,) = answer.operations
    assert (resumed.id, resumed.status, resumed.last_completed_step) == (
        paused.id,
        Status.IN_PROGRESS,
        step,
    )
    assert (resumed.batch_id == paused.batch_id) is single
    first, second = await store.listing.page(Filter(), 10)
    assert [first.id, second.id] == ([paused.id, other.id] if single else [other.id, paused.id])


async def test_paused_ones_take_the_order_of_the_batch_that_resumes_them(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.store.enqueueing.AT_A_TIME", 2)
    lease = await lease_of(store)
    for name in "abcde":
        await saved(store, lease, await started(store, lease, name), {"status": Status.PAUSED})
    answer = await enqueue(store, *"ecbda")
    assert (answer.refused, len(answer.operations)) == ({}, 5)
    shown = await store.listing.page(Filter(), 10)
    assert [brief.index_name for brief in shown] == [*"ecbda"]
    assert {brief.status for brief in shown} == {Status.IN_PROGRESS}


@pytest.mark.parametrize("status", [Status.COMPLETED, Status.FAILED, Status.CANCELLED])
async def test_an_ended_operation_does_not_block_its_index(store: Store, status: Status) -> None:
    lease = await lease_of(store)
    first = await ended(store, lease, "a", {"status": status})
    second = await enqueued(store, "a")
    assert second.id != first.id
    assert second.queued_at > first.queued_at
    assert await store.operations.latest(IndexName("a")) == second


async def test_two_sources_with_one_target_are_not_both_queued(store: Store) -> None:
    target = IndexName("reindexed-v8-a")
    pair = [Wanted(IndexName("a"), target), Wanted(IndexName("reindexed-v7-a"), target)]
    answer = await store.operations.enqueue(pair, "caller")
    assert [operation.index_name for operation in answer.operations] == ["a"]
    error = answer.refused[IndexName("reindexed-v7-a")]
    assert isinstance(error, TargetTaken)
    for word in ("reindexed-v7-a", "reindexed-v8-a", "target of a.", "Wait until"):
        assert word in error.message
    later = await store.operations.enqueue(pair[1:], "caller")
    assert isinstance(later.refused[IndexName("reindexed-v7-a")], TargetTaken)


async def test_what_was_refused_is_kept_with_the_batch(store: Store, database_url: str) -> None:
    await enqueue(store, "a")
    earlier = [{"indexName": "Odd", "message": "upper case"}]
    await store.operations.enqueue(wanted("b", "a"), "caller", earlier)
    rows = execute(database_url, "SELECT refused FROM batch ORDER BY created_at DESC LIMIT 1")
    assert "upper case" in str(rows[0][0])
    assert "already in-progress for a" in str(rows[0][0])


async def test_two_services_that_enqueue_the_same_names_queue_each_once(
    open_store: OpenStore,
) -> None:
    one, other = await open_store(), await open_store()
    for turn in range(20):
        names = [f"{turn}-{number}" for number in range(5)]
        answers = await asyncio.gather(enqueue(one, *names), enqueue(other, *reversed(names)))
        queued = [o.index_name for answer in answers for o in answer.operations]
        refused = [name for answer in answers for name in answer.refused]
        assert sorted(queued) == sorted(refused) == names
    queue = await one.listing.queue()
    assert len(queue) == 100
    assert _strictly_increasing([operation.queued_at for operation in queue])


@pytest.mark.parametrize("same", ["index_name", "new_index_name"])
@pytest.mark.parametrize("status", [0, 3])
async def test_the_database_itself_refuses_a_second_live_operation(
    store: Store, database_url: str, same: str, status: int
) -> None:
    await enqueue(store, "a", "b")
    execute(database_url, f"UPDATE job SET status = {status}")
    with pytest.raises(IntegrityError):
        execute(
            database_url,
            f"UPDATE job SET {same} = (SELECT {same} FROM job WHERE index_name = 'a')"
            " WHERE index_name = 'b'",
        )
    execute(database_url, "UPDATE job SET status = 2, index_name = 'a'")


async def test_a_kept_target_is_known_to_the_next_operation_of_the_index(store: Store) -> None:
    lease = await lease_of(store)
    await ended(store, lease, "a", {"keep_target": True, "target_uuid": "uuid-1"})
    assert (await enqueued(store, "a")).leftover_uuid == "uuid-1"
    assert (await enqueued(store, "b")).leftover_uuid is None


@pytest.mark.parametrize(
    "changes",
    [
        Changes(keep_target=False, target_uuid="uuid-1"),
        Changes(keep_target=True, target_uuid="uuid-1", status=Status.COMPLETED),
    ],
    ids=["not kept", "completed"],
)
async def test_only_a_failed_operation_leaves_a_target(store: Store, changes: Changes) -> None:
    await ended(store, await lease_of(store), "a", changes)
    assert (await enqueued(store, "a")).leftover_uuid is None


async def test_the_newest_kept_target_counts(store: Store) -> None:
    lease = await lease_of(store)
    await ended(store, lease, "a", {"keep_target": True, "target_uuid": "uuid-1"})
    await ended(store, lease, "a", {"keep_target": True, "target_uuid": "uuid-2"})
    assert (await enqueued(store, "a")).leftover_uuid == "uuid-2"


async def test_a_kept_target_is_handed_on_by_operations_that_did_not_get_to_it(
    store: Store,
) -> None:
    lease = await lease_of(store)
    await ended(store, lease, "a", {"keep_target": True, "target_uuid": "uuid-1"})
    cancelled = await enqueued(store, "a")
    assert await store.requested_actions.end_waiting([cancelled.id], "caller")
    await ended(store, lease, "a", {"keep_target": True})
    assert (await enqueued(store, "a")).leftover_uuid == "uuid-1"
