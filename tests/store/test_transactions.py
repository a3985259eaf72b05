"""Writing transactions: whole or not at all, whatever happens to their caller; events in order."""

from __future__ import annotations

import asyncio
import random
from datetime import UTC, datetime

import pytest

from app.domain.errors import LeaseLost
from app.domain.events import EventKind, Note
from app.domain.job import Requested
from app.domain.windows import Window
from app.store.engine import open_engines, parse_url
from app.store.jobs import Jobs
from app.store.store import Store
from app.store.tables import OPERATIONS_ONLY
from app.store.transactions import Transaction, Transactions
from tests.conditions import turns
from tests.store.conftest import CLUSTER, OpenStore
from tests.store.database import execute
from tests.store.open_transaction import open_transaction
from tests.store.operations import enqueue, enqueued, lease_of, started


def _windows(mark: int) -> list[Window]:
    return [
        Window(number=n, shard=0, from_seq_no=None, to_seq_no=None, documents=1, seen=mark)
        for n in range(3)
    ]


def _saying(text: str) -> Note:
    return Note(what=EventKind.WARNING, text=text)


async def test_a_save_is_whole_or_not_there_wherever_its_caller_is_cancelled(
    store: Store, transactions: Transactions, database_url: str
) -> None:
    """Cancelled before its first step it leaves nothing; from then on it is carried through."""
    lease = await lease_of(store)
    operation = await started(store, lease, "a")
    _, reader = open_engines(parse_url(database_url))
    jobs = Jobs(transactions, reader, CLUSTER, OPERATIONS_ONLY)
    moments = random.Random(20_24)
    for mark in range(1, 61):
        before = await store.events.of_operation(operation.id)
        caller = asyncio.create_task(
            jobs.save(
                lease.token,
                operation,
                {"attempts": mark},
                _windows(mark),
                [_saying(f"saved {mark}"), _saying(f"also {mark}")],
                "worker",
            )
        )
        begun = 0 if mark == 1 else moments.randint(0, 40)
        await turns(begun)
        caller.cancel()
        await asyncio.gather(caller, return_exceptions=True)
        await transactions.drain()
        found = await store.operations.load(operation.id)
        news = (await store.events.of_operation(operation.id))[len(before) :]
        seen = {window.seen for window in await store.jobs.windows(operation.id)}
        if begun:
            assert found.attempts == mark
            assert found.version == operation.version + 1
            assert [event.text for event in news] == [f"saved {mark}", f"also {mark}"]
            assert seen == {mark}
        else:
            assert found == operation
            assert news == []
            assert mark not in seen
        operation = found
    await reader.dispose()


async def test_a_save_goes_on_when_its_caller_is_cancelled_while_it_waits(
    open_store: OpenStore, transactions: Transactions
) -> None:
    worker, looking = await open_store(), await open_store()
    lease = await lease_of(worker)
    operation = await started(worker, lease, "a")
    async with open_transaction(transactions):
        caller = asyncio.create_task(
            worker.jobs.save(lease.token, operation, {"attempts": 5}, (), (), "worker")
        )
        await turns(2)
        caller.cancel()
        with pytest.raises(asyncio.CancelledError):
            await caller
        closing = asyncio.create_task(worker.close())
        await turns(50)
        assert not closing.done(), "it waits for the save that nobody else waits for any more"
    await closing
    assert (await looking.operations.load(operation.id)).attempts == 5


async def test_work_that_fails_leaves_nothing(store: Store, transactions: Transactions) -> None:
    operation = await enqueued(store, "a")
    before = await store.events.after(0)

    async def work(transaction: Transaction) -> None:
        transaction.next_queued_at()
        transaction.announce("caller", [_saying("never")], operation.id)
        await transaction.finish()
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await transactions.run(work)
    assert await store.events.after(0) == before
    await store.requested_actions.leave([operation.id], Requested.CANCEL, "caller")
    assert [event.number for event in await store.events.after(0)] == [1, 2]


async def test_a_reader_never_sees_an_event_below_one_it_has_seen(open_store: OpenStore) -> None:
    writers = [await open_store() for _ in range(3)]
    reader = await open_store()
    seen: list[int] = []

    async def look() -> None:
        seen.extend(event.number for event in await reader.events.after(seen[-1] if seen else 0))

    async def write(number: int, store: Store) -> None:
        for turn in range(15):
            await enqueue(store, *(f"{number}-{turn}-{n}" for n in range(1 + turn % 3)))

    writing = asyncio.gather(*(write(n, store) for n, store in enumerate(writers)))
    while not writing.done():
        await look()
    await writing
    await look()
    assert seen == list(range(1, 3 * 30 + 1))


