"""Operations: asked for in order, claimed once, saved only as they were read."""

from __future__ import annotations

import asyncio
import random
from datetime import UTC, datetime, timedelta

import pytest

from app.domain.errors import Outdated
from app.domain.events import EventKind, Note
from app.domain.failure import FailedDocument, FailureClass, FailureDetails
from app.domain.job import Goal, Lane, Requested, Status
from app.domain.names import IndexName
from app.domain.operation import (
    Changes,
    Kept,
    Operation,
    Proof,
    ProofLevel,
    Proving,
    Side,
    Source,
    Step,
)
from app.domain.windows import TaskRef, Window, WindowState
from app.store.role import Lease
from app.store.store import Store
from tests.store.conftest import OpenStore
from tests.store.database import execute
from tests.store.operations import ended, enqueue, enqueued, lease_of, saved, started

AT = datetime(2024, 2, 29, 23, 59, 59, 123456, tzinfo=UTC)

SOURCE = Source(
    uuid="source-uuid",
    shards=2,
    routing_shards=1024,
    closed=True,
    blocks={"index.blocks.read_only": "true"},
    verified_read_only=False,
    aliases=["alias"],
    settings={"index.number_of_replicas": "1", "index.refresh_interval": None},
    lifecycle={"index.lifecycle.name": "policy"},
    active_copies=4,
)

PROOF = Proof(
    level=ProofLevel.COUNT,
    documents=2**40,
    lucene_documents=2**40 + 1,
    source_seq_nos=[2**41, -1],
    target_seq_nos=[1, 2],
    at=AT,
)

EVERYTHING = Changes(
    status=Status.PAUSED,
    last_completed_step=Step.REINDEX_COMPLETED,
    goal=Goal.FAIL,
    position="prove",
    position_back="end_tasks",
    past_return=True,
    result={"told": [1]},
    keep_target=True,
    proof_level=ProofLevel.FULL,
    failure=FailureDetails(
        kind=FailureClass.DOCUMENTS,
        step="copy",
        remedy="mend them",
        documents=[FailedDocument(id=None, type="type", reason="reason")],
        counts={"type": 1},
    ),
    lost_since=AT,
    reindex_task_id="node:1",
    loose_tasks=[TaskRef(id="node:2", started=2**41), TaskRef(id="node:3")],
    reindex_task_perc_complete=0.25,
    error_code="code",
    error_message="m" * 5_000,
    source=SOURCE,
    source_seq_nos=[2**41, -1],
    target_uuid="target-uuid",
    leftover_uuid="leftover-uuid",
    suspended=True,
    source_writable=True,
    writes_blocked_since=AT,
    given_back=2,
    given_back_at=AT,
    proving=Proving(
        documents=3,
        target_seq_nos=[5],
        source=Side(shard=1, from_seq_no=4, documents=2, digest="a" * 128),
    ),
    kept=Kept(name=IndexName("kept-a"), uuid="kept-uuid", seq_nos=[1]),
    kept_until=AT,
    proof=PROOF,
    hold_reason="h" * 5_000,
    hold_since=AT,
    attempts=3,
    crashes=1,
    next_attempt_at=AT,
    started_at=2**41,
    ended_at=AT,
)


def _window(number: int, state: WindowState = WindowState.PLANNED) -> Window:
    return Window(
        number=number,
        shard=number % 2,
        from_seq_no=None if number == 0 else 2**40 + number,
        to_seq_no=2**40 + number + 1,
        documents=2**33,
        state=state,
        started_at=None if state is WindowState.PLANNED else AT,
    )


# --- asking


async def test_an_empty_queue_has_no_head(store: Store) -> None:
    assert await store.lanes.head() is None
    assert await store.listing.queue() == []
    assert await store.operations.latest(IndexName("a")) is None


async def test_the_head_is_the_first_in_the_queue_until_it_has_ended(store: Store) -> None:
    lease = await lease_of(store)
    await enqueue(store, "b", "a")
    for name in ("b", "a"):
        head = await store.lanes.head()
        assert head is not None
        assert head.index_name == name
        claimed = await store.jobs.begin(lease.token, head.id, "worker")
        assert claimed is not None
        assert await store.lanes.head() == claimed
        await saved(store, lease, claimed, {"status": Status.COMPLETED})
    assert await store.lanes.head() is None


async def test_a_parked_operation_comes_after_those_that_were_not_begun(store: Store) -> None:
    """And one that was resumed, or is asked to try again, at its own place."""
    lease = await lease_of(store)
    past, future = datetime(2020, 1, 1, tzinfo=UTC), datetime(2100, 1, 1, tzinfo=UTC)
    parked = [await started(store, lease, name) for name in ("later", "due", "also-due")]
    times = {"later": future, "due": past, "also-due": past}
    for operation in parked:
        aside: Changes = {"suspended": True, "next_attempt_at": times[operation.index_name]}
        await saved(store, lease, operation, aside)
    waiting = await enqueued(store, "waiting")
    assert await order_of_the_queue(store, lease) == ["waiting", "due", "also-due"]
    ids = {str(operation.index_name): operation.id for operation in (*parked, waiting)}
    await store.requested_actions.leave([ids["later"]], Requested.RETRY, "caller")
    head = await store.lanes.head()
    assert head is not None
    assert head.index_name == "later"


