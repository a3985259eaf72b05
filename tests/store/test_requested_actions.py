"""Actions requested for many operations: one transaction; only those that they fit are changed."""

from __future__ import annotations

import pytest

from app.domain.errors import Outdated
from app.domain.job import Goal, Requested, Status
from app.domain.operation import Changes
from app.store.store import Store
from tests.store.conftest import OpenStore
from tests.store.operations import ended, enqueue, lease_of, saved, started

PAUSED: Changes = {"status": Status.PAUSED, "suspended": True}


async def statuses(store: Store, *ids: str) -> list[Status]:
    return [(await store.operations.load(operation_id)).status for operation_id in ids]


async def whats(store: Store, operation_id: str) -> list[str]:
    return [event.what for event in await store.events.of_operation(operation_id)]


async def test_a_batch_larger_than_an_old_limit_of_sqlite_is_cancelled_in_one_step(
    store: Store,
) -> None:
    made = await enqueue(store, *(f"i{n}" for n in range(2_000)))
    ids = [operation.id for operation in made.operations]
    assert made.batch_id is not None
    found = await store.operations.of_batch(made.batch_id)
    assert [operation.id for operation in found] == ids
    assert await store.requested_actions.end_waiting(ids, "caller") == set(ids)
    assert await store.requested_actions.end_waiting(ids, "caller") == set()
    assert await store.operations.live_names() == set()
    events = await store.events.after(0, 10_000)
    assert [e.what for e in events].count("cancelled") == 2_000
    assert len({e.number for e in events}) == len(events)


async def test_only_those_are_changed_that_the_wish_fits(store: Store) -> None:
    lease = await lease_of(store)
    running = await started(store, lease, "running")
    done = await ended(store, lease, "done", {"status": Status.COMPLETED})
    waiting = (await enqueue(store, "waiting")).operations[0]
    ids = [running.id, done.id, waiting.id]
    assert await store.requested_actions.pause_waiting(ids, "caller") == {waiting.id}
    assert await store.requested_actions.leave(ids, Requested.PAUSE, "caller") == {
        running.id,
        waiting.id,
    }
    assert await statuses(store, *ids) == [
        Status.IN_PROGRESS,
        Status.COMPLETED,
        Status.IN_PROGRESS,
    ]
    assert await whats(store, done.id) == ["queued", "started"]


async def test_an_acknowledged_cancel_is_not_replaced_by_another_wish(store: Store) -> None:
    lease = await lease_of(store)
    running = await started(store, lease, "running")
    assert await store.requested_actions.leave([running.id], Requested.PAUSE, "caller") == {
        running.id
    }
    assert await store.requested_actions.leave([running.id], Requested.CANCEL, "caller") == {
        running.id
    }
    assert await store.requested_actions.leave([running.id], Requested.RETRY, "caller") == set()
    assert (await store.operations.load(running.id)).requested is Requested.CANCEL


async def test_one_that_is_cancelled_while_it_is_being_paused_is_not_left_paused(
    store: Store,
) -> None:
    lease = await lease_of(store)
    pausing = await started(store, lease, "pausing")
    other = await started(store, lease, "other")
    assert await store.requested_actions.leave([pausing.id], Requested.CANCEL, "caller") == {
        pausing.id
    }
    put_aside: Changes = {"goal": Goal.FINISH, "status": Status.PAUSED, "suspended": True}
    found = await saved(store, lease, pausing, put_aside)
    assert (found.status, found.requested) == (Status.IN_PROGRESS, Requested.CANCEL)
    assert [one.id for one in await store.lanes.urgent()] == [pausing.id]
    assert (await saved(store, lease, other, put_aside)).status is Status.PAUSED
    assert [one.id for one in await store.lanes.urgent()] == [pausing.id]


async def test_to_try_again_does_not_come_before_a_pause_nor_wake_what_is_paused(
    store: Store,
) -> None:
    lease = await lease_of(store)
    pausing = await started(store, lease, "pausing")
    paused = await saved(store, lease, await started(store, lease, "paused"), PAUSED)
    await store.requested_actions.leave([pausing.id], Requested.PAUSE, "caller")
    ids = [pausing.id, paused.id]
    assert await store.requested_actions.leave(ids, Requested.RETRY, "caller") == set()
    assert (await store.operations.load(pausing.id)).requested is Requested.PAUSE
    assert await statuses(store, paused.id) == [Status.PAUSED]


async def test_a_requested_action_that_was_taken_back_is_not_granted(store: Store) -> None:
    lease = await lease_of(store)
    read = await started(store, lease, "pausing")
    await store.requested_actions.leave([read.id], Requested.PAUSE, "caller")
    read = await store.operations.load(read.id)
    assert await store.requested_actions.resume([read.id], "caller") == {read.id}
    with pytest.raises(Outdated):
        await store.jobs.save(
            lease.token, read, {"goal": Goal.PAUSE}, (), (), "worker", granted=Requested.PAUSE
        )
    assert (await store.operations.load(read.id)).goal is Goal.FINISH


async def test_resuming_takes_back_a_pause_that_was_not_granted(store: Store) -> None:
    lease = await lease_of(store)
    pausing = await started(store, lease, "pausing")
    paused = (await enqueue(store, "paused")).operations[0]
    going = await started(store, lease, "going")
    aside = await saved(
        store, lease, await started(store, lease, "suspended"), {"goal": Goal.PAUSE}
    )
    await store.requested_actions.leave([pausing.id, aside.id], Requested.PAUSE, "caller")
    await store.requested_actions.pause_waiting([paused.id], "caller")
    ids = [pausing.id, paused.id, going.id, aside.id]
    assert await store.requested_actions.resume(ids, "caller") == {pausing.id, paused.id}
    assert (await store.operations.load(pausing.id)).requested is Requested.NONE
    assert (await store.operations.load(aside.id)).requested is Requested.PAUSE
    assert await whats(store, pausing.id) == [
        "queued",
        "started",
        "pause requested",
        "pause taken back",
    ]


async def test_the_operations_of_another_cluster_are_not_touched(open_store: OpenStore) -> None:
    one, other = await open_store(), await open_store("another")
    theirs = (await enqueue(other, "a")).operations[0]
    assert await one.requested_actions.end_waiting([theirs.id], "caller") == set()
    assert await one.requested_actions.leave([theirs.id], Requested.CANCEL, "caller") == set()
    assert (await other.operations.load(theirs.id)).live
    assert await one.requested_actions.end_waiting([], "caller") == set()
