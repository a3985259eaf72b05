"""What the bookkeeping counts: once that is saved, and each hold once."""

from __future__ import annotations

from collections.abc import AsyncGenerator

import pytest

from app.domain import clock
from app.domain.errors import StoreTrouble
from app.domain.holds import HoldCause
from app.domain.names import IndexName
from app.domain.windows import Window, WindowState
from app.jobs.bookkeeping import Bookkeeping, InHand
from app.jobs.phases import Again, Done, Hold, Limits
from app.store.role import Lease
from app.store.store import Store
from app.telemetry import Meters
from tests.store.operations import lease_of, started

SHARED = IndexName("shared")
SHARDS, DISK = Hold(HoldCause.SHARDS_AWAY, "shard 0"), Hold(HoldCause.DISK_SPACE, "full")


@pytest.fixture
async def store(sqlite_url: str) -> AsyncGenerator[Store]:
    opened = await Store.open(sqlite_url, "default", 60.0)
    yield opened
    await opened.role.release(Lease("", None))
    await opened.close()


def keeping(store: Store) -> Bookkeeping:
    return Bookkeeping(jobs=store.jobs, lanes=store.lanes, limits=Limits(), who="worker")


def counted(meters: Meters, name: str, **labels: str) -> float:
    labels = {"cluster": "default", **labels}
    found = meters.instruments.registry.get_sample_value(f"reindex_queue_{name}_total", labels)
    assert found is not None
    return found


def held(meters: Meters, cause: HoldCause) -> float:
    return counted(meters, "holds", cause=cause.value)


def window(number: int, seen: int = 0, *, done: bool = False) -> Window:
    return Window(
        number=number,
        shard=0,
        from_seq_no=None,
        to_seq_no=None,
        documents=50,
        state=WindowState.DONE if done else WindowState.RUNNING,
        seen=seen,
        started_at=clock.now(),
    )


async def test_a_hold_is_counted_when_it_begins_and_another_cause_is_another_hold(
    store: Store,
) -> None:
    lease = await lease_of(store)
    books, in_hand = keeping(store), InHand(job=await started(store, lease, "a"), windows=())
    for hold in (SHARDS, SHARDS, DISK, DISK, SHARDS):
        await books.keep(in_hand, hold, (), lease)
        assert in_hand.cause is hold.cause
    assert (
        held(books.meters, HoldCause.SHARDS_AWAY),
        held(books.meters, HoldCause.DISK_SPACE),
    ) == (2, 1)
    await books.keep(in_hand, Again(), (), lease)
    assert in_hand.cause is None
    await books.keep(in_hand, SHARDS, (), lease)
    assert held(books.meters, HoldCause.SHARDS_AWAY) == 3


async def test_an_index_that_stays_in_use_is_one_hold_however_often_it_is_asked_for(
    store: Store,
) -> None:
    lease = await lease_of(store)
    first, second = await started(store, lease, "a"), await started(store, lease, "b")
    await store.jobs.save(lease.token, first, {}, (), (), "worker", uses=[SHARED])
    books, in_hand = keeping(store), InHand(job=second, windows=())
    for _ in range(3):
        await books.keep(in_hand, Done({"position": "prepare"}, uses=[SHARED]), (), lease)
        assert in_hand.cause is HoldCause.INDEX_IN_USE
    assert held(books.meters, HoldCause.INDEX_IN_USE) == 1
    assert in_hand.job.position == ""


@pytest.mark.parametrize(("allowed", "named"), [(None, True), (("a", "b"), True), (("b",), False)])
async def test_who_else_uses_an_index_is_told_as_far_as_the_limits_go(
    store: Store, allowed: tuple[str, ...] | None, named: bool
) -> None:
    lease = await lease_of(store)
    first, second = await started(store, lease, "a"), await started(store, lease, "b")
    await store.jobs.save(lease.token, first, {}, (), (), "worker", uses=[SHARED])
    limited = second.model_copy(update={"allowed": allowed})
    books, in_hand = keeping(store), InHand(job=limited, windows=())
    await books.keep(in_hand, Done({"position": "prepare"}, uses=[SHARED]), (), lease)
    whole = f"{SHARED} is in use by the operation {first.id} on a"
    assert in_hand.job.hold_reason == (
        whole if named else f"{SHARED} is in use by another operation"
    )


async def test_what_is_copied_is_counted_as_it_is_saved(store: Store) -> None:
    lease = await lease_of(store)
    books, in_hand = keeping(store), InHand(job=await started(store, lease, "a"), windows=())
    await books.keep(in_hand, Done(windows=[window(1), window(2)]), (), lease)
    await books.keep(in_hand, Again(windows=[window(1, 20)]), (), lease)
    assert counted(books.meters, "documents_copied") == 20
    done = [window(1, 50, done=True), window(2, 10)]
    await books.keep(in_hand, Again(windows=done), (), lease)
    await books.keep(in_hand, Hold(HoldCause.SHARDS_AWAY, "shard 0", windows=done), (), lease)
    assert counted(books.meters, "documents_copied") == 60
    assert counted(books.meters, "windows_done") == 1
    again = in_hand.windows[1].to_run_again()
    await books.keep(in_hand, Again(windows=[again]), (), lease)
    assert counted(books.meters, "windows_retried") == 1
    assert counted(books.meters, "documents_copied") == 60
    assert counted(books.meters, "bytes_copied") == 0  # the source's size is not known here


async def test_what_could_not_be_saved_is_not_counted(store: Store) -> None:
    lease = await lease_of(store)
    books, in_hand = keeping(store), InHand(job=await started(store, lease, "a"), windows=())
    lost = Lease("nobody's", None)
    with pytest.raises(StoreTrouble):
        await books.keep(in_hand, Again(windows=[window(1, 50, done=True)]), (), lost)
    with pytest.raises(StoreTrouble):
        await books.keep(in_hand, SHARDS, (), lost)
    assert counted(books.meters, "documents_copied") == counted(books.meters, "windows_done") == 0
    assert held(books.meters, HoldCause.SHARDS_AWAY) == 0
    saves = "reindex_queue_save_seconds_count"
    found = books.meters.instruments.registry.get_sample_value(saves, {"cluster": "default"})
    assert found == 0