async def test_a_parked_operation_does_not_wait_for_a_clock_that_was_set_back(
    store: Store, database_url: str
) -> None:
    lease = await lease_of(store)
    parked = await started(store, lease, "parked")
    hour = datetime.now(UTC) + timedelta(hours=1)
    await saved(store, lease, parked, {"suspended": True, "next_attempt_at": hour})
    assert await store.lanes.head() is None
    execute(database_url, "UPDATE job SET updated_at = :hour", hour=hour)
    head = await store.lanes.head()
    assert head is not None
    assert head.id == parked.id


async def order_of_the_queue(store: Store, lease: Lease) -> list[str]:
    """Takes one after the other and ends it."""
    found: list[str] = []
    while head := await store.lanes.head():
        claimed = await store.jobs.begin(lease.token, head.id, "worker")
        assert claimed
        assert await store.lanes.others_wait(claimed) is (len(found) < 2)
        found.append(claimed.index_name)
        await saved(store, lease, claimed, {"status": Status.FAILED})
    return found


async def test_rollbacks_and_what_is_cancelled_wait_for_nobody(store: Store) -> None:
    lease = await lease_of(store)
    head = await started(store, lease, "head")
    paused: Changes = {"status": Status.PAUSED, "suspended": True}
    aside = await saved(store, lease, await started(store, lease, "suspended"), paused)
    back = await started(store, lease, "back")
    await saved(store, lease, back, {"goal": Goal.ROLL_BACK})
    assert [one.id for one in await store.lanes.urgent()] == [back.id]
    await store.requested_actions.leave([aside.id], Requested.CANCEL, "caller")
    assert [one.id for one in await store.lanes.urgent()] == [aside.id, back.id]
    first = await store.lanes.head()
    assert first is not None
    assert first.id == head.id


async def test_a_single_operation_runs_beside_the_batch_queue(store: Store) -> None:
    single = (await enqueue(store, "a", single=True)).operations[0]
    later = (await enqueue(store, "c", single=True)).operations[0]
    queued = await enqueued(store, "b")
    assert await store.lanes.head() == queued
    assert await store.lanes.first(Lane.BESIDE, 2) == [single, later]
    assert await store.lanes.first(Lane.BESIDE, 1) == [single]
    assert single.batch_id is None
    assert [operation.index_name for operation in await store.listing.queue()] == ["b"]


async def test_a_paused_operation_leaves_the_queue_to_the_others(store: Store) -> None:
    lease = await lease_of(store)
    await saved(store, lease, await started(store, lease, "a"), {"status": Status.PAUSED})
    second = await enqueued(store, "b")
    assert await store.lanes.head() == second
    (queued,) = await store.listing.queue()
    assert queued.index_name == second.index_name


async def test_two_clusters_in_one_database_do_not_see_each_other(open_store: OpenStore) -> None:
    one, other = await open_store("one"), await open_store("other")
    await enqueue(one, "a")
    assert await other.lanes.head() is None
    assert await other.operations.latest(IndexName("a")) is None
    assert await other.events.after(0) == []
    assert (await enqueue(other, "a")).refused == {}
    assert [event.number for event in await other.events.after(0)] == [1]


# --- claim against cancellation


async def test_claim_marks_the_operation_as_started(store: Store) -> None:
    lease = await lease_of(store)
    waiting = await enqueued(store, "a")
    claimed = await store.jobs.begin(lease.token, waiting.id, "worker")
    assert claimed is not None
    assert claimed == await store.operations.load(waiting.id)
    assert claimed.started_at is not None
    assert claimed.version == waiting.version + 1
    assert claimed.status is Status.IN_PROGRESS


async def test_a_started_operation_is_not_claimed_again(store: Store) -> None:
    lease = await lease_of(store)
    claimed = await started(store, lease, "a")
    assert await store.jobs.begin(lease.token, claimed.id, "worker") is None
    assert await store.operations.load(claimed.id) == claimed


async def test_a_cancelled_operation_is_not_claimed(store: Store) -> None:
    lease = await lease_of(store)
    waiting = await enqueued(store, "a")
    assert await store.requested_actions.end_waiting([waiting.id], "caller")
    assert await store.jobs.begin(lease.token, waiting.id, "worker") is None
    cancelled = await store.operations.load(waiting.id)
    assert cancelled.status is Status.CANCELLED
    assert cancelled.started_at is None
    assert cancelled.ended_at is not None
    assert not await store.requested_actions.end_waiting([waiting.id], "caller")


async def test_a_started_operation_is_not_ended_from_outside(store: Store) -> None:
    claimed = await started(store, await lease_of(store), "a")
    assert not await store.requested_actions.end_waiting([claimed.id], "caller")
    assert await store.operations.load(claimed.id) == claimed


