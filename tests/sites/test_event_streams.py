"""Streams of events: every event once to each, however far behind, many or slow they are."""

from __future__ import annotations

import asyncio
import sys
from asyncio.subprocess import PIPE
from collections.abc import AsyncGenerator

import pytest
from sqlalchemy import Engine, event

from app.domain.errors import InvalidCursor, StoreUnavailable, TooManyStreams
from app.sites.event_pages import EventPages, Wanted
from app.sites.event_streams import EventStream, EventStreams, StreamLimits, Told
from app.store.events import Event, EventFilter
from app.store.store import Store
from tests.conditions import eventually
from tests.store.conftest import CLUSTER
from tests.store.event_writer import Write, writing

WHOLE = Wanted((CLUSTER,))
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
    stream = await streams.open(Wanted((CLUSTER,), EventFilter(kinds=kinds)), START)
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
        await asyncio.sleep(0.3)
        looks.clear()
        await asyncio.sleep(0.3)
        assert looks == []
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

    async def over() -> bool:
        return stream.over

    await eventually(over, "the stream ends")
    stream.close()
    again = await streams.open(WHOLE, stream.cursor)
    assert await numbers(again, 1) == [1]
    again.close()
    await streams.close()


async def test_at_the_end_all_are_over_and_no_other_begins(streams: EventStreams) -> None:
    stream = await streams.open(WHOLE, None)
    waiting = asyncio.ensure_future(stream.more(60.0))
    await asyncio.sleep(0.05)
    streams.end()
    async with asyncio.timeout(1):
        assert await waiting == []
    assert stream.over
    stream.close()
    late = await streams.open(WHOLE, None)
    assert late.over
    late.close()


def test_an_event_in_memory_has_what_filters_look_at() -> None:
    told = Told(CLUSTER, 1, "job", "batch", "queued", "…")
    assert EventFilter("batch", "job", frozenset({"queued"})).takes(told)
    assert not EventFilter("batch", "other").takes(told)
