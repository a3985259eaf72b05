"""Pruning: what is old goes with all that belongs to it, and what is needed stays."""

from __future__ import annotations

import itertools
import uuid
from collections.abc import Sequence
from datetime import timedelta
from typing import Any, Unpack

import pytest

from app.domain import clock
from app.domain.errors import LeaseLost, WrongState
from app.domain.events import AUDIT, EventKind
from app.domain.job import Goal, Lane, Status
from app.domain.names import IndexName
from app.domain.operation import Changes
from app.domain.pruning import MOST_ROWS, NEWEST_COMPLETED, Pruning, Removed, Retention
from app.store.enqueueing import BatchKey
from app.store.store import Store
from tests.store.conftest import CLUSTER
from tests.store.database import execute
from tests.store.operations import ended, enqueue, enqueued, lease_of, started, wanted

LONG_AGO = timedelta(days=100)
RETENTION = Retention(None, 400.0)
WINDOW = (
    "INSERT INTO copy_window (job_id, number, cluster_id, shard, documents, batch, state, "
    "attempt, failures, seen, repeatable) VALUES (:job, :number, :cluster, 0, 1, 1, 'done', 1, 0, "
    "1, true)"
)
EVENT = (
    "INSERT INTO event (cluster_id, number, job_id, at, who, what, text) "
    "VALUES (:cluster, :number, :job, :at, 'worker', :what, '')"
)


def aged(url: str, past: timedelta = LONG_AGO) -> None:
    """Everything that is in the database happened so long ago."""
    moved: dict[str, Sequence[str]] = {
        "job": ("created_at", "updated_at", "ended_at"),
        "batch": ("created_at",),
        "event": ("at",),
    }
    then = clock.now() - past
    for table, columns in moved.items():
        for column in columns:
            execute(
                url,
                f"UPDATE {table} SET {column} = :then WHERE {column} IS NOT NULL",
                then=stored(url, then),
            )


def stored(url: str, then: Any) -> Any:
    """As the column has it: SQLite has no type for times."""
    return then if url.startswith("postgresql") else then.strftime("%Y-%m-%d %H:%M:%S.%f")


def jobs(url: str) -> set[str]:
    return {row[0] for row in execute(url, "SELECT index_name FROM job")}


def number_of(url: str, table: str) -> int:
    ((number,),) = execute(url, f"SELECT count(*) FROM {table}")
    return int(number)


async def pruned(store: Store, days: float = 30.0, retention: Retention = RETENTION) -> Pruning:
    """One pass to its end, by a worker that takes the role for it."""
    lease = await lease_of(store)
    await store.prunings.request(retention.pruning("api:ops", days))
    while await store.prunings.go_on(lease.token, "worker"):
        pass
    await store.role.release(lease)
    done = await store.prunings.last()
    assert done is not None
    assert done.ended_at is not None
    return done


async def of_the_past(store: Store, *names: str, **changes: Unpack[Changes]) -> None:
    """Operations that ended, failed unless `changes` say otherwise."""
    lease = await lease_of(store)
    for name in names:
        await ended(store, lease, name, {"ended_at": clock.now(), **changes})
    await store.role.release(lease)


async def test_what_is_old_goes_with_windows_and_batch_and_what_is_young_stays(
    store: Store, database_url: str
) -> None:
    await of_the_past(store, "old")
    ((job,),) = execute(database_url, "SELECT id FROM job")
    execute(database_url, WINDOW, job=job, number=1, cluster=CLUSTER)
    aged(database_url)
    await of_the_past(store, "young")
    done = await pruned(store)
    # `started` of the one that is gone; that it was queued is kept for the audit
    assert done.removed == Removed(batches=1, jobs=1, windows=1, events=1)
    assert jobs(database_url) == {"young"}
    assert number_of(database_url, "batch") == 1
    assert number_of(database_url, "copy_window") == 0
    left = await store.events.of_operation(job)
    assert [event.what for event in left] == ["queued"]


