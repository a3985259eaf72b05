"""Small jobs: left for the worker, in nobody's way, and in no list."""

from __future__ import annotations

import pytest

from app.domain.errors import AlreadyInProgress, UnknownOperation
from app.domain.events import EventKind
from app.domain.job import Goal, Job, Lane, State, Status
from app.domain.names import IndexName
from app.store.listing import Filter
from app.store.store import Store
from tests.store.conftest import OpenStore
from tests.store.database import claims_astray, execute
from tests.store.operations import ended, enqueue, lease_of, saved, started

NAME = IndexName("a")
KIND, OTHER = "blockWrite", "trial"


async def waiting(store: Store) -> list[str]:
    """The ids of the small jobs that the worker finds, in order."""
    return [job.id for job in await store.lanes.small(10)]


async def begun(store: Store, job_id: str) -> Job:
    job = await store.jobs.begin((await lease_of(store)).token, job_id, "worker")
    assert job is not None
    return job


async def test_a_small_job_is_left_for_the_worker_as_it_was_asked_for(store: Store) -> None:
    left = await store.small_jobs.leave(
        KIND, NAME, "caller", {"told": [1]}, event=EventKind.BLOCK_WRITE_REQUESTED
    )
    job = await store.small_jobs.find(left)
    assert (job.kind, job.lane, job.index_name, job.caller) == (KIND, Lane.SMALL, NAME, "caller")
    assert (job.status, job.started_at, job.request) == (Status.IN_PROGRESS, None, {"told": [1]})
    assert type(job) is Job
    (event,) = await store.events.of_operation(left)
    assert (event.what, event.who) == ("blockWrite requested", "caller")
    assert await waiting(store) == [left]


async def test_small_jobs_wait_in_the_order_in_which_they_were_left(store: Store) -> None:
    left = [
        await store.small_jobs.leave(KIND, IndexName(name), "caller") for name in ("c", "a", "b")
    ]
    assert await waiting(store) == left
    assert [job.id for job in await store.lanes.small(2)] == left[:2]


async def test_one_index_may_have_several_small_jobs(store: Store) -> None:
    left = [await store.small_jobs.leave(kind, NAME, "caller") for kind in (KIND, KIND, OTHER)]
    assert await waiting(store) == left


async def test_small_jobs_are_in_no_list_count_queue_or_history(store: Store) -> None:
    """Neither while they wait nor when they have ended."""
    lease = await lease_of(store)
    first = await store.small_jobs.leave(KIND, NAME, "caller")
    job = await store.jobs.begin(lease.token, first, "worker")
    assert job is not None
    await saved(store, lease, job, {"status": Status.COMPLETED})
    left = await store.small_jobs.leave(KIND, NAME, "caller")
    for states in ((), tuple(State)):
        assert await store.listing.page(Filter(states), 100) == []
        assert await store.listing.page(Filter(states, index=NAME), 100, newest_first=True) == []
    assert not any((await store.listing.counts(Filter())).values())
    assert await store.listing.queue() == []
    assert await store.lanes.head() is None
    assert await store.lanes.first(Lane.BESIDE, 10) == []
    assert await store.operations.live_names() == set()
    assert await store.operations.latest(NAME) is None
    assert await store.operations.completed_targets([NAME]) == {}
    assert await store.operations.find(left) is None
    with pytest.raises(UnknownOperation):
        await store.operations.load(left)


async def test_a_waiting_small_job_does_not_keep_an_operation_from_the_queue(store: Store) -> None:
    left = await store.small_jobs.leave(KIND, NAME, "caller")
    (operation,) = (await enqueue(store, NAME)).operations
    head = await store.lanes.head()
    assert head is not None
    assert head.id == operation.id
    assert not await store.lanes.others_wait(operation)
    assert await waiting(store) == [left]


async def test_it_is_refused_where_an_operation_on_the_index_lives(store: Store) -> None:
    lease = await lease_of(store)
    await enqueue(store, "a")
    await started(store, lease, "b")
    paused = await started(store, lease, "c")
    await saved(store, lease, paused, {"status": Status.PAUSED, "suspended": True})
    for name in ("a", "b", "c"):
        with pytest.raises(AlreadyInProgress):
            await store.small_jobs.leave(
                KIND, IndexName(name), "caller", event=EventKind.BLOCK_WRITE_REQUESTED
            )
    assert await waiting(store) == []
    assert "blockWrite requested" not in [event.what for event in await store.events.after(0)]


