"""`GET /api/v1/events`: pages and streams of the log, over ASGI, where Elasticsearch is away."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import httpx
import pytest
from fastapi import FastAPI
from starlette.types import Message

from app.api.access import principal_of
from app.api.event_stream import TRANSPORT, EventStreamResponse, wants_stream
from app.api.v1.events import streamed
from app.domain.principal import Principal, Role
from app.main import create_app
from app.settings import Settings
from app.sites.event_streams import EventStreams, StreamLimits
from tests.api.conftest import Logged
from tests.conditions import eventually
from tests.sse import PATH, STREAM
from tests.store.database import execute

FAST = StreamLimits(most=3, poll_seconds=0.02, heartbeat_seconds=0.2, slow_seconds=0.4)
CLUSTER = "my: cluster"
QUOTED = "my%3A%20cluster"
NO_TOKENS = ",_service:0"
"""What a cursor has beside the cluster, where there is no event of a token."""

Json = dict[str, Any]


@dataclass
class Exchange:
    """A request for a stream and its answer. `reads`: cleared, the reader takes nothing more.
    `aborted`: its connection was closed at once. `unsent`: bytes that the server still has of what
    it was given."""

    app: FastAPI
    query: Mapping[str, str] = field(default_factory=dict[str, str])
    headers: Mapping[str, str] = field(default_factory=dict[str, str])
    messages: list[Json] = field(default_factory=list[Json])
    aborted: bool = False
    unsent: int = 0

    def __post_init__(self) -> None:
        self.reads, self._gone = asyncio.Event(), asyncio.Event()
        self.reads.set()

    @property
    def status(self) -> int:
        return self.messages[0]["status"]

    @property
    def sent(self) -> dict[str, str]:
        return {name.decode(): value.decode() for name, value in self.messages[0]["headers"]}

    @property
    def text(self) -> str:
        return b"".join(m["body"] for m in self.messages if "body" in m).decode()

    @property
    def numbers(self) -> list[int]:
        lines = [line for line in self.text.split("\n") if line.startswith("data: ")]
        return [json.loads(line.removeprefix("data: "))["number"] for line in lines]

    @property
    def ended(self) -> bool:
        """The answer was brought to its end, not cut."""
        return bool(self.messages) and self.messages[-1].get("more_body") is False

    async def run(self) -> None:
        given = [(k.encode(), v.encode()) for k, v in {**STREAM, **self.headers}.items()]
        scope = {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.3"},
            "http_version": "1.1",
            "method": "GET",
            "scheme": "http",
            "path": PATH,
            "raw_path": PATH.encode(),
            "root_path": "",
            "query_string": urlencode(self.query).encode(),
            "headers": given,
            "client": ("127.0.0.1", 50_000),
            "server": ("service", 80),
            "extensions": {TRANSPORT: self},
        }
        await self.app(scope, self._receive, self._send)

    def go_away(self) -> None:
        self._gone.set()

    def abort(self) -> None:
        """As of a transport, as is the next one."""
        self.aborted = True
        self._gone.set()

    def get_write_buffer_size(self) -> int:
        return self.unsent

    async def shows(self, what: str) -> None:
        async def shown() -> bool:
            return what in self.text

        await eventually(shown, lambda: f"{what} is in {self.text[-500:]}")

    async def _receive(self) -> Json:
        await self._gone.wait()
        return {"type": "http.disconnect"}

    async def _send(self, message: Message) -> None:
        await self.reads.wait()
        self.messages.append(dict(message))


@asynccontextmanager
async def under_way(exchange: Exchange) -> AsyncGenerator[Exchange]:
    """The exchange while its reader is there; it goes away at the end."""
    task = asyncio.ensure_future(exchange.run())
    try:
        await exchange.shows("retry: ")
        yield exchange
    finally:
        exchange.go_away()
        async with asyncio.timeout(5):
            await task


@asynccontextmanager
async def running(
    database_url: str, limits: StreamLimits = FAST, **settings: Any
) -> AsyncGenerator[tuple[FastAPI, httpx.AsyncClient]]:
    """The service without Elasticsearch, whose streams have these limits."""
    made: dict[str, Any] = {
        "elasticsearch_hosts": ["http://127.0.0.1:9"],
        "database_url": database_url,
        "reindex_cluster_id": CLUSTER,
        **settings,
    }
    app = create_app(Settings(**made))
    async with app.router.lifespan_context(app):
        pages = app.state.event_streams.pages
        app.state.event_streams = streams = EventStreams(pages, streamed, limits)
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://service") as client:
            yield app, client
        await streams.close()


async def change_pace(client: httpx.AsyncClient, times: int = 1) -> None:
    """Each change is an event."""
    for n in range(times):
        answer = await client.put("/api/v1/pace", json={"requestsPerSecond": n + 1})
        assert answer.status_code == 200


async def page_of(client: httpx.AsyncClient, **query: Any) -> Json:
    answer = await client.get(PATH, params=query)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def test_pages_of_the_log(sqlite_url: str) -> None:
    async with running(sqlite_url) as (_, client):
        assert await page_of(client) == {
            "events": [],
            "next": None,
            "newest": f"{QUOTED}:0{NO_TOKENS}",
        }
        await change_pace(client, 3)
        first = await page_of(client, limit=2)
        assert [event["number"] for event in first["events"]] == [1, 2]
        assert (first["next"], first["newest"]) == (
            f"{QUOTED}:2{NO_TOKENS}",
            f"{QUOTED}:3{NO_TOKENS}",
        )
        last = await page_of(client, limit=2, after=first["next"])
        assert [event["number"] for event in last["events"]] == [3]
        assert last["next"] is None
        back = await page_of(client, limit=2, order="desc")
        assert [event["number"] for event in back["events"]] == [3, 2]
        (oldest,) = (await page_of(client, limit=2, order="desc", after=back["next"]))["events"]
        before = oldest.pop("before")
        assert before["requests_per_second"] is None
        assert oldest.pop("after")["requests_per_second"] == 1.0
        assert oldest.pop("at").endswith("Z")
        assert oldest == {
            "number": 1,
            "who": "api:127.0.0.1",
            "what": "pace changed",
            "indexName": None,
            "text": "of the service",
            "cluster": CLUSTER,
            "jobId": None,
            "batchId": None,
        }


async def test_filters(sqlite_url: str) -> None:
    async with running(sqlite_url) as (_, client):
        await change_pace(client)
        await client.post("/api/v1/pace/stop", json={"reason": "why"})
        await client.post("/api/v1/pace/go-on")
        whole = await page_of(client)
        assert len(whole["events"]) == 3
        of_it = await page_of(client, cluster=CLUSTER)
        assert (of_it["events"], of_it["newest"]) == (whole["events"], f"{QUOTED}:3")
        stops = await page_of(client, kind=["everything stopped", "everything goes on"])
        assert [event["number"] for event in stops["events"]] == [2, 3]
        for query in ({"batch": "x"}, {"job": "x"}, {"job": "\0"}, {"batch": ""}):
            assert (await page_of(client, **query))["events"] == []


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ({"after": "yesterday"}, "yesterday is not a cursor of events. Take one from an answer"),
        ({"after": "north:0"}, "The cursor is of the cluster north, which is not here."),
        ({"after": f"{QUOTED}:1"}, f"behind event 1 of {CLUSTER}, but the newest is 0: the cursor"),
        ({"after": ""}, "[request query.after]: it must not be empty"),
        ({"cluster": "north"}, "There is no cluster north here."),
        ({"kind": "nonsense"}, "[request query.kind.0]: it must be 'queued', 'started'"),
        ({"since": "1"}, "[request query.since]: definition for this key is missing"),
        ({"limit": "501"}, "[request query.limit]: it must be at most 500"),
        ({"order": "up"}, "[request query.order]: it must be 'asc' or 'desc'"),
    ],
)
@pytest.mark.parametrize("headers", [{}, STREAM], ids=["page", "stream"])
async def test_what_cannot_be_is_refused(
    sqlite_url: str, query: dict[str, str], said: str, headers: dict[str, str]
) -> None:
    async with running(sqlite_url) as (app, client):
        answer = await client.get(PATH, params=query, headers=headers)
        assert (answer.status_code, answer.json()["statusCode"]) == (400, 400)
        assert said in answer.json()["message"]
        assert len(app.state.event_streams) == 0


async def test_a_last_id_that_is_nonsense_is_refused(sqlite_url: str) -> None:
    async with running(sqlite_url) as (_, client):
        for given in ("nonsense", "north:1", f"{QUOTED}:1", f"{CLUSTER}:0"):
            answer = await client.get(PATH, headers={**STREAM, "last-event-id": given})
            assert answer.status_code == 400, given


@pytest.mark.parametrize(
    ("accept", "streams"),
    [
        ("text/event-stream", True),
        ("Text/Event-Stream;q=0.9", True),
        ("application/json, text/event-stream", True),
        ("text/event-stream;charset=utf-8;q=0.1", True),
        ("text/event-stream;q=0", False),
        ("text/event-stream; q=0.00, application/json", False),
        ("", False),
        ("*/*", False),
        ("text/*", False),
        ("application/json", False),
    ],
)
def test_who_is_streamed_to(accept: str, streams: bool) -> None:
    assert wants_stream([accept]) is streams
    assert wants_stream(["application/json", accept]) is streams


async def test_a_stream_tells_what_happens_and_beats(sqlite_url: str) -> None:
    async with running(sqlite_url) as (app, client):
        await change_pace(client, 2)
        async with under_way(Exchange(app)) as exchange:
            assert exchange.status == 200
            assert exchange.sent["content-type"] == "text/event-stream; charset=utf-8"
            assert exchange.sent["cache-control"] == "no-store"
            assert "content-length" not in exchange.sent
            assert exchange.text.startswith(f"retry: 2000\nid: {QUOTED}:2{NO_TOKENS}\n\n")
            await exchange.shows(f": heartbeat\nid: {QUOTED}:2{NO_TOKENS}\n\n")
            await change_pace(client)
            await exchange.shows(f"id: {QUOTED}:3{NO_TOKENS}\ndata: ")
            await exchange.shows(f": heartbeat\nid: {QUOTED}:3{NO_TOKENS}\n\n")
            assert exchange.numbers == [3]
            page = await page_of(client, after=f"{QUOTED}:2")
            (line,) = [line for line in exchange.text.split("\n") if line.startswith("data: ")]
            assert json.loads(line.removeprefix("data: ")) == page["events"][0]
        assert len(app.state.event_streams) == 0


async def test_a_heartbeat_comes_also_between_many_events() -> None:
    """The look at the login must not wait for a pause."""
    asked = 0

    async def may_stay() -> bool:
        nonlocal asked
        asked += 1
        return asked < 3

    messages: list[Message] = []

    async def send(message: Message) -> None:
        messages.append(message)

    async def receive() -> Message:
        await asyncio.Event().wait()  # nobody goes away
        raise AssertionError

    stream: Any = Busy()
    response = EventStreamResponse(stream, may_stay)
    async with asyncio.timeout(10):
        await response({"type": "http"}, receive, send)
    text = b"".join(m["body"] for m in messages if "body" in m).decode()
    assert text.count(": heartbeat\nid: c:1\n\n") == 2
    assert text.count("data: {}\n\n") > 3
    assert stream.closed


class Busy:
    """A stream of events without a pause."""

    limits = StreamLimits(heartbeat_seconds=0.05)
    cursor = "c:1"
    over = False
    closed = False

    async def ended(self) -> None:
        await asyncio.Event().wait()

    async def more(self, seconds: float) -> list[tuple[str, str]]:
        assert seconds <= self.limits.heartbeat_seconds
        await asyncio.sleep(0.005)
        return [(self.cursor, "{}")]

    def close(self) -> None:
        self.closed = True


async def test_the_last_id_wins_over_after(sqlite_url: str) -> None:
    async with running(sqlite_url) as (app, client):
        await change_pace(client, 4)
        query, header = {"after": f"{QUOTED}:1"}, {"last-event-id": f"{QUOTED}:3"}
        for headers, expected in (
            ({}, [2, 3, 4]),
            (header, [4]),
            ({"last-event-id": ""}, [2, 3, 4]),
        ):
            async with under_way(Exchange(app, query, headers)) as exchange:
                await exchange.shows(f"id: {QUOTED}:4{NO_TOKENS}\ndata: ")
            assert exchange.numbers == expected


async def test_a_reader_that_takes_nothing_is_cut_and_comes_back(
    sqlite_url: str, logged: Logged
) -> None:
    async with running(sqlite_url) as (app, client):
        exchange = Exchange(app)
        with logged() as lines:
            async with under_way(exchange):
                exchange.reads.clear()
                await change_pace(client, 3)

                async def cut() -> bool:
                    return exchange.aborted

                await eventually(cut, "its connection is closed")
                assert len(app.state.event_streams) == 0
        assert [line["event"] for line in lines if line["event"] == "event_stream_cut"]
        seen = exchange.text.rpartition("id: ")[2].split("\n")[0]
        async with under_way(Exchange(app, headers={"last-event-id": seen})) as again:
            await again.shows(f"id: {QUOTED}:3{NO_TOKENS}\ndata: ")
        assert exchange.numbers + again.numbers == [1, 2, 3]


@pytest.mark.parametrize("begun", [False, True])
async def test_a_reader_that_takes_not_even_the_beginning_is_cut(
    sqlite_url: str, begun: bool
) -> None:
    """Also at the end of a stream, which it is not waited for to take."""
    async with running(sqlite_url) as (app, _):
        exchange = Exchange(app)
        exchange.reads.clear()
        task = asyncio.ensure_future(exchange.run())
        if begun:

            async def opened() -> bool:
                return len(app.state.event_streams) == 1

            await eventually(opened, "it is open")
            app.state.event_streams.end()
        async with asyncio.timeout(10):
            await task
        assert exchange.aborted
        assert not exchange.messages
        assert len(app.state.event_streams) == 0


async def test_the_end_of_a_stream_is_not_waited_for_where_it_is_not_taken(
    sqlite_url: str,
) -> None:
    """The server would wait for a reader before it closes the connection."""
    async with running(sqlite_url) as (app, _):
        taking, idle = Exchange(app), Exchange(app, unsent=1)
        tasks = [asyncio.ensure_future(one.run()) for one in (taking, idle)]
        for exchange in (taking, idle):
            await exchange.shows("retry: ")
        app.state.event_streams.end()
        await asyncio.gather(*tasks)
        assert taking.ended
        assert idle.ended
        assert (taking.aborted, idle.aborted) == (False, True)


async def test_a_reader_that_leaves_at_a_wake_up_leaves_nothing(sqlite_url: str) -> None:
    """However the two fall together: the look at the end must not be lost in a wait."""
    async with running(sqlite_url) as (app, _):
        for turns in range(12):
            exchange = Exchange(app)
            task = asyncio.ensure_future(exchange.run())
            await exchange.shows(f"id: {QUOTED}:0")
            exchange.go_away()
            for _ in range(turns):
                await asyncio.sleep(0)
            app.state.event_streams.wake_ups.wake()
            done, _ = await asyncio.wait((task,), timeout=5)
            assert done, turns
        assert len(app.state.event_streams) == 0


async def test_one_stream_more_than_there_may_be_is_refused(sqlite_url: str) -> None:
    async with running(sqlite_url) as (app, client):
        exchanges = [Exchange(app) for _ in range(FAST.most)]
        tasks = [asyncio.ensure_future(exchange.run()) for exchange in exchanges]
        for exchange in exchanges:
            await exchange.shows("retry: ")
        refused = await client.get(PATH, headers=STREAM)
        assert refused.status_code == 503
        assert refused.json()["message"] == (
            "3 streams of events are open, and this service holds no more. Try again when one of "
            "them has ended, or ask for pages instead: without Accept: text/event-stream."
        )
        assert (await client.get(PATH)).status_code == 200
        app.state.event_streams.end()
        await asyncio.gather(*tasks)
        assert all(exchange.ended for exchange in exchanges)


async def test_a_stream_ends_when_its_login_is_changed(
    sqlite_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "key"
    file.write_text("first")
    monkeypatch.setenv("SERVER_APIKEY_FILE", str(file))
    async with running(sqlite_url) as (app, client):
        first = {"authorization": "ApiKey first"}
        exchange = Exchange(app, headers=first)
        task = asyncio.ensure_future(exchange.run())
        await exchange.shows(": heartbeat")
        file.write_text("second")
        async with asyncio.timeout(5):
            await task
        assert exchange.ended
        assert (await client.get(PATH, headers={**STREAM, **first})).status_code == 401


async def test_who_may_see_some_clusters_only(sqlite_url: str) -> None:
    async with running(sqlite_url) as (app, client):
        await change_pace(client)
        seen = await asked_as(app, client, clusters=frozenset({CLUSTER, "north"}))
        assert len(seen.json()["events"]) == 1
        assert seen.json()["newest"] == f"{QUOTED}:1"
        refused = await asked_as(app, client, clusters=frozenset({"north"}))
        assert refused.status_code == 403


async def asked_as(
    app: FastAPI, client: httpx.AsyncClient, headers: Mapping[str, str] | None = None, **limits: Any
) -> httpx.Response:
    app.dependency_overrides[principal_of] = lambda: Principal("eve", Role.VIEWER, **limits)
    return await client.get(PATH, headers=headers)


async def test_events_of_an_operation_are_found_by_it_and_by_its_batch(sqlite_url: str) -> None:
    """Rows as a POST leaves them, which would need Elasticsearch."""
    async with running(sqlite_url) as (_, client):
        await change_pace(client, 2)
        execute(
            sqlite_url,
            "INSERT INTO batch (id, cluster_id, caller, created_at, refused) VALUES "
            "('b', :cluster, 'x', '2026-01-01', '[]')",
            cluster=CLUSTER,
        )
        execute(sqlite_url, "UPDATE event SET batch_id = 'b' WHERE number = 2")
        found = await page_of(client, batch="b")
        assert [(event["number"], event["batchId"]) for event in found["events"]] == [(2, "b")]