async def test_of_claim_and_cancellation_exactly_one_wins(open_store: OpenStore) -> None:
    worker, api = await open_store(), await open_store()
    lease = await lease_of(worker)
    operations = (await enqueue(worker, *(f"index-{n}" for n in range(60)))).operations
    order = random.Random(1)
    for operation in operations:
        claim = worker.jobs.begin(lease.token, operation.id, "worker")
        cancel = api.requested_actions.end_waiting([operation.id], "caller")
        if order.random() < 0.5:
            claimed, cancelled = await asyncio.gather(claim, cancel)
        else:
            cancelled, claimed = await asyncio.gather(cancel, claim)
        assert (claimed is None) is bool(cancelled)
        now = await api.operations.load(operation.id)
        assert (now.started_at is None) is bool(cancelled)
        assert (now.status is Status.CANCELLED) is bool(cancelled)
        assert now.version == 1
        events = [event.what for event in await api.events.of_operation(operation.id)]
        assert events == ["queued", "cancelled" if cancelled else "started"]


# --- wishes


async def test_a_requested_action_does_not_disturb_the_worker(store: Store) -> None:
    lease = await lease_of(store)
    claimed = await started(store, lease, "a")
    assert await store.requested_actions.leave([claimed.id], Requested.CANCEL, "caller")
    wished = await store.operations.load(claimed.id)
    assert wished == claimed.model_copy(update={"requested": Requested.CANCEL})
    after = await saved(store, lease, claimed, {"attempts": 1})
    assert after.requested is Requested.CANCEL
    assert after.attempts == 1


async def test_a_requested_action_for_an_ended_operation_is_refused(store: Store) -> None:
    operation = await ended(store, await lease_of(store), "a", {})
    assert not await store.requested_actions.leave([operation.id], Requested.CANCEL, "caller")
    assert await store.operations.load(operation.id) == operation


# --- saves


async def test_everything_that_is_saved_is_read_again_as_it_was(store: Store) -> None:
    assert set(EVERYTHING) == set(Changes.__annotations__)
    lease = await lease_of(store)
    operation = await started(store, lease, "a")
    after = await saved(store, lease, operation, EVERYTHING)
    loaded = await store.operations.load(operation.id)
    assert loaded == after
    assert {key: getattr(loaded, key) for key in EVERYTHING} == EVERYTHING
    cleared = await saved(store, lease, after, {"source": None, "proof": None, "hold_since": None})
    assert cleared == await store.operations.load(operation.id)
    assert (cleared.source, cleared.proof, cleared.hold_since) == (None, None, None)


async def test_a_huge_error_message_is_kept_whole(store: Store) -> None:
    message = "ResponseError: ü {}" * 30_000
    operation = await ended(
        store, await lease_of(store), "filebeat-2019", {"error_message": message}
    )
    assert (await store.operations.load(operation.id)).error_message == message


async def test_a_save_over_a_newer_row_is_refused_whole(store: Store) -> None:
    lease = await lease_of(store)
    old = await started(store, lease, "a")
    new = await saved(store, lease, old, {"attempts": 1})
    events = await store.events.of_operation(old.id)
    with pytest.raises(Outdated):
        await store.jobs.save(
            lease.token,
            old,
            {"attempts": 9},
            [_window(0)],
            [Note(what=EventKind.WARNING)],
            "worker",
        )
    assert await store.operations.load(old.id) == new
    assert await store.jobs.windows(old.id) == ()
    assert await store.events.of_operation(old.id) == events


async def test_of_two_saves_of_the_same_row_exactly_one_wins(store: Store) -> None:
    lease = await lease_of(store)
    operation = await started(store, lease, "a")
    for _ in range(10):
        results = await asyncio.gather(
            *(saved(store, lease, operation, {"attempts": n}) for n in range(4)),
            return_exceptions=True,
        )
        (winner,) = [result for result in results if isinstance(result, Operation)]
        assert [type(r) for r in results if r is not winner] == [Outdated] * 3
        operation = await store.operations.load(operation.id)
        assert operation == winner


async def test_windows_are_added_and_changed_one_by_one(store: Store) -> None:
    lease = await lease_of(store)
    operation = await started(store, lease, "a")
    other = await started(store, lease, "b")
    planned = [_window(number) for number in (2, 0, 1)]
    operation = await store.jobs.save(lease.token, operation, {}, planned, (), "worker")
    await store.jobs.save(lease.token, other, {}, [_window(1)], (), "worker")
    changed = _window(1, WindowState.DONE).model_copy(
        update={
            "task_id": "node:7",
            "task_started": 2**41,
            "seen": 2**34,
            "attempt": 2,
            "ended_at": AT,
        }
    )
    more = [changed, _window(3, WindowState.RUNNING)]
    await store.jobs.save(lease.token, operation, {}, more, (), "worker")
    expected = (_window(0), changed, _window(2), _window(3, WindowState.RUNNING))
    assert await store.jobs.windows(operation.id) == expected
    assert await store.jobs.windows(other.id) == (_window(1),)
