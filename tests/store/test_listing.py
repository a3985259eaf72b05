"""Lists of operations: order, pages, filters, counts, and what copies add up to."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import product
from typing import Any

from app.domain.brief import QueueEntry
from app.domain.job import Goal, State, Status, state_of
from app.domain.names import IndexName
from app.domain.operation import Changes, Source, Step
from app.domain.progress import CopyFigures, Stretch
from app.domain.windows import Window, WindowState
from app.store.listing import Filter
from app.store.operations import Wanted
from app.store.store import Store
from tests.store.conftest import OpenStore
from tests.store.database import execute
from tests.store.operations import enqueue, enqueued, lease_of, saved, started

AT = datetime(2026, 1, 2, 3, 4, 5, 678_000, tzinfo=UTC)
SOURCE = Source(
    uuid="u",
    shards=1,
    routing_shards=1,
    closed=True,
    blocks={},
    verified_read_only=False,
    aliases=[],
    settings={"index.number_of_replicas": "1", "index.refresh_interval": None},
    lifecycle={},
    active_copies=1,
)


async def names(store: Store, wanted: Filter, limit: int = 500, **more: Any) -> list[str]:
    return [brief.index_name for brief in await store.listing.page(wanted, limit, **more)]


async def test_pages_follow_each_other_in_the_order_of_the_queue(store: Store) -> None:
    posted = [f"index-{number}" for number in range(7)]
    await enqueue(store, *posted)
    for newest_first in (False, True):
        seen: list[str] = []
        after = None
        while page := await store.listing.page(Filter(), 3, after, newest_first=newest_first):
            seen += [brief.index_name for brief in page]
            after = page[-1].queued_at
        assert seen == (posted[::-1] if newest_first else posted)


async def test_filters_divide_by_index_batch_and_state(store: Store) -> None:
    lease = await lease_of(store)
    first = (await enqueue(store, "a", "b")).operations[0]
    await enqueue(store, "c")
    claimed = await store.jobs.begin(lease.token, first.id, "worker")
    assert claimed
    assert first.batch_id
    assert await names(store, Filter(batch=first.batch_id)) == ["a", "b"]
    assert await names(store, Filter(index="c")) == ["c"]
    assert await names(store, Filter(index="c", batch=first.batch_id)) == []
    assert await names(store, Filter(states=[State.RUNNING])) == ["a"]
    assert await names(store, Filter(states=[State.WAITING])) == ["b", "c"]
    both = Filter(states=[State.WAITING, State.RUNNING], batch=first.batch_id)
    assert await names(store, both) == ["a", "b"]
    assert await names(store, Filter(states=[State.FAILED])) == []
    (found,) = await store.listing.page(Filter(index="a"), 2)
    assert (found.index_name, found.state) == ("a", State.RUNNING)


async def test_the_state_is_the_same_in_the_database_and_in_the_domain(
    store: Store, database_url: str
) -> None:
    kinds = list(product(Status, Goal, (None, 1), (None, "because"), (True, False)))
    await enqueue(store, *[f"index-{n}" for n in range(len(kinds))])
    expected: dict[State, list[str]] = {state: [] for state in State}
    for n, (status, goal, started_at, reason, aside) in enumerate(kinds):
        execute(
            database_url,
            "UPDATE job SET status = :status, goal = :goal, started_at = :started_at, "
            "hold_reason = :reason, suspended = :suspended WHERE index_name = :name",
            status=int(status),
            goal=goal.value,
            started_at=started_at,
            reason=reason,
            suspended=aside,
            name=f"index-{n}",
        )
        state = state_of(status, goal, started=bool(started_at), held=bool(reason), suspended=aside)
        expected[state].append(f"index-{n}")
    assert all(expected.values())
    for state in State:
        page = await store.listing.page(Filter(states=[state]), 500)
        assert [brief.index_name for brief in page] == expected[state]
        assert {brief.state for brief in page} == {state}
    counts = {state: len(found) for state, found in expected.items()}
    assert await store.listing.counts(Filter()) == counts
    assert await store.listing.counts(Filter(states=[State.FAILED])) == counts
    assert await store.listing.counts(Filter(index="index-0")) == {
        state: int(state is State.WAITING) for state in State
    }


async def test_two_clusters_are_listed_apart(open_store: OpenStore) -> None:
    one, other = await open_store("one"), await open_store("other")
    operation = await enqueued(one, "a")
    assert await names(other, Filter()) == []
    assert await other.operations.find(operation.id) is None
    assert sum((await other.listing.counts(Filter())).values()) == 0
    assert await other.listing.queue() == []


async def test_the_queue_says_the_same_as_whole_operations(store: Store) -> None:
    lease = await lease_of(store)
    name = IndexName("a")
    want = Wanted(name, IndexName("b"), delete_old_index=True, mode="lookup")
    await store.operations.enqueue([want], "caller")
    await enqueue(store, "waiting")
    await enqueue(store, "beside", single=True)
    head = await store.lanes.head()
    assert head
    claimed = await store.jobs.begin(lease.token, head.id, "worker")
    assert claimed
    running = await saved(
        store,
        lease,
        claimed,
        {
            "source": SOURCE,
            "last_completed_step": Step.REINDEX_STARTED,
            "reindex_task_id": "n:1",
            "reindex_task_perc_complete": 1 / 3,
        },
    )
    waiting = await store.operations.latest(IndexName("waiting"))
    assert waiting
    first, second = await store.listing.queue()
    assert first == tuple(getattr(running, field) for field in QueueEntry._fields)
    unstarted = {"updated_at": None, "source": None}
    assert (
        second._asdict()
        == {field: getattr(waiting, field) for field in QueueEntry._fields} | unstarted
    )


def window(number: int, state: WindowState, documents: int, seen: int) -> Window:
    planned = state is WindowState.PLANNED
    return Window(
        number=number,
        shard=0,
        from_seq_no=None,
        to_seq_no=None,
        documents=documents,
        state=state,
        seen=seen,
        started_at=None if planned else AT + timedelta(seconds=number),
        ended_at=AT + timedelta(minutes=number) if state is WindowState.DONE else None,
    )


async def test_windows_are_added_up(store: Store) -> None:
    lease = await lease_of(store)
    moving, over = await started(store, lease, "moving"), await started(store, lease, "over")
    windows = [
        window(0, WindowState.DONE, 100, 90),  # ten nested children
        window(1, WindowState.RUNNING, 50, 20),
        window(2, WindowState.RUNNING, 50, 70),  # more than the plan knew of
        window(3, WindowState.PLANNED, 30, 0),
    ]
    done = [window(n, WindowState.DONE, 5_000_000_000, 5_000_000_000) for n in (1, 2)]
    await store.jobs.save(lease.token, moving, {}, windows, (), "worker")
    await store.jobs.save(lease.token, over, {}, done, (), "worker")
    other = await enqueued(store, "none")
    copies = await store.listing.copies([moving.id, over.id, other.id], AT)
    assert copies[over.id] == CopyFigures(
        windows=2,
        windows_done=2,
        documents=10_000_000_000,
        done=10_000_000_000,
        seen=10_000_000_000,
        started_at=AT + timedelta(seconds=1),
        ended_at=AT + timedelta(minutes=2),
        recent=copies[over.id].recent,
    )
    assert set(copies) == {moving.id, over.id}
    assert {stretch.ended_at for stretch in copies[over.id].recent} == {
        AT + timedelta(minutes=1),
        AT + timedelta(minutes=2),
    }
    late = (await store.listing.copies([over.id], AT + timedelta(seconds=90)))[over.id]
    assert [stretch.ended_at for stretch in late.recent] == [AT + timedelta(minutes=2)]
    figures = copies[moving.id]
    assert (figures.windows, figures.windows_done) == (4, 1)
    assert (figures.documents, figures.done, figures.seen) == (230, 170, 180)
    assert (figures.started_at, figures.ended_at) == (AT, None)
    assert sorted(figures.recent, key=lambda stretch: stretch.seen) == [
        Stretch(20, AT + timedelta(seconds=1), None),
        Stretch(70, AT + timedelta(seconds=2), None),
    ]
    assert await store.listing.copies([], AT) == {}


async def test_a_batch_is_added_up_with_bytes_in_step_and_knows_what_is_not_begun(
    store: Store,
) -> None:
    lease = await lease_of(store)
    names = ["half", "over", "failed", "waits"]
    posted = await enqueue(store, *names)
    batch = posted.batch_id
    assert batch is not None
    assert await store.listing.copy_of_batch(batch, AT) is None
    assert sorted(await store.listing.not_begun(batch)) == sorted(names)
    large = SOURCE.model_copy(update={"primary_bytes": 30_000_000_000_000})
    going: Changes = {"source": large, "last_completed_step": Step.REINDEX_STARTED}
    half = [window(0, WindowState.DONE, 5_000_000_000, 0), window(1, WindowState.PLANNED, 10, 0)]
    ended: dict[str, Changes] = {
        "half": going,
        "over": {**going, "status": Status.COMPLETED},
        "failed": {**going, "status": Status.FAILED},
    }
    for operation in posted.operations[:3]:
        claimed = await store.jobs.begin(lease.token, operation.id, "worker")
        assert claimed is not None
        windows = half[:1] if operation.index_name == "over" else half
        changes = ended[operation.index_name]
        await store.jobs.save(lease.token, claimed, changes, windows, (), "worker")
    figures = await store.listing.copy_of_batch(batch, AT)
    assert figures is not None
    assert (figures.windows, figures.windows_done) == (3, 2)
    assert (figures.documents, figures.done) == (10_000_000_010, 10_000_000_000)
    assert figures.primary_bytes == 60_000_000_000_000
    assert 59_990_000_000_000 < figures.bytes_done < figures.primary_bytes
    assert (figures.started_at, figures.ended_at) == (AT, None)
    assert await store.listing.not_begun(batch) == ["waits"]
    one = (await store.listing.copies([posted.operations[0].id], AT))[posted.operations[0].id]
    assert 29_990_000_000_000 < one.bytes_done < one.primary_bytes == 30_000_000_000_000


async def test_a_page_reads_no_column_that_a_list_does_not_show(
    store: Store, database_url: str
) -> None:
    """What cannot be parsed is in columns that only whole operations have."""
    operation = await enqueued(store, "a")
    execute(database_url, "UPDATE job SET record = :bad", bad='"no record"')
    (brief,) = await store.listing.page(Filter(), 10)
    assert (brief.id, brief.state) == (operation.id, State.WAITING)


async def test_jobs_of_other_kinds_are_counted_while_they_live(
    store: Store, open_store: OpenStore
) -> None:
    assert await store.listing.others() == {}
    await enqueue(store, "a")
    one = await store.small_jobs.leave("block_write", IndexName("b"), "caller")
    await store.small_jobs.leave("block_write", IndexName("c"), "caller")
    await store.small_jobs.leave("try_out", IndexName("d"), "caller")
    waiting = {("block_write", State.WAITING): 2, ("try_out", State.WAITING): 1}
    assert await store.listing.others() == waiting
    lease = await lease_of(store)
    begun = await store.jobs.begin(lease.token, one, "worker")
    assert begun is not None
    assert (await store.listing.others())["block_write", State.RUNNING] == 1
    held = await saved(
        store, lease, begun, {"hold_reason": "the cluster is away", "hold_since": AT}
    )
    assert (await store.listing.others())["block_write", State.HOLDING] == 1
    await saved(store, lease, held, {"status": Status.COMPLETED, "ended_at": AT})
    assert await store.listing.others() == {
        ("block_write", State.WAITING): 1,
        ("try_out", State.WAITING): 1,
    }
    assert await (await open_store(cluster_id="other")).listing.others() == {}


async def test_since_when_indices_are_blocked_is_told_while_their_jobs_live(
    store: Store, open_store: OpenStore
) -> None:
    assert await store.listing.blocked_since() == []
    lease = await lease_of(store)
    later = AT + timedelta(hours=1)
    first = await saved(
        store, lease, await started(store, lease, "a"), {"writes_blocked_since": AT}
    )
    await saved(store, lease, await started(store, lease, "b"), {"writes_blocked_since": later})
    await started(store, lease, "c")
    assert sorted(await store.listing.blocked_since()) == [AT, later]
    await saved(store, lease, first, {"status": Status.FAILED, "ended_at": later})
    assert await store.listing.blocked_since() == [later]
    assert await (await open_store(cluster_id="other")).listing.blocked_since() == []


async def test_the_number_of_the_newest_event_is_known(store: Store, open_store: OpenStore) -> None:
    assert await store.events.newest() == 0
    await enqueue(store, "a", "b")
    events = await store.events.after(0)
    assert await store.events.newest() == events[-1].number > 0
    assert await (await open_store(cluster_id="other")).events.newest() == 0
