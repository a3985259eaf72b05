"""The worker role and the fence, with two real owners."""

from __future__ import annotations

import asyncio
import fcntl
from pathlib import Path

import pytest
from sqlmodel import col, update

from app.domain.errors import LeaseLost
from app.domain.events import EventKind, Note
from app.domain.operation import Operation
from app.domain.windows import Window
from app.store.role import Lease, owner_name
from app.store.store import Store
from app.store.tables import JobRow
from app.store.transactions import Transaction, Transactions
from tests.conditions import eventually
from tests.store.conftest import OpenStore
from tests.store.database import execute
from tests.store.open_transaction import open_transaction
from tests.store.operations import enqueue, enqueued, lease_of, saved, started
from tests.store.processes import another_service, said

SHORT = 1.5
"""Seconds of a lease that is meant to run out; long enough for what is done before that."""

WINDOW = Window(number=0, shard=0, from_seq_no=None, to_seq_no=None, documents=1)


async def _let_go(old: Store, lease: Lease) -> None:
    """The old owner loses the role: by time on PostgreSQL; on SQLite it gives the file away."""
    if lease.deadline is None:
        await old.role.release(lease)


async def _taken(store: Store) -> Lease:
    """Asks for the role until it is there, as a standby does."""
    leases: list[Lease] = []

    async def taken() -> bool:
        lease = await store.role.take()
        leases.extend([lease] if lease else [])
        return bool(leases)

    await eventually(taken, "the role is taken over")
    return leases[0]


async def _attempts_of(url: str, operation: Operation) -> int:
    rows = execute(url, "SELECT attempts FROM job WHERE id = :id", id=operation.id)
    return int(rows[0][0])


async def test_a_role_that_is_held_is_not_given_to_another(open_store: OpenStore) -> None:
    one, other = await open_store(), await open_store()
    lease = await lease_of(one)
    assert lease.held
    for _ in range(3):
        assert await other.role.take() is None
        assert await one.role.take() is None
    await saved(one, lease, await started(one, lease, "a"))


async def test_two_clusters_in_one_database_have_a_worker_each(open_store: OpenStore) -> None:
    one, other = await open_store("one"), await open_store("a/b")
    assert await one.role.take()
    assert await other.role.take()
    assert await (await open_store("one")).role.take() is None


async def test_many_that_ask_at_the_same_time_get_one_role(open_store: OpenStore) -> None:
    stores = [await open_store() for _ in range(4)]
    for _ in range(10):
        leases = await asyncio.gather(*(store.role.take() for store in stores))
        ((store, lease),) = [(s, le) for s, le in zip(stores, leases, strict=True) if le]
        await store.role.release(lease)


async def test_who_has_the_role_can_be_seen_by_everybody(
    open_store: OpenStore, database_url: str
) -> None:
    one, other = await open_store(), await open_store()
    assert await one.role.holder() is None
    lease = await lease_of(one)
    assert await one.role.holder() == await other.role.holder() == owner_name()
    await one.role.release(lease)
    assert await other.role.holder() is None
    if lease.deadline is not None:  # gone without a word
        await lease_of(one)
        execute(database_url, "UPDATE cluster_state SET expires_at = '2020-01-01T00:00:00Z'")
        assert await other.role.holder() is None


async def test_a_released_role_is_free_at_once(open_store: OpenStore) -> None:
    one, other = await open_store(), await open_store()
    for _ in range(3):
        for holder in (one, other):
            await holder.role.release(await lease_of(holder))


async def test_who_has_the_role_is_written_down(store: Store, database_url: str) -> None:
    lease = await lease_of(store)
    rows = execute(database_url, "SELECT token, owner FROM cluster_state")
    assert rows[0][0] == lease.token
    assert ":" in rows[0][1]


async def test_an_owner_whose_role_was_taken_over_saves_nothing(
    open_store: OpenStore, database_url: str
) -> None:
    old, new = await open_store(lease_seconds=SHORT), await open_store()
    lease = await lease_of(old)
    operation = await started(old, lease, "a")
    waiting = await enqueued(old, "b")
    events = await old.events.after(0)
    await _let_go(old, lease)
    taken = await _taken(new)
    if lease.deadline is not None:
        assert not lease.held, "the old owner must know before another is the owner"
    with pytest.raises(LeaseLost):
        await old.jobs.save(
            lease.token,
            operation,
            {"attempts": 9},
            [WINDOW],
            [Note(what=EventKind.WARNING)],
            "worker",
        )
    with pytest.raises(LeaseLost):
        await old.jobs.begin(lease.token, waiting.id, "worker")
    assert await new.operations.load(operation.id) == operation
    assert await new.operations.load(waiting.id) == waiting
    assert await new.jobs.windows(operation.id) == ()
    assert await new.events.after(0) == events
    await saved(new, taken, operation, {"attempts": 1})
    assert await _attempts_of(database_url, operation) == 1


async def test_a_lost_role_cannot_be_given_back_or_renewed(
    open_store: OpenStore, database_url: str
) -> None:
    if database_url.startswith("sqlite"):
        pytest.skip("the lock on the file needs no renewal")
    old, new = await open_store(lease_seconds=SHORT), await open_store()
    lease = await lease_of(old)
    taken = await _taken(new)
    with pytest.raises(LeaseLost):
        await old.role.renew(lease)
    unaware = Lease(lease.token, taken.deadline)
    with pytest.raises(LeaseLost):
        await old.role.renew(unaware)
    await old.role.release(lease)
    assert await old.role.take() is None
    await saved(new, taken, await started(new, taken, "a"))