async def test_it_is_taken_where_the_operation_on_the_index_has_ended(store: Store) -> None:
    await ended(store, await lease_of(store), "a", {"status": Status.COMPLETED})
    left = await store.small_jobs.leave(KIND, NAME, "caller")
    assert await waiting(store) == [left]


async def test_a_small_job_of_another_cluster_is_not_found(
    store: Store, open_store: OpenStore
) -> None:
    other = await open_store("other")
    left = await other.small_jobs.leave(KIND, NAME, "caller")
    await store.small_jobs.leave_once(KIND, NAME, "caller", {})
    assert left not in await waiting(store)
    assert await waiting(other) == [left]
    with pytest.raises(UnknownOperation):
        await store.small_jobs.find(left)


async def test_one_that_was_not_begun_is_withdrawn(store: Store, database_url: str) -> None:
    left = await store.small_jobs.leave(KIND, NAME, "caller")
    await store.small_jobs.withdraw(left)
    job = await store.small_jobs.find(left)
    assert (job.status, job.goal) == (Status.CANCELLED, Goal.CANCEL)
    assert job.ended_at is not None
    assert await waiting(store) == []
    lease = await lease_of(store)
    assert await store.jobs.begin(lease.token, left, "worker") is None
    assert claims_astray(database_url) == []


async def test_one_that_was_begun_is_not_withdrawn(store: Store) -> None:
    left = await store.small_jobs.leave(KIND, NAME, "caller")
    job = await begun(store, left)
    await store.small_jobs.withdraw(left)
    assert await store.small_jobs.find(left) == job
    assert await waiting(store) == [left]


async def test_one_that_has_ended_is_not_withdrawn(store: Store) -> None:
    lease = await lease_of(store)
    left = await store.small_jobs.leave(KIND, NAME, "caller")
    job = await store.jobs.begin(lease.token, left, "worker")
    assert job is not None
    done = await saved(store, lease, job, {"status": Status.COMPLETED, "result": {"status": 200}})
    await store.small_jobs.withdraw(left)
    assert await store.small_jobs.find(left) == done


async def test_another_small_job_is_not_withdrawn_with_it(store: Store) -> None:
    first, second = [await store.small_jobs.leave(KIND, NAME, "caller") for _ in range(2)]
    await store.small_jobs.withdraw(first)
    assert await waiting(store) == [second]


async def test_what_is_left_once_is_there_once_for_its_kind_and_index(
    store: Store, database_url: str
) -> None:
    request = {"operation": "an id"}
    for _ in range(2):
        await store.small_jobs.leave_once(KIND, NAME, "worker", request)
    (left,) = await waiting(store)
    assert (await store.small_jobs.find(left)).request == request
    await store.small_jobs.leave_once(OTHER, NAME, "worker", request)
    await store.small_jobs.leave_once(KIND, IndexName("b"), "worker", request)
    found = execute(database_url, "SELECT kind, index_name FROM job ORDER BY queued_at")
    assert found == [(KIND, "a"), (OTHER, "a"), (KIND, "b")]


async def test_what_is_left_once_is_left_again_when_the_first_has_ended(store: Store) -> None:
    lease = await lease_of(store)
    await store.small_jobs.leave_once(KIND, NAME, "worker", {})
    (first,) = await waiting(store)
    job = await store.jobs.begin(lease.token, first, "worker")
    assert job is not None
    await store.small_jobs.leave_once(KIND, NAME, "worker", {})
    assert await waiting(store) == [first]
    await saved(store, lease, job, {"status": Status.COMPLETED})
    await store.small_jobs.leave_once(KIND, NAME, "worker", {})
    (second,) = await waiting(store)
    assert second != first


async def test_what_is_left_once_is_left_also_where_an_operation_lives(store: Store) -> None:
    """A kept copy is removed while its index is on its way once more."""
    await enqueue(store, NAME)
    await store.small_jobs.leave_once(KIND, NAME, "worker", {})
    assert len(await waiting(store)) == 1
