"""Streams of events: every event once to each, however far behind, many or slow they are."""

from __future__ import annotations

import asyncio
import sys
from asyncio.subprocess import PIPE
from collections.abc import AsyncGenerator, Awaitable
from typing import Any, TypeVar

import pytest
from sqlalchemy import Engine, event

from app.domain.errors import InvalidCursor, StoreFault, StoreUnavailable, TooManyStreams
from app.domain.reach import Reach
from app.sites.event_pages import EventPages, WantedEvents
from app.sites.event_streams import MOST_READING, EventStream, EventStreams, StreamLimits
from app.sites.recent_events import Recent, Told
from app.store.events import Event, EventFilter, EventLog
from app.store.store import Store
from app.telemetry import Instruments
from tests.conditions import eventually, turns
from tests.store.conftest import CLUSTER
from tests.store.database import execute
from tests.store.event_writer import Write, writing

T = TypeVar("T")

WHOLE = WantedEvents((CLUSTER,))
FAST = StreamLimits(most=3, kept=50, poll_seconds=0.02)
START = f"{CLUSTER}:0"


def shown(event: Event) -> str:
    return f"{event.number} {event.text}"


@pytest.fixture
async def store(database_url: str) -> AsyncGenerator[Store]:
    opened = await Store.open(database_url, CLUSTER, 60.0)
    yield opened
    await opened.close()


@pytest.fixture
async def write(store: Store, database_url: str) -> AsyncGenerator[Write]:  # noqa: ARG001 - it migrates
    async with writing(database_url, CLUSTER) as write:
        yield write


@pytest.fixture
async def streams(store: Store) -> AsyncGenerator[EventStreams]:
    made = EventStreams(EventPages(store.event_log((CLUSTER,))), shown, FAST)
    yield made
    await made.close()


async def numbers(stream: EventStream, last: int) -> list[int]:
    """Those of what it is given, to the last."""
    found: list[int] = []
    async with asyncio.timeout(60):
        while not found or found[-1] < last:
            for cursor, text in await stream.more(0.1):
                found.append(int(text.split()[0]))
                assert cursor == f"{CLUSTER}:{found[-1]}"
    return found


async def quiet(stream: EventStream) -> bool:
    """True where nothing more comes for a while."""
    return [await stream.more(0.1) for _ in range(3)] == [[], [], []]


async def test_a_stream_begins_with_what_happens_from_now_on(
    streams: EventStreams, write: Write
) -> None:
    await write(3)
    stream = await streams.open(WHOLE, None)
    assert stream.cursor == f"{CLUSTER}:3"
    await write(2)
    assert await numbers(stream, 5) == [4, 5]
    assert await quiet(stream)
    stream.close()


async def test_a_cursor_is_gone_on_from_whether_others_listen_or_not(
    streams: EventStreams, write: Write
) -> None:
    await write(250)
    first = await streams.open(WHOLE, f"{CLUSTER}:7")
    assert await numbers(first, 250) == list(range(8, 251))
    await write(1)
    second = await streams.open(WHOLE, f"{CLUSTER}:249")
    await write(1)
    assert await numbers(first, 252) == [251, 252]
    assert await numbers(second, 252) == [250, 251, 252]
    first.close()
    second.close()


async def test_one_that_falls_behind_what_is_kept_reads_on_from_the_store(
    streams: EventStreams, write: Write
) -> None:
    behind, beside = await streams.open(WHOLE, None), await streams.open(WHOLE, None)
    await write(1)
    assert await numbers(behind, 1) == await numbers(beside, 1) == [1]
    for _ in range(30):  # several times what is kept
        await write(10)
        await numbers(beside, (await streams.pages.log.heads())[CLUSTER])
    assert await numbers(behind, 301) == list(range(2, 302))
    await write(1)
    assert await numbers(behind, 302) == [302]
    behind.close()
    beside.close()


async def test_filters_hold_for_what_is_read_and_for_what_is_told(
    streams: EventStreams, store: Store, write: Write
) -> None:
    await write(2)
    await store.paces.stop("who", "reason")
    kinds = frozenset({"everything stopped", "everything goes on"})
    stream = await streams.open(WantedEvents((CLUSTER,), EventFilter(kinds=kinds)), START)
    assert await numbers(stream, 3) == [3]
    await write(5)
    await store.paces.go_on("who")
    await write(5)
    assert await numbers(stream, 9) == [9]
    assert await quiet(stream)
    assert stream.cursor == f"{CLUSTER}:14"  # so nothing is looked through twice
    stream.close()