async def test_a_renewed_role_outlives_its_first_deadline(
    open_store: OpenStore, database_url: str
) -> None:
    old, new = await open_store(lease_seconds=3.0), await open_store()
    lease = await lease_of(old)
    if database_url.startswith("sqlite"):
        assert old.role.renew_seconds is None
        assert (await old.role.renew(lease)) == lease
        return
    renewed = await new.role.renew(lease)  # as itself, but for longer
    assert renewed.token == lease.token
    assert lease.deadline is not None
    assert renewed.deadline is not None
    assert renewed.deadline > lease.deadline

    async def over() -> bool:
        assert await new.role.take() is None
        return not lease.held

    await eventually(over, "the first deadline passes")
    assert await new.role.take() is None
    await saved(old, renewed, await started(old, renewed, "a"))


async def test_a_role_is_taken_over_whatever_the_clock_of_the_database_says(
    open_store: OpenStore, database_url: str
) -> None:
    """As it was set back by years since the lease was written, or always was wrong."""
    if database_url.startswith("sqlite"):
        pytest.skip("the lock on the file knows no time")
    old, new = await open_store(lease_seconds=SHORT), await open_store()
    lease = await lease_of(old)
    execute(database_url, "UPDATE cluster_state SET expires_at = '2100-01-01T00:00:00Z'")
    taken = await _taken(new)
    assert not lease.held
    await saved(new, taken, await started(new, taken, "a"))
    assert await new.role.holder() == owner_name()


async def test_a_role_is_not_taken_over_because_the_clock_of_the_database_was_set_forward(
    open_store: OpenStore, database_url: str
) -> None:
    if database_url.startswith("sqlite"):
        pytest.skip("the lock on the file knows no time")
    old, new = await open_store(lease_seconds=3.0), await open_store(lease_seconds=1.0)
    lease = await lease_of(old)
    assert await new.role.take() is None
    execute(database_url, "UPDATE cluster_state SET expires_at = '2020-01-01T00:00:00Z'")

    async def over() -> bool:
        taken = await new.role.take()
        assert taken is None or not lease.held, "the old owner must know first"
        return taken is not None

    await eventually(over, "it is taken over at last")


async def test_a_take_over_waits_for_an_open_save(
    open_store: OpenStore, transactions: Transactions, database_url: str
) -> None:
    old, new = await open_store(lease_seconds=SHORT), await open_store()
    lease = await lease_of(old)
    operation = await started(old, lease, "a")

    async def work(transaction: Transaction) -> None:
        await transaction.execute(
            update(JobRow).where(col(JobRow.id) == operation.id).values(attempts=7)
        )
        transaction.announce("worker", [Note(what=EventKind.GOES_ON)], operation.id)

    async with open_transaction(transactions, work, lease.token):
        await _let_go(old, lease)
        taking = asyncio.create_task(_taken(new))
        await eventually(lambda: _waits(database_url, taking), "the take-over waits or is done")
        assert not taking.done()
        assert execute(database_url, "SELECT token FROM cluster_state") == [(lease.token,)]
    taken = await taking
    assert taken.token != lease.token
    assert await _attempts_of(database_url, operation) == 7
    assert (await new.events.of_operation(operation.id))[-1].what == "goes on"
    with pytest.raises(LeaseLost):
        await saved(old, lease, operation)


async def _waits(database_url: str, taking: asyncio.Task[Lease]) -> bool:
    """Whether the take-over is in the database and cannot go on, or has wrongly gone on."""
    if database_url.startswith("sqlite"):
        return taking.done() or _locked(Path(f"{database_url.removeprefix('sqlite:///')}"))
    waiting = execute(
        database_url,
        "SELECT count(*) FROM pg_stat_activity"
        " WHERE datname = current_database() AND wait_event_type = 'Lock'",
    )
    return taking.done() or waiting != [(0,)]


def _locked(database: Path) -> bool:
    with database.with_name(f"{database.name}.test.worker-lock").open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return True
    return False


async def test_the_role_of_a_killed_process_is_taken_over(
    open_store: OpenStore, database_url: str
) -> None:
    store = await open_store()
    async with another_service(database_url, SHORT) as other:
        assert await said(other) == "taken"
        if database_url.startswith("sqlite"):
            assert await store.role.take() is None
        other.kill()
        await other.wait()
        if database_url.startswith("sqlite"):
            await lease_of(store)
        else:
            await _taken(store)


async def test_the_role_is_not_lost_to_a_second_process(
    open_store: OpenStore, database_url: str
) -> None:
    store = await open_store()
    lease = await lease_of(store)
    async with another_service(database_url) as other:
        assert await said(other) == "refused"
    await enqueue(store, "a")
    await saved(store, lease, await started(store, lease, "b"))


@pytest.mark.parametrize(
    ("cluster", "lock"),
    [
        ("default", "queue.db.worker-lock"),
        ("one", "queue.db.one.worker-lock"),
        ("a/b", "queue.db.a%2Fb.worker-lock"),
    ],
)
async def test_every_release_locks_the_same_file(
    sqlite_url: str, tmp_path: Path, cluster: str, lock: str
) -> None:
    store = await Store.open(sqlite_url, cluster, 60.0)
    lease = await lease_of(store)
    assert _locks_in(tmp_path) == [lock]
    await store.role.release(lease)
    await store.close()


def _locks_in(folder: Path) -> list[str]:
    return [file.name for file in folder.glob("*.worker-lock")]
