"""Who sees which events, by the page and as a stream, and for how long a stream goes on."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from tests.api.v1.test_events import CLUSTER, FAST, NO_TOKENS, QUOTED, Exchange, running, under_way
from tests.conditions import eventually
from tests.sse import PATH, STREAM
from tests.store.database import execute
from tests.store.operations import enqueue

OPS = ("ops", "s3cret")
AUTH = {"server_username": "ops", "server_password": "s3cret", "server_auth": "login,tokens"}
LOGS = ["logs-*", "reindexed-v8-logs-*"]


class Door:
    """A service that asks for a login; `client` has that of an admin."""

    def __init__(self, app: FastAPI, client: httpx.AsyncClient) -> None:
        self.app = app
        self.client = client

    async def token(self, name: str, **grant: Any) -> dict[str, str]:
        """The headers of a new one, which was used before: the note of that is saved."""
        body = {"name": name, "role": "viewer", **grant}
        made = await self.client.post("/api/v1/tokens", json=body)
        assert made.status_code == 200, made.text
        headers = {"authorization": f"Bearer {made.json()['secret']}"}
        assert (await self.client.get(PATH, headers=headers, auth=None)).status_code == 200

        async def noted() -> bool:
            (one,) = [token for token in await self.tokens() if token["name"] == name]
            return one["lastUsedAt"] is not None

        await eventually(noted, "its use is noted")
        return headers

    async def tokens(self) -> list[dict[str, Any]]:
        return (await self.client.get("/api/v1/tokens")).json()["tokens"]

    async def queue(self, *names: str) -> None:
        """Operations that wait, each with an event."""
        await enqueue(self.app.state.sites.of().store, *names)

    async def page(self, headers: dict[str, str] | None = None, **query: Any) -> dict[str, Any]:
        auth = None if headers else OPS
        answer = await self.client.get(PATH, params=query, headers=headers, auth=auth)
        assert answer.status_code == 200, answer.text
        return answer.json()


@asynccontextmanager
async def opened(sqlite_url: str) -> AsyncGenerator[Door]:
    async with running(sqlite_url, FAST, **AUTH) as (app, client):
        client.auth = OPS
        await client.post("/api/v1/pace/stop", json={"reason": "what is queued waits"})
        yield Door(app, client)


@pytest.fixture
async def door(sqlite_url: str) -> AsyncGenerator[Door]:
    async with opened(sqlite_url) as door:
        yield door


def seen(page: dict[str, Any]) -> list[tuple[str, str | None]]:
    return [(event["what"], event["indexName"]) for event in page["events"]]


async def test_what_is_of_no_cluster_is_in_the_log(door: Door) -> None:
    async with under_way(Exchange(door.app, {"after": f"{QUOTED}:0"}, basic())) as exchange:
        await door.token("nightly")
        await exchange.shows(f"id: {QUOTED}:1,_service:1\ndata: ")
    page = await door.page(cluster="_service")
    (created,) = page["events"]
    assert (created["cluster"], created["what"], created["text"]) == (
        "_service",
        "token created",
        "nightly",
    )
    assert page["newest"] == "_service:1"
    whole = await door.page()
    assert [event["what"] for event in whole["events"]] == ["everything stopped", "token created"]
    assert whole["newest"] == f"{QUOTED}:1,_service:1"


def basic() -> dict[str, str]:
    return {"authorization": httpx.BasicAuth(*OPS)._auth_header}  # pyright: ignore[reportPrivateUsage]


async def test_who_is_limited_does_not_see_what_is_of_no_cluster(door: Door) -> None:
    for limits in ({"clusters": [CLUSTER]}, {"indices": LOGS}):
        headers = await door.token(f"for-{next(iter(limits))}", **limits)
        page = await door.page(headers)
        assert {event["cluster"] for event in page["events"]} <= {CLUSTER}
        assert page["newest"].startswith(QUOTED)
        assert "_service" not in page["newest"]
        for accept in ({}, STREAM):
            refused = await door.client.get(
                PATH, params={"cluster": "_service"}, headers={**headers, **accept}, auth=None
            )
            assert refused.status_code == 400
            assert "There is no cluster _service here." in refused.text


async def test_pages_show_the_events_of_operations_within_reach(
    door: Door, sqlite_url: str
) -> None:
    headers = await door.token("logs", indices=LOGS)
    await door.queue("logs-1", "secret-1", "logs-2")
    assert seen(await door.page(headers)) == [("queued", "logs-1"), ("queued", "logs-2")]
    whole = await door.page(kind="queued")
    assert [event["after"] for event in whole["events"]] == [
        f"reindexed-v8-{name}" for name in ("logs-1", "secret-1", "logs-2")
    ]
    assert [event["after"] for event in (await door.page(headers))["events"]] == [None, None]
    first, hidden, _ = whole["events"]
    assert len((await door.page(headers, batch=first["batchId"]))["events"]) == 2
    assert (await door.page(headers, job=hidden["jobId"]))["events"] == []
    assert seen(await door.page(headers, order="desc", limit=1)) == [("queued", "logs-2")]
    execute(sqlite_url, "DELETE FROM job WHERE index_name = 'logs-1'")
    assert seen(await door.page(headers)) == [("queued", "logs-2")]
    assert len((await door.page(kind="queued"))["events"]) == 3


async def test_streams_show_the_events_of_operations_within_reach(door: Door) -> None:
    """Of what is read from the log, and of what happens while it goes on."""
    headers = await door.token("logs", indices=LOGS)
    await door.queue("secret-1", "logs-1")
    query = {"after": f"{QUOTED}:0"}
    async with under_way(Exchange(door.app, query, headers)) as exchange:
        await exchange.shows('"indexName":"logs-1"')
        await exchange.shows(f": heartbeat\nid: {QUOTED}:3\n")
        await door.queue("secret-2", "logs-2")
        paced = await door.client.patch("/api/v1/pace", json={"requestsPerSecond": 5000})
        assert paced.status_code == 200
        await exchange.shows('"indexName":"logs-2"')
        await exchange.shows(f": heartbeat\nid: {QUOTED}:6\n")
        assert "secret" not in exchange.text
        assert exchange.numbers == [3, 5]
        assert exchange.text.count('"after":null') == 2


async def goes_on(exchange: Exchange) -> None:
    """Waits until its login was looked at several times."""
    beats = exchange.text.count(": heartbeat")

    async def beaten() -> bool:
        return exchange.text.count(": heartbeat") > beats + 2

    await eventually(beaten, "it goes on over several heartbeats")


@pytest.mark.parametrize(
    "change",
    [
        "revoked_at = '2026-01-01 00:00:00'",
        "expires_at = '2026-01-01 00:00:00'",
        "role = 'admin'",
        "clusters = '[\"north\"]'",
        "indices = '[\"logs-1\"]'",
    ],
    ids=["revoked", "expired", "role", "clusters", "indices"],
)
async def test_a_stream_ends_when_its_token_does_not_allow_the_same_any_more(
    door: Door, sqlite_url: str, change: str
) -> None:
    ending, other = (
        Exchange(door.app, headers=await door.token("one", role="operator", indices=LOGS)),
        Exchange(door.app, headers=await door.token("other", role="operator", indices=LOGS)),
    )
    async with under_way(other):
        task = asyncio.ensure_future(ending.run())
        await goes_on(ending)
        execute(sqlite_url, f"UPDATE token SET {change} WHERE name = 'one'")
        async with asyncio.timeout(10):
            await task
        assert ending.ended
        assert not ending.aborted
        await goes_on(other)


async def test_a_stream_ends_when_its_token_is_revoked(door: Door) -> None:
    exchange = Exchange(door.app, headers=await door.token("nightly"))
    task = asyncio.ensure_future(exchange.run())
    await goes_on(exchange)
    assert (await door.client.delete("/api/v1/tokens/nightly")).status_code == 200
    async with asyncio.timeout(10):
        await task
    assert exchange.ended
    again = await door.client.get(PATH, headers={**STREAM, **exchange.headers}, auth=None)
    assert again.status_code == 401


async def test_a_narrowed_login_does_not_go_on_with_the_cursor_of_before(
    door: Door, sqlite_url: str
) -> None:
    exchange = Exchange(door.app, headers=await door.token("nightly"))
    task = asyncio.ensure_future(exchange.run())
    await goes_on(exchange)
    cursor = exchange.text.rpartition("id: ")[2].split("\n")[0]
    assert cursor == f"{QUOTED}:1,_service:1"
    execute(sqlite_url, "UPDATE token SET indices = '[\"logs-1\"]'")
    async with asyncio.timeout(10):
        await task
    await door.queue("secret-1", "logs-1")
    for given, status in ((cursor, 400), (f"{QUOTED}:1", 200)):
        answer = await door.client.get(
            PATH, params={"after": given}, headers=exchange.headers, auth=None
        )
        assert answer.status_code == status
        assert "secret" not in answer.text
    assert NO_TOKENS not in exchange.text