async def test_the_pass_is_an_event_with_what_it_removed_and_who_asked(
    store: Store, database_url: str
) -> None:
    await of_the_past(store, "old")
    aged(database_url)
    done = await pruned(store)
    asked, told = (await store.events.after(0))[-2:]
    assert (asked.what, asked.who) == ("pruning requested", "api:ops")
    assert (told.what, told.who) == ("pruned", "worker")
    assert (
        told.text == f"older than {done.before.isoformat(timespec='seconds')}, asked for by api:ops"
    )
    assert told.after == {"batches": 1, "jobs": 1, "windows": 0, "events": 1}


async def test_audit_events_outlive_their_operation_until_their_own_time_is_over(
    store: Store, database_url: str
) -> None:
    await of_the_past(store, "old")
    ((job,),) = execute(database_url, "SELECT id FROM job")
    for number, what in enumerate(EventKind, 100):
        at = stored(database_url, clock.now())
        execute(
            database_url, EVENT, cluster=CLUSTER, number=number, job=job, at=at, what=what.value
        )
    aged(database_url, timedelta(days=100))
    await pruned(store)
    left = {event.what for event in await store.events.of_operation(job)}
    assert left == {kind.value for kind in AUDIT}
    aged(database_url, timedelta(days=401))
    await pruned(store)
    assert await store.events.of_operation(job) == []


async def test_no_audit_event_goes_before_its_operation(store: Store, database_url: str) -> None:
    await of_the_past(store, "old")
    aged(database_url, timedelta(days=20))
    done = await pruned(store, days=30, retention=Retention(None, 1.0))
    assert done.removed == Removed()
    assert jobs(database_url) == {"old"}
    assert [event.what for event in await store.events.after(0)][:2] == ["queued", "started"]


async def test_events_of_no_operation_go_by_their_own_age(store: Store, database_url: str) -> None:
    for number, what in ((1, EventKind.HEALTH_GATE), (2, EventKind.EVERYTHING_STOPPED)):
        at = stored(database_url, clock.now() - timedelta(days=100))
        execute(
            database_url, EVENT, cluster=CLUSTER, number=-number, job=None, at=at, what=what.value
        )
    execute(database_url, "UPDATE event SET number = 3 + number")
    execute(database_url, "UPDATE cluster_state SET last_event = 3")
    done = await pruned(store)
    assert done.removed == Removed(events=1)
    assert next(event.what for event in await store.events.after(0)) == "everything stopped"


async def test_what_lives_stays_with_its_whole_batch(store: Store, database_url: str) -> None:
    lease = await lease_of(store)
    await enqueue(store, "a", "b", "c")
    for job in (await store.lanes.first(Lane.QUEUE, 3))[:2]:
        begun = await store.jobs.begin(lease.token, job.id, "worker")
        assert begun
        end: Changes = {"status": Status.FAILED, "ended_at": clock.now()}
        await store.jobs.save(lease.token, begun, end, (), (), "worker")
    await store.role.release(lease)
    aged(database_url)
    await pruned(store)
    assert jobs(database_url) == {"a", "b", "c"}
    execute(database_url, "UPDATE job SET status = 3 WHERE index_name = 'c'")
    await pruned(store)
    assert jobs(database_url) == {"a", "b", "c"}
    then = stored(database_url, clock.now() - LONG_AGO)
    execute(
        database_url,
        "UPDATE job SET status = 4, ended_at = :then WHERE index_name = 'c'",
        then=then,
    )
    await pruned(store)
    assert jobs(database_url) == set()


@pytest.mark.parametrize(
    "why",
    ["kept_until = updated_at", "keep_target = true"],
    ids=["a kept copy", "a target to be looked at"],
)
async def test_what_has_left_something_in_the_cluster_stays(
    store: Store, database_url: str, why: str
) -> None:
    await of_the_past(store, "needed", "old")
    execute(database_url, f"UPDATE job SET {why} WHERE index_name = 'needed'")
    aged(database_url)
    await pruned(store)
    assert jobs(database_url) == {"needed"}


