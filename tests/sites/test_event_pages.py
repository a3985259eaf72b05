"""Pages of the event logs: every event once, in order, whichever way and however they are cut."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack
from typing import Any

import pytest

from app.domain.errors import InvalidCursor, UnknownCluster
from app.domain.events import EventKind, Note
from app.domain.principal import Principal, Role
from app.domain.reach import Reach
from app.domain.token import SERVICE
from app.sites import event_pages
from app.sites.event_pages import EventPages, WantedEvents
from app.store.engine import open_engines, parse_url
from app.store.events import Event, EventFilter
from app.store.store import Database
from app.store.transactions import Transaction, Transactions
from tests.store.database import execute
from tests.store.operations import enqueued

EAST, WEST = "east", "west, or not"
BOTH = WantedEvents((EAST, WEST))


class Logs:
    """The logs of two clusters in one database, and who writes into them."""

    def __init__(self, pages: EventPages, writers: dict[str, Transactions]) -> None:
        self.pages = pages
        self._writers = writers

    async def write(self, cluster: str, *notes: Note, job: str | None = None) -> None:
        async def work(transaction: Transaction) -> None:
            transaction.announce("writer", notes, job)

        await self._writers[cluster].run(work)


@pytest.fixture
async def logs(database_url: str) -> AsyncGenerator[Logs]:
    async with AsyncExitStack() as stack:
        database = await Database.open(database_url, 60.0)
        stack.push_async_callback(database.close)
        stores = [await database.store(name) for name in (EAST, WEST)]
        writer, reader = open_engines(parse_url(database_url))
        stack.push_async_callback(writer.dispose)
        stack.push_async_callback(reader.dispose)
        writers = {name: Transactions(writer, name) for name in (EAST, WEST)}
        yield Logs(EventPages(stores[0].event_log((EAST, WEST))), writers)


def note(text: str, kind: EventKind = EventKind.WARNING) -> Note:
    return Note(what=kind, text=text)


def labels(events: list[Event]) -> list[str]:
    return [event.text for event in events]


async def all_pages(
    pages: EventPages,
    wanted: WantedEvents,
    limit: int,
    cursor: Any = None,
    *,
    newest_first: bool = False,
) -> list[list[str]]:
    """The texts of all pages."""
    found: list[list[str]] = []
    while True:
        page = await pages.page(wanted, cursor, limit, newest_first=newest_first)
        found.append(labels(page.events))
        cursor = page.next
        if cursor is None:
            return found


async def written(logs: Logs) -> list[str]:
    """Five events of each cluster, one after the other; their texts."""
    texts: list[str] = []
    for n in range(5):
        for cluster in (EAST, WEST):
            texts.append(f"{cluster} {n}")
            await logs.write(cluster, note(texts[-1]))
    return texts


@pytest.mark.parametrize("limit", [1, 3, 10, 500])
async def test_pages_have_every_event_once_and_in_order(logs: Logs, limit: int) -> None:
    texts = await written(logs)
    forth = await all_pages(logs.pages, BOTH, limit)
    back = await all_pages(logs.pages, BOTH, limit, newest_first=True)
    assert [text for page in forth for text in page] == texts
    assert [text for page in back for text in page] == texts[::-1]
    assert all(len(page) == limit for page in [*forth[:-1], *back[:-1]])


async def test_the_newest_cursor_is_where_a_stream_goes_on(logs: Logs) -> None:
    await written(logs)
    page = await logs.pages.page(BOTH, None, 2, newest_first=True)
    assert page.newest == {EAST: 5, WEST: 5}
    await logs.write(WEST, note("later"))
    later = await logs.pages.page(BOTH, page.newest, 10)
    assert labels(later.events) == ["later"]
    assert (later.next, later.newest) == (None, {EAST: 5, WEST: 6})


async def test_a_cluster_that_the_cursor_does_not_name_begins_with_its_first_event(
    logs: Logs,
) -> None:
    await written(logs)
    found = await all_pages(logs.pages, BOTH, 100, {EAST: 5})
    assert found == [[f"{WEST} {n}" for n in range(5)]]


async def test_back_from_a_cursor_a_cluster_that_it_does_not_name_begins_with_its_newest(
    logs: Logs,
) -> None:
    await written(logs)
    found = await all_pages(logs.pages, BOTH, 100, {EAST: 0}, newest_first=True)
    assert found == [[f"{WEST} {n}" for n in reversed(range(5))]]


async def test_of_one_cluster_only_its_events(logs: Logs) -> None:
    await written(logs)
    only = WantedEvents((WEST,))
    page = await logs.pages.page(only, {EAST: 2, WEST: 3}, 100)
    assert labels(page.events) == [f"{WEST} 3", f"{WEST} 4"]
    assert page.newest == {WEST: 5}


async def test_a_page_looks_only_through_a_part_of_a_long_log(
    logs: Logs, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(event_pages, "MOST_SEARCHED", 3)
    for n in range(5):
        await logs.write(EAST, note(f"{n}"), note("between"), note("between"))
    await logs.write(EAST, note("rare", EventKind.HOLDS))
    rare = WantedEvents((EAST, WEST), EventFilter(kinds=frozenset({EventKind.HOLDS})))
    assert await all_pages(logs.pages, rare, 10) == [[], [], [], [], [], ["rare"]]
    back = await all_pages(logs.pages, rare, 10, newest_first=True)
    assert back == [["rare"], [], [], [], [], []]
    everything = await all_pages(logs.pages, BOTH, 2)
    assert sum(len(page) for page in everything) == 16


async def test_the_filters_of_the_store_and_of_memory_agree(logs: Logs, database_url: str) -> None:
    database = await Database.open(database_url, 60.0)
    store = await database.store(EAST)
    first, second = await enqueued(store, "a"), await enqueued(store, "b")
    await store.close()
    await database.close()
    await logs.write(EAST, note("of none"), note("held", EventKind.HOLDS))
    await logs.write(EAST, note("held", EventKind.HOLDS), job=first.id)
    kinds = frozenset({EventKind.HOLDS.value})
    filters = {
        EventFilter(): 5,
        EventFilter(batch_id=first.batch_id): 1,
        EventFilter(job_id=first.id): 2,
        EventFilter(job_id=second.id): 1,
        EventFilter(kinds=kinds): 2,
        EventFilter(kinds=kinds | {EventKind.QUEUED.value}): 4,
        EventFilter(job_id=first.id, kinds=kinds): 1,
        EventFilter(batch_id=second.batch_id, job_id=first.id): 0,
        EventFilter(batch_id="unknown"): 0,
        EventFilter(reach=Reach(("a", "reindexed-*"))): 2,
        EventFilter(reach=Reach(("a",))): 0,
        EventFilter(reach=Reach(("*",))): 3,
        EventFilter(reach=Reach(())): 0,
        EventFilter(job_id=first.id, reach=Reach(("b", "reindexed-*"))): 0,
    }
    everything = await logs.pages.log.between(EAST, 0, 100, limit=100, with_indices=True)
    for wanted, count in filters.items():
        page = await logs.pages.page(WantedEvents((EAST,), wanted), None, 100)
        found = [event.number for event in page.events]
        assert found == [event.number for event in everything if wanted.takes(event)], wanted
        assert len(page.events) == count, wanted


async def test_an_event_that_was_removed_leaves_no_page_unfinished(
    logs: Logs, database_url: str
) -> None:
    await written(logs)
    execute(database_url, "DELETE FROM event WHERE number IN (1, 2, 5)")
    found = await all_pages(logs.pages, BOTH, 2)
    assert [text for page in found for text in page] == [
        f"{cluster} {n}" for n in (2, 3) for cluster in (EAST, WEST)
    ]


async def test_a_cursor_of_other_logs_is_refused(logs: Logs) -> None:
    await written(logs)
    with pytest.raises(InvalidCursor, match="of the cluster north, which is not here"):
        await logs.pages.page(BOTH, {"north": 1}, 10)
    with pytest.raises(InvalidCursor, match="behind event 6 of east, but the newest is 5"):
        await logs.pages.page(BOTH, {EAST: 6, WEST: 1}, 10)


def caller(clusters: frozenset[str] | None = None, *patterns: str) -> Principal:
    return Principal("caller", Role.VIEWER, clusters, Reach.of(patterns or None))


def test_which_clusters_are_meant() -> None:
    pages = EventPages(LogOf(EAST, WEST, SERVICE))  # pyright: ignore[reportArgumentType] - names
    assert pages.wanted([]).clusters == (EAST, WEST, SERVICE)
    assert pages.wanted([WEST, WEST]).clusters == (WEST,)
    assert pages.wanted([SERVICE]).clusters == (SERVICE,)
    for_east = caller(frozenset({EAST, "north", SERVICE}))
    assert pages.wanted([], caller=for_east).clusters == (EAST,)
    assert pages.wanted([], caller=caller(None, "logs-*")).clusters == (EAST, WEST)
    with pytest.raises(UnknownCluster):
        pages.wanted(["north"])
    for hidden in (WEST, SERVICE, "north"):  # it does not tell which of them there are
        with pytest.raises(UnknownCluster):
            pages.wanted([hidden], caller=for_east)
    with pytest.raises(UnknownCluster):
        pages.wanted([SERVICE], caller=caller(None, "logs-*"))


async def test_a_refused_cursor_tells_nothing_of_clusters_that_are_hidden(logs: Logs) -> None:
    await written(logs)
    for_east = logs.pages.wanted([], caller=caller(frozenset({EAST})))
    for hidden in (WEST, "north"):
        with pytest.raises(InvalidCursor, match=f"cluster {hidden}, which is not here"):
            await logs.pages.page(for_east, {hidden: 999}, 10)
    only_east = logs.pages.wanted([EAST])
    page = await logs.pages.page(only_east, {EAST: 4, WEST: 2}, 10)
    assert labels(page.events) == [f"{EAST} 4"]


async def test_what_may_hold_documents_is_not_shown_to_who_is_limited(
    logs: Logs, database_url: str
) -> None:
    database = await Database.open(database_url, 60.0)
    store = await database.store(EAST)
    job = await enqueued(store, "a")
    await database.close()
    error = Note(what=EventKind.TURNED_BACK, text="the document 7", before={"x": 1}, after=[2])
    await logs.write(EAST, error, job=job.id)
    limited = logs.pages.wanted([], caller=caller(None, "a", "reindexed-*"))
    queued, turned_back = (await logs.pages.page(limited, None, 10)).events
    assert (queued.after, turned_back.before, turned_back.after) == (None, None, None)
    assert (turned_back.what, turned_back.text) == ("turned back", "")
    whole = (await logs.pages.page(WantedEvents((EAST,)), None, 10)).events[1]
    assert (whole.text, whole.before, whole.after) == ("the document 7", {"x": 1}, [2])


class LogOf:
    def __init__(self, *names: str) -> None:
        self.clusters = names
