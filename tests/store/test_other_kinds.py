"""Jobs of another kind than rewrites: in no list of operations, in no POST's way, in every lane."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import pytest

from app.domain import clock
from app.domain.job import Goal, Job, Lane, Requested, State, Status
from app.domain.names import IndexName, target_name
from app.domain.operation import Changes, Operation
from app.domain.pace import Pace
from app.store.listing import Filter
from app.store.role import Lease
from app.store.store import Store
from tests.jobs.toy import TOY
from tests.store.database import execute
from tests.store.operations import ended, enqueue, enqueued, lease_of, saved

NAME = IndexName("a")
TARGET = target_name(NAME, 8)
LANES = [Lane.QUEUE, Lane.BESIDE, Lane.COPIES]

Bring = Callable[[Store, Lease, str], Awaitable[object]]
"""Takes a waiting job to where a test wants it."""


async def toy(store: Store, lane: Lane = Lane.BESIDE, name: IndexName = NAME) -> str:
    return await store.jobs.enqueue(TOY, lane, name, "child")


async def begun(store: Store, lease: Lease, job_id: str) -> Job:
    job = await store.jobs.begin(lease.token, job_id, "worker")
    assert job is not None
    return job


def changed_to(changes: Changes) -> Bring:
    async def bring(store: Store, lease: Lease, job_id: str) -> object:
        return await saved(store, lease, await begun(store, lease, job_id), changes)

    return bring


async def left_waiting(_store: Store, _lease: Lease, _job_id: str) -> None:
    return None


PLACES: dict[str, Bring] = {
    "waiting": left_waiting,
    "in hand": begun,
    "paused": changed_to({"status": Status.PAUSED, "suspended": True}),
    "completed": changed_to({"status": Status.COMPLETED, "ended_at": clock.now()}),
    "failed": changed_to({"status": Status.FAILED, "ended_at": clock.now()}),
    "rolled back": changed_to({"status": Status.CANCELLED, "goal": Goal.ROLL_BACK}),
}


@pytest.fixture(params=PLACES)
def bring(request: pytest.FixtureRequest) -> Bring:
    return PLACES[request.param]


def dressed(database_url: str, job_id: str, batch_id: str | None = None) -> None:
    """Gives the job what a rewrite has: nothing but its kind tells it from one."""
    execute(
        database_url,
        "UPDATE job SET new_index_name = :target, keep_target = true, last_completed_step = 40,"
        " record = :record, kept = :kept, batch_id = :batch WHERE id = :job",
        target=TARGET,
        record='{"target_uuid": "u", "source": {"uuid": "s"}}',
        kept='{"name": "kept-a", "uuid": "k"}',
        batch=batch_id,
        job=job_id,
    )


@pytest.mark.parametrize("lane", LANES)
async def test_a_toy_is_in_no_list_count_or_answer_about_operations(
    store: Store, database_url: str, bring: Bring, lane: Lane
) -> None:
    posted = await toy(store, lane)
    dressed(database_url, posted)
    await bring(store, await lease_of(store), posted)
    for states in ((), *((state,) for state in State)):
        assert await store.listing.page(Filter(states), 100) == []
        assert await store.listing.page(Filter(states, index=NAME), 100, newest_first=True) == []
    assert not any((await store.listing.counts(Filter())).values())
    assert not any((await store.listing.counts(Filter(index=NAME))).values())
    assert await store.listing.queue() == []
    assert await store.operations.latest(NAME) is None
    assert await store.operations.find(posted) is None
    assert await store.operations.live_names() == set()
    assert await store.operations.completed_targets([NAME]) == {}
    assert await store.operations.leftover_targets() == set()
    assert await store.kept_copies.behind([NAME]) == {}
    assert await store.paces.copying() == 0


async def test_a_toy_is_no_part_of_a_batch_of_operations(
    store: Store, database_url: str, bring: Bring
) -> None:
    batch = await enqueue(store, "other")
    assert batch.batch_id is not None
    posted = await toy(store)
    dressed(database_url, posted, batch.batch_id)
    execute(database_url, "UPDATE job SET last_completed_step = 0")
    await bring(store, await lease_of(store), posted)
    of_batch = Filter(batch=batch.batch_id)
    assert await store.operations.of_batch(batch.batch_id) == batch.operations
    assert [brief.index_name for brief in await store.listing.page(of_batch, 10)] == ["other"]
    assert sum((await store.listing.counts(of_batch)).values()) == 1
    assert await store.listing.not_begun(batch.batch_id) == ["other"]


async def test_a_toy_refuses_no_post_and_is_resumed_by_none(
    store: Store, database_url: str, bring: Bring
) -> None:
    posted = await toy(store)
    dressed(database_url, posted)
    await bring(store, await lease_of(store), posted)
    before = await store.jobs.load(posted)
    answer = await enqueue(store, NAME)
    assert answer.refused == {}
    (operation,) = answer.operations
    assert (operation.id == posted, operation.new_index_name) == (False, TARGET)
    assert (operation.leftover_uuid, operation.leftover_source) == (None, None)
    assert await store.jobs.load(posted) == before
    assert await store.operations.latest(NAME) == operation


async def test_toys_are_posted_also_where_an_operation_or_a_toy_on_the_index_lives(
    store: Store, database_url: str
) -> None:
    operation = await enqueued(store, NAME)
    posted = [await toy(store, lane) for lane in (*LANES, Lane.BESIDE)]
    for job_id in posted:
        dressed(database_url, job_id)
    assert len(set(posted)) == 4
    assert await store.operations.live_names() == {NAME}
    assert list((await enqueue(store, NAME)).refused) == [NAME]
    assert await store.operations.latest(NAME) == operation


async def test_a_toy_keeps_no_small_job_and_no_rollback_from_its_index(
    store: Store, database_url: str, bring: Bring
) -> None:
    lease = await lease_of(store)
    changes: Changes = {"status": Status.COMPLETED, "kept_until": clock.now()}
    operation = await ended(store, lease, NAME, changes)
    posted = await toy(store)
    dressed(database_url, posted)
    await bring(store, lease, posted)
    small = await store.small_jobs.leave("blockWrite", NAME, "caller")
    assert [job.id for job in await store.lanes.small(10)] == [small]
    woken = await store.kept_copies.request_rollback(operation, "caller", forced=False)
    assert (woken.id, woken.goal) == (operation.id, Goal.ROLL_BACK)


async def test_only_an_operation_has_a_kept_copy_whose_time_ends(
    store: Store, database_url: str
) -> None:
    lease = await lease_of(store)
    posted = await toy(store)
    await saved(store, lease, await begun(store, lease, posted), {"status": Status.COMPLETED})
    execute(database_url, "UPDATE job SET kept_until = updated_at")
    assert await store.kept_copies.expired() is None


async def test_the_pace_of_a_toy_is_no_pace_of_an_operation(store: Store) -> None:
    posted = await toy(store)
    assert await store.paces.of_job(posted) == (Pace(), Pace())


@pytest.mark.parametrize("lane", LANES)
async def test_every_lane_but_the_small_one_gives_its_own_jobs_of_every_kind_in_order(
    store: Store, lane: Lane
) -> None:
    lease = await lease_of(store)
    posted = [await toy(store, lane, IndexName(name)) for name in ("c", "a", "b")]
    for other in LANES:
        found = [job.id for job in await store.lanes.first(other, 2)]
        assert found == (posted[:2] if other is lane else [])
    assert await store.lanes.small(10) == []
    first = await begun(store, lease, posted[1])
    assert [job.id for job in await store.lanes.first(lane, 1)] == [first.id]
    assert await store.lanes.others_wait(first)


@pytest.mark.parametrize("lane", LANES)
async def test_requested_actions_reach_every_kind(store: Store, lane: Lane) -> None:
    lease = await lease_of(store)
    waits, runs = [await toy(store, lane, IndexName(name)) for name in ("a", "b")]
    await begun(store, lease, runs)
    assert await store.requested_actions.pause_waiting([waits, runs], "caller") == {waits}
    assert await store.requested_actions.resume([waits, runs], "caller") == {waits}
    assert await store.requested_actions.end_waiting([waits, runs], "caller") == {waits}
    assert await store.lanes.urgent() == []
    assert await store.requested_actions.leave([waits, runs], Requested.CANCEL, "caller") == {runs}
    assert [job.id for job in await store.lanes.urgent()] == [runs]


async def test_what_a_toy_has_in_the_cluster_is_in_use_and_its_block_is_told(
    store: Store, database_url: str
) -> None:
    lease = await lease_of(store)
    posted = await toy(store)
    changes: Changes = {"writes_blocked_since": clock.now()}
    job = await saved(store, lease, await begun(store, lease, posted), changes)
    execute(database_url, "UPDATE job SET updated_at = :past", past="2020-01-01 00:00:00.000000")
    assert await store.operations.in_use() == {posted}
    assert await store.paces.blocked_indices() == [NAME]
    await saved(store, lease, job, {"status": Status.FAILED})
    execute(database_url, "UPDATE job SET updated_at = :past", past="2020-01-01 00:00:00.000000")
    assert await store.operations.in_use() == set()
    assert await store.paces.blocked_indices() == []


async def test_the_data_are_about_another_cluster_only_once_no_job_but_small_ones_lives(
    store: Store,
) -> None:
    lease = await lease_of(store)
    assert await store.cluster_identities.settle("one", None) == "one"
    posted = await toy(store)
    await store.small_jobs.leave("blockWrite", NAME, "caller")
    assert await store.cluster_identities.settle("two", None) == "one"
    await saved(store, lease, await begun(store, lease, posted), {"status": Status.COMPLETED})
    assert await store.cluster_identities.settle("two", None) == "two"


async def test_a_plain_job_is_no_operation(store: Store) -> None:
    job = await store.jobs.load(await toy(store))
    assert (job.kind, isinstance(job, Operation)) == (TOY, False)