@pytest.mark.parametrize("foreseen", [0, 1, 2, 5])
async def test_events_are_numbered_without_a_gap_however_many_were_foreseen(
    store: Store, transactions: Transactions, database_url: str, foreseen: int
) -> None:
    async def work(transaction: Transaction) -> None:
        transaction.announce("worker", [_saying("one"), _saying("other")])

    async def nothing(transaction: Transaction) -> None:
        assert transaction.last_event == 2

    await transactions.run(work, foreseen=foreseen)
    await transactions.run(nothing, foreseen=foreseen)
    await transactions.run(work, foreseen=foreseen)
    assert [event.number for event in await store.events.after(0)] == [1, 2, 3, 4]
    assert execute(database_url, "SELECT last_event FROM cluster_state") == [(4,)]


async def test_events_say_who_did_what_and_how_it_was_before(store: Store) -> None:
    lease = await lease_of(store)
    operation = await started(store, lease, "a")
    note = Note(
        what=EventKind.WRITE_BLOCK_ADDED,
        index="a",
        text="why",
        before=None,
        after={"write": ["true", 1]},
    )
    await store.jobs.save(lease.token, operation, {}, (), [note], "worker:1")
    queued, begun, blocked = await store.events.of_operation(operation.id)
    assert (queued.who, queued.what, queued.index_name) == ("caller", "queued", "a")
    assert (queued.after, queued.batch_id) == ("reindexed-v8-a", operation.batch_id)
    assert (begun.who, begun.what) == ("worker", "started")
    assert (blocked.who, blocked.what, blocked.text) == ("worker:1", "write block added", "why")
    assert (blocked.before, blocked.after) == (None, {"write": ["true", 1]})
    assert blocked.at.tzinfo is not None
    assert await store.events.after(queued.number, limit=1) == [begun]


async def test_a_place_in_the_order_is_the_time_and_never_one_of_before(
    transactions: Transactions,
) -> None:
    """Milliseconds; the clock may stand still or be set back."""
    later, earlier = datetime(2100, 1, 1, tzinfo=UTC), datetime(2020, 1, 1, tzinfo=UTC)
    first = int(later.timestamp() * 1000)

    async def work(transaction: Transaction) -> list[int]:
        transaction.now = later
        found = [transaction.next_queued_at(), transaction.next_queued_at()]
        transaction.now = earlier
        return [*found, transaction.next_queued_at()]

    async def next_one(transaction: Transaction) -> int:
        return transaction.next_queued_at()

    assert await transactions.run(work) == [first, first + 1, first + 2]
    assert await transactions.run(next_one) == first + 3


async def test_an_event_has_all_that_its_note_says_and_the_next_number(
    store: Store, transactions: Transactions
) -> None:
    about = await enqueued(store, "a")
    made = Note(what=EventKind.WARNING, index="a", text="why", before=[1], after={"b": 2})

    async def work(transaction: Transaction) -> tuple[int, datetime]:
        transaction.announce("caller", [made, _saying("more")], about.id, about.batch_id)
        transaction.announce("worker", [_saying("of nothing")])
        return transaction.last_event, transaction.now

    last, now = await transactions.run(work)
    _, first, second, third = await store.events.after(0)
    assert [first.number, second.number, third.number] == [2, 3, last] == [2, 3, 4]
    assert {event.at for event in (first, second, third)} == {now}
    assert (first.job_id, first.batch_id, first.who) == (about.id, about.batch_id, "caller")
    assert (first.what, first.index_name, first.text) == (EventKind.WARNING, "a", "why")
    assert (first.before, first.after) == ([1], {"b": 2})
    assert (second.job_id, second.batch_id, second.text) == (about.id, about.batch_id, "more")
    assert about.batch_id is not None
    assert (third.job_id, third.batch_id, third.who) == (None, None, "worker")


async def test_nothing_is_done_for_a_token_that_is_not_the_workers(
    store: Store, transactions: Transactions
) -> None:
    begun: list[str] = []

    async def work(transaction: Transaction) -> None:
        begun.append(transaction.cluster_id)

    with pytest.raises(LeaseLost):
        await transactions.run(work, "anything")
    lease = await lease_of(store)
    for token in ("", "anything"):
        with pytest.raises(LeaseLost):
            await transactions.run(work, token)
    assert begun == []
    await transactions.run(work, lease.token)
    await transactions.run(work)
    assert begun == [CLUSTER, CLUSTER]