@pytest.mark.parametrize(
    ("later", "left"),
    [
        ({}, {"name"}),  # one that failed has moved no name
        ({"status": Status.CANCELLED}, {"name"}),
        ({"status": Status.COMPLETED}, set[str]()),
        ({"status": Status.CANCELLED, "goal": Goal.ROLL_BACK}, {"name"}),
    ],
    ids=["failed", "cancelled", "completed", "rolled back, too"],
)
async def test_a_rollback_stays_until_its_name_is_moved_on(
    store: Store, database_url: str, later: Changes, left: set[str]
) -> None:
    await of_the_past(store, "name", status=Status.CANCELLED, goal=Goal.ROLL_BACK)
    await of_the_past(store, "name", **later)
    ((first,), (second,)) = execute(database_url, "SELECT id FROM job ORDER BY queued_at")
    aged(database_url)
    # so that the later one is not among the newest completed ones
    filler(database_url, NEWEST_COMPLETED)
    await pruned(store)
    remaining = {
        row[0] for row in execute(database_url, "SELECT id FROM job WHERE index_name = 'name'")
    }
    if left and later.get("goal") is Goal.ROLL_BACK:
        assert remaining == {second}
    else:
        assert remaining == ({first} if left else set())


async def test_a_rollback_stays_where_the_source_has_kept_its_name_since(
    store: Store, database_url: str
) -> None:
    await of_the_past(store, "name", status=Status.CANCELLED, goal=Goal.ROLL_BACK)
    await of_the_past(store, "name", status=Status.COMPLETED)
    execute(database_url, "UPDATE job SET keeps_source = true WHERE status = 1")
    aged(database_url)
    filler(database_url, NEWEST_COMPLETED)
    await pruned(store)
    assert number_of(database_url, "job WHERE index_name = 'name'") == 1


def filler(url: str, number: int, past: timedelta = LONG_AGO) -> None:
    """So many completed operations, each younger in the queue than all others."""
    ((template,),) = execute(url, "SELECT id FROM job ORDER BY queued_at LIMIT 1")
    columns = [column for column in _columns(url) if column not in _OWN]
    names = ", ".join(columns)
    for n in range(number):
        execute(
            url,
            f"INSERT INTO job ({', '.join(_OWN)}, {names}) "
            "SELECT :id, :index, :target, (SELECT max(queued_at) + 1 FROM job), 1, 'finish', "
            f"NULL, :ended, {names} FROM job WHERE id = :template",
            id=uuid.uuid4().hex,
            index=f"filler-{n}",
            target=f"filled-{n}",
            ended=stored(url, clock.now() - past),
            template=template,
        )


_OWN = ("id", "index_name", "new_index_name", "queued_at", "status", "goal", "batch_id", "ended_at")


def _columns(url: str) -> list[str]:
    if url.startswith("postgresql"):
        where = "FROM information_schema.columns WHERE table_name = 'job'"
        return [row[0] for row in execute(url, f"SELECT column_name {where}")]
    return [row[1] for row in execute(url, "PRAGMA table_info(job)")]


async def test_the_newest_completed_ones_stay_for_estimates(
    store: Store, database_url: str
) -> None:
    await of_the_past(store, "failed")
    aged(database_url)
    filler(database_url, NEWEST_COMPLETED + 3)
    done = await pruned(store)
    assert done.removed.jobs == 4
    assert jobs(database_url) == {f"filler-{n}" for n in range(3, NEWEST_COMPLETED + 3)}


async def test_a_batch_with_a_young_key_stays_and_is_found_by_it(
    store: Store, database_url: str
) -> None:
    lease = await lease_of(store)
    key = BatchKey("mine", "0" * 64)
    await store.operations.enqueue(wanted("keyed"), "caller", key=key)
    (job,) = await store.lanes.first(Lane.QUEUE, 1)
    begun = await store.jobs.begin(lease.token, job.id, "worker")
    assert begun
    await store.jobs.save(
        lease.token, begun, {"status": Status.FAILED, "ended_at": clock.now()}, (), (), "worker"
    )
    await store.role.release(lease)
    aged(database_url, timedelta(days=6))
    await pruned(store, days=1)
    assert jobs(database_url) == {"keyed"}
    assert await store.batches.posted_with("mine") is not None
    aged(database_url, timedelta(days=8))
    done = await pruned(store, days=1)
    assert (done.removed.jobs, done.removed.batches) == (1, 1)
    assert await store.batches.posted_with("mine") is None