async def test_no_number_is_skipped_while_two_processes_write(
    streams: EventStreams, store: Store, database_url: str
) -> None:
    assert await store.events.after(0) == []
    command = [sys.executable, "-m", "tests.store.event_writer", database_url, CLUSTER, "150"]
    stream = await streams.open(WHOLE, None)
    writers = [await asyncio.create_subprocess_exec(*command, stdout=PIPE) for _ in range(2)]
    found = await numbers(stream, 600)
    said = [(await writer.communicate())[0] for writer in writers]
    assert [int(count) for count in said] == [300, 300]
    assert found == list(range(1, 601))
    stream.close()


async def test_so_many_streams_and_no_more(streams: EventStreams) -> None:
    several = await asyncio.gather(
        *(streams.open(WHOLE, None) for _ in range(FAST.most + 2)), return_exceptions=True
    )
    opened = [one for one in several if isinstance(one, EventStream)]
    refused = [one for one in several if isinstance(one, TooManyStreams)]
    assert (len(opened), len(refused)) == (FAST.most, 2)
    assert "3 streams of events are open, and this service holds no more" in refused[0].message
    opened[0].close()
    (await streams.open(WHOLE, None)).close()
    for stream in opened[1:]:
        stream.close()
    assert len(streams) == 0


async def test_what_is_refused_takes_no_place(streams: EventStreams) -> None:
    for cursor in ("north:1", f"{CLUSTER}:1", "nonsense"):
        with pytest.raises(InvalidCursor):
            await streams.open(WHOLE, cursor)
    assert len(streams) == 0


async def test_the_store_is_looked_at_for_all_together_and_only_while_somebody_listens(
    streams: EventStreams,
) -> None:
    looks: list[str] = []

    def note(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        looks.append(statement)

    several = [await streams.open(WHOLE, None) for _ in range(3)]
    event.listen(Engine, "before_cursor_execute", note)
    try:
        await asyncio.gather(*(stream.more(0.5) for stream in several))
        assert 1 <= len(looks) <= 0.5 / FAST.poll_seconds + 1
        assert all("FROM cluster_state" in look for look in looks)
        for stream in several:
            stream.close()

        async def nobody_looks() -> bool:
            return "event streams" not in {task.get_name() for task in asyncio.all_tasks()}

        await eventually(nobody_looks, "the task that looks ends with the last stream")
    finally:
        event.remove(Engine, "before_cursor_execute", note)


async def test_a_database_that_is_away_is_waited_for(
    streams: EventStreams, write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    stream, behind = await streams.open(WHOLE, None), await streams.open(WHOLE, START)
    log = streams.pages.log
    answers, asked = log.heads, 0

    async def away() -> dict[str, int]:
        nonlocal asked
        asked += 1
        raise StoreUnavailable("The database does not answer.")

    monkeypatch.setattr(log, "heads", away)
    await write(2)
    assert await quiet(stream)
    assert asked > 1
    monkeypatch.setattr(log, "heads", answers)
    assert await numbers(stream, 2) == await numbers(behind, 2) == [1, 2]
    stream.close()
    behind.close()


async def test_a_fault_ends_the_streams_and_the_next_ones_go_on(store: Store, write: Write) -> None:
    faults = [ZeroDivisionError()]

    def fails_once(event: Event) -> str:
        if faults:
            raise faults.pop()
        return shown(event)

    streams = EventStreams(EventPages(store.event_log((CLUSTER,))), fails_once, FAST)
    stream = await streams.open(WHOLE, None)
    assert await stream.more(0.0) == []
    await write(1)

    await over(stream)
    stream.close()
    again = await streams.open(WHOLE, stream.cursor)
    assert await numbers(again, 1) == [1]
    again.close()
    await streams.close()


async def test_at_the_end_all_are_over_and_no_other_begins(streams: EventStreams) -> None:
    stream = await streams.open(WHOLE, None)
    waiting = asyncio.ensure_future(stream.more(60.0))
    await turns(10)  # it waits by then
    streams.end()
    async with asyncio.timeout(1):
        assert await waiting == []
    assert stream.over
    stream.close()
    late = await streams.open(WHOLE, None)
    assert late.over
    late.close()


async def test_a_stop_is_not_kept_waiting_by_a_database_that_hangs(
    streams: EventStreams, monkeypatch: pytest.MonkeyPatch, write: Write
) -> None:
    """Nor is a heartbeat; and the page is taken when it comes."""
    await write(3)
    log, go_on = streams.pages.log, asyncio.Event()
    stream = await streams.open(WHOLE, START)
    between = log.between

    async def hangs(*given: Any, **named: Any) -> list[Event]:
        await go_on.wait()
        return await between(*given, **named)

    monkeypatch.setattr(log, "between", hangs)
    async with asyncio.timeout(10):
        for _ in range(3):
            assert await stream.more(0.05) == []
    go_on.set()
    assert await numbers(stream, 3) == [1, 2, 3]
    go_on.clear()
    behind = await streams.open(WHOLE, START)
    waiting = asyncio.ensure_future(behind.more(60.0))
    await turns(10)  # it waits by then
    streams.end()
    async with asyncio.timeout(10):
        assert await waiting == []
    behind.close()
    stream.close()
    await streams.close()


async def test_many_that_catch_up_leave_the_database_to_others(store: Store, write: Write) -> None:
    """However many there are, a few of them ask at a time."""
    for _ in range(3):
        await write(150)
    limits = StreamLimits(poll_seconds=0.02)
    log = Counting(store.event_log((CLUSTER,)))
    streams = EventStreams(EventPages(log), shown, limits)  # pyright: ignore[reportArgumentType]
    opened = await asyncio.gather(*(streams.open(WHOLE, START) for _ in range(50)))
    found = await asyncio.gather(*(numbers(stream, 450) for stream in opened))
    assert all(one == list(range(1, 451)) for one in found)
    assert log.most <= MOST_READING + 1  # and the look for all streams
    for stream in opened:
        stream.close()
    await streams.close()


class Counting:
    """The log, and how many questions were put to it at the same time at most."""

    def __init__(self, log: EventLog) -> None:
        self._log = log
        self._now = 0
        self.clusters = log.clusters
        self.most = 0

    async def heads(self) -> dict[str, int]:
        return await self._counted(self._log.heads())

    async def between(self, *given: Any, **named: Any) -> list[Event]:
        return await self._counted(self._log.between(*given, **named))

    async def _counted(self, asked: Awaitable[T]) -> T:
        self._now += 1
        self.most = max(self.most, self._now)
        try:
            return await asked
        finally:
            self._now -= 1


async def test_a_log_that_goes_back_ends_the_streams(
    streams: EventStreams, write: Write, database_url: str
) -> None:
    """An older copy of the database has taken its place: nothing of it is skipped in silence."""
    await write(5)
    stream = await streams.open(WHOLE, None)
    await write(5)
    assert await numbers(stream, 10) == [6, 7, 8, 9, 10]
    execute(database_url, "DELETE FROM event WHERE number > 3")
    execute(database_url, "UPDATE cluster_state SET last_event = 3")
    await over(stream)
    stream.close()
    with pytest.raises(InvalidCursor, match="the newest is 3"):
        await streams.open(WHOLE, stream.cursor)
    anew = await streams.open(WHOLE, f"{CLUSTER}:2")
    await write(2)
    assert await numbers(anew, 5) == [3, 4, 5]
    anew.close()


async def test_one_that_reads_while_the_log_goes_back_ends_too(
    store: Store, write: Write, database_url: str
) -> None:
    await write(250)
    slow = StreamLimits(poll_seconds=60.0)
    streams = EventStreams(EventPages(store.event_log((CLUSTER,))), shown, slow)
    stream = await streams.open(WHOLE, START)
    assert len(await numbers(stream, 100)) == 100
    execute(database_url, "UPDATE cluster_state SET last_event = 3")
    async with asyncio.timeout(10):
        while not stream.over:
            assert await stream.more(1.0) == []
    stream.close()
    await streams.close()


async def over(stream: EventStream) -> None:
    async def ended() -> bool:
        return stream.over

    await eventually(ended, "the stream ends")


async def test_a_fault_of_the_database_ends_the_streams(
    streams: EventStreams, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Such as a right that was taken away: nobody waits for what does not pass by itself."""
    stream = await streams.open(WHOLE, None)

    async def fails() -> dict[str, int]:
        raise StoreFault("permission denied")

    monkeypatch.setattr(streams.pages.log, "heads", fails)
    await over(stream)
    stream.close()


async def test_streams_do_not_outlive_the_look_that_is_made_for_them(
    streams: EventStreams,
) -> None:
    stream = await streams.open(WHOLE, None)
    await asyncio.sleep(0)
    (look,) = [task for task in asyncio.all_tasks() if task.get_name() == "event streams"]
    look.cancel()
    await over(stream)
    stream.close()


async def test_large_events_are_given_a_few_at_a_time(store: Store, write: Write) -> None:
    """Of those that are read, and of those that are told; one that is larger than all comes."""
    limits = StreamLimits(poll_seconds=0.02, piece_size=5_000, kept_size=20_000)
    streams = EventStreams(EventPages(store.event_log((CLUSTER,))), shown, limits)
    await write(30, "x" * 1_000)
    await write(2, "x" * 30_000)
    stream, beside = await streams.open(WHOLE, START), await streams.open(WHOLE, None)
    assert await pieces(stream, 32) == list(range(1, 33))
    await write(15, "x" * 1_000)
    assert await pieces(stream, 47) == list(range(33, 48))
    await write(15, "x" * 1_000)
    await write(1, "x" * 30_000)
    assert await pieces(stream, 63) == list(range(48, 64))
    assert streams.recent.size <= 20_000
    assert await pieces(beside, 63) == list(range(33, 64))
    for one in (stream, beside):
        one.close()
    await streams.close()


async def pieces(stream: EventStream, last: int) -> list[int]:
    """As `numbers`; no piece is too large."""
    found: list[int] = []
    async with asyncio.timeout(60):
        while not found or found[-1] < last:
            piece = await stream.more(0.1)
            assert len(piece) <= 1 or sum(len(text) for _, text in piece) <= 5_000
            found += [int(text.split()[0]) for _, text in piece]
    return found


def test_what_is_kept_is_bounded_by_number_and_by_size() -> None:
    recent = Recent(3, 10)
    for number in range(1, 6):
        recent.add([told(number, "ab")])
    assert (len(recent), recent.size, recent.end) == (3, 6, 5)
    assert recent.after(1, 9, 99) is None
    assert [one.number for one in recent.after(2, 9, 99) or ()] == [3, 4, 5]
    assert [one.number for one in recent.after(2, 9, 4) or ()] == [3, 4]
    assert [one.number for one in recent.after(2, 9, 1) or ()] == [3]
    recent.add([told(6, "a" * 9)])
    assert (len(recent), recent.size) == (1, 9)
    recent.add([told(7, "a" * 11)])
    assert (len(recent), recent.size, recent.end) == (0, 0, 7)
    assert recent.after(6, 9, 99) is None
    assert recent.after(7, 9, 99) == []


async def test_how_old_events_are_when_they_are_told_is_measured(
    store: Store, write: Write
) -> None:
    instruments = Instruments()
    pages = EventPages(store.event_log((CLUSTER,)))
    streams = EventStreams(pages, shown, FAST, instruments)
    assert lags(instruments) == (0, 0)
    stream = await streams.open(WHOLE, None)
    assert value(instruments, "event_streams") == 1
    await write(3)
    await numbers(stream, 3)
    count, seconds = lags(instruments)
    assert count == 3
    assert seconds >= 0
    stream.close()
    assert value(instruments, "event_streams") == 0
    await streams.close()


def value(instruments: Instruments, name: str, **labels: str) -> float:
    found = instruments.registry.get_sample_value(f"reindex_queue_{name}", labels)
    assert found is not None
    return found


def lags(instruments: Instruments) -> tuple[float, float]:
    """How many there were, and their sum."""
    count = value(instruments, "event_lag_seconds_count", cluster=CLUSTER)
    return count, value(instruments, "event_lag_seconds_sum", cluster=CLUSTER)


def told(number: int, text: str) -> Told:
    return Told(CLUSTER, number, None, None, "queued", text, text)


def test_an_event_in_memory_has_what_filters_look_at() -> None:
    told = Told(CLUSTER, 1, "job", "batch", "queued", "…", "…", ("a", "a", "b"))
    assert EventFilter("batch", "job", frozenset({"queued"})).takes(told)
    assert not EventFilter("batch", "other").takes(told)
    assert EventFilter(reach=Reach(("a", "b"))).takes(told)
    assert not EventFilter(reach=Reach(("a",))).takes(told)