async def test_a_batch_of_which_every_name_was_refused_goes_by_its_own_age(
    store: Store, database_url: str
) -> None:
    refused = [{"index": "x", "code": "index_not_found", "message": "no"}]
    await store.operations.enqueue((), "caller", refused)
    aged(database_url)
    await store.operations.enqueue((), "caller", refused)
    done = await pruned(store)
    assert done.removed == Removed(batches=1)
    assert number_of(database_url, "batch") == 1


async def test_small_jobs_are_history_too(store: Store, database_url: str) -> None:
    job_id = await store.small_jobs.leave("blockWrite", IndexName("a"), "caller")
    await store.small_jobs.withdraw(job_id)
    aged(database_url)
    await store.small_jobs.leave("blockWrite", IndexName("b"), "caller")
    done = await pruned(store)
    assert done.removed.jobs == 1
    assert jobs(database_url) == {"b"}


async def test_no_transaction_removes_more_than_it_may(store: Store, database_url: str) -> None:
    await of_the_past(store, "large", "small")
    ((large,),) = execute(database_url, "SELECT id FROM job WHERE index_name = 'large'")
    for number in range(MOST_ROWS + 20):
        execute(database_url, WINDOW, job=large, number=number, cluster=CLUSTER)
    aged(database_url)
    lease = await lease_of(store)
    await store.prunings.request(RETENTION.pruning("api:ops", 30))
    removed, going_on = [Removed()], True
    while going_on:
        going_on = await store.prunings.go_on(lease.token, "worker")
        now = await store.prunings.last()
        assert now is not None
        removed.append(now.removed)
    pieces = [after.rows - before.rows for before, after in itertools.pairwise(removed)]
    assert max(pieces) == MOST_ROWS
    assert removed[-1] == Removed(batches=2, jobs=2, windows=MOST_ROWS + 20, events=2)
    assert number_of(database_url, "copy_window") == 0


async def test_a_pass_is_gone_on_with_by_whoever_has_the_role_and_there_is_one_at_a_time(
    store: Store, database_url: str
) -> None:
    await of_the_past(store, "old")
    aged(database_url)
    lease = await lease_of(store)
    await store.prunings.request(RETENTION.pruning("api:ops", 30))
    with pytest.raises(WrongState, match="asked for by api:ops"):
        await store.prunings.request(RETENTION.pruning("api:eve", 30))
    assert await store.prunings.go_on(lease.token, "worker")
    await store.role.release(lease)
    with pytest.raises(LeaseLost):
        await store.prunings.go_on("of nobody", "worker")
    lease = await lease_of(store)
    while await store.prunings.go_on(lease.token, "another"):
        pass
    assert jobs(database_url) == set()
    assert not await store.prunings.go_on(lease.token, "another")
    assert [event.what for event in await store.events.after(0)].count("pruned") == 1


async def test_another_cluster_in_the_same_database_is_left_alone(
    store: Store, open_store: Any, database_url: str
) -> None:
    other = await open_store("other")
    if database_url.startswith("sqlite"):
        await enqueued(other, "theirs")
        execute(database_url, "UPDATE job SET status = 2, ended_at = updated_at")
    else:
        await of_the_past(other, "theirs")
    await of_the_past(store, "ours")
    aged(database_url)
    await pruned(store)
    assert jobs(database_url) == {"theirs"}
    assert number_of(database_url, "batch") == 1


async def test_an_operation_in_hand_is_saved_while_history_goes(
    store: Store, database_url: str
) -> None:
    await of_the_past(store, *(f"old-{n}" for n in range(5)))
    aged(database_url)
    lease = await lease_of(store)
    operation = await started(store, lease, "now")
    await store.prunings.request(RETENTION.pruning("api:ops", 30))
    while await store.prunings.go_on(lease.token, "worker"):
        operation = await store.jobs.save(lease.token, operation, {"attempts": 1}, (), (), "worker")
    assert jobs(database_url) == {"now"}
