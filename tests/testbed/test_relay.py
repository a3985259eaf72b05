"""The relay, in front of a small server that tells what it was asked."""

from __future__ import annotations

import asyncio
import gzip
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
import pytest_asyncio
from aiohttp import web
from aiohttp.test_utils import TestServer

from testbed.relay import Relay, Seen

pytestmark = pytest.mark.timeout(10)

served: web.AppKey[list[str]] = web.AppKey("served", list)


async def _tell(request: web.Request) -> web.Response:
    request.app[served].append(f"{request.method} {request.raw_path}")
    body = await request.read()
    telling: dict[str, Any] = {
        "method": request.method,
        "path": request.raw_path,
        "body": body.decode(),
        "opaque": request.headers.get("X-Opaque-Id"),
        "encodings": request.headers.getall("Accept-Encoding", []),
        "agent": request.headers.get("User-Agent"),
    }
    response = web.json_response(telling, status=int(request.query.get("status", "200")))
    response.headers.add("Warning", "299 first")
    response.headers.add("Warning", "299 second")
    if "gzip" in request.query:
        response.body = gzip.compress(response.body if isinstance(response.body, bytes) else b"")
        response.headers["Content-Encoding"] = "gzip"
    if "location" in request.query:
        response.headers["Location"] = request.query["location"]
    if "chunked" in request.query:
        response.enable_chunked_encoding()
    return response


@pytest_asyncio.fixture
async def server() -> AsyncIterator[TestServer]:
    app = web.Application()
    app[served] = []
    app.router.add_route("*", "/{path:.*}", _tell)
    server = TestServer(app)
    async with server:
        yield server


@pytest_asyncio.fixture
async def disturber(server: TestServer) -> AsyncIterator[Relay]:
    async with Relay(str(server.make_url("/"))) as relay:
        yield relay


@pytest_asyncio.fixture
async def client(disturber: Relay) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=disturber.url, trust_env=False) as client:
        yield client


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "DELETE", "PATCH"])
async def test_method_path_headers_and_body_pass(client: httpx.AsyncClient, method: str) -> None:
    answer = await client.request(
        method,
        "/a%2Fb/%3Clogs-%7Bnow%7D%3E?q=1%202&pretty",
        content=b'{"x":1}',
        headers={"X-Opaque-Id": "me", "User-Agent": "agent", "Accept-Encoding": "br"},
    )
    assert answer.json() == {
        "method": method,
        "path": "/a%2Fb/%3Clogs-%7Bnow%7D%3E?q=1%202&pretty",
        "body": '{"x":1}',
        "opaque": "me",
        "encodings": ["br"],
        "agent": "agent",
    }
    assert answer.headers.get_list("Warning") == ["299 first", "299 second"]


async def test_the_answer_to_head_has_a_length_and_no_body(
    client: httpx.AsyncClient, server: TestServer
) -> None:
    async with httpx.AsyncClient(base_url=str(server.make_url("/"))) as direct:
        expected = await direct.head("/a")
    answer = await client.head("/a")
    assert answer.content == b""
    assert int(answer.headers["Content-Length"]) == int(expected.headers["Content-Length"])


@pytest.mark.parametrize("query", ["gzip", "chunked", "gzip&chunked"])
async def test_encoded_and_chunked_answers_arrive_whole(
    client: httpx.AsyncClient, query: str
) -> None:
    answer = await client.get(f"/a?{query}")
    assert answer.json()["path"] == f"/a?{query}"
    assert ("Content-Encoding" in answer.headers) == ("gzip" in query)


async def test_chunked_and_compressed_requests_arrive_whole(
    client: httpx.AsyncClient, disturber: Relay
) -> None:
    async def parts() -> AsyncIterator[bytes]:
        yield b"one "
        yield b"two"

    chunked = await client.post("/a", content=parts())
    assert chunked.json()["body"] == "one two"
    packed = gzip.compress(b"packed")
    await client.post("/b", content=packed, headers={"Content-Encoding": "gzip"})
    assert disturber.seen[-1].body == packed


async def test_error_answers_and_redirects_of_the_server_pass(client: httpx.AsyncClient) -> None:
    assert (await client.get("/a?status=404")).status_code == 404
    redirect = await client.delete("/a?status=307&location=/b")
    assert (redirect.status_code, redirect.headers["Location"]) == (307, "/b")


async def test_everything_is_seen_in_order(client: httpx.AsyncClient, disturber: Relay) -> None:
    await client.get("/first?x=1", headers={"X-Opaque-Id": "me"})
    await client.put("/second", content=b"body")
    first, second = disturber.seen
    assert (first.method, first.path, first.headers["x-opaque-id"]) == ("GET", "/first?x=1", "me")
    assert (second.method, second.path, second.body) == ("PUT", "/second", b"body")


async def test_cut_before_keeps_the_request_from_the_server(
    client: httpx.AsyncClient, disturber: Relay, server: TestServer
) -> None:
    disturber.cut_before("PUT", "/index$")
    with pytest.raises(httpx.RemoteProtocolError):
        await client.put("/index")
    assert server.app[served] == []
    await client.put("/index")
    assert server.app[served] == ["PUT /index"]


async def test_cut_after_lets_the_server_do_it(
    client: httpx.AsyncClient, disturber: Relay, server: TestServer
) -> None:
    disturber.cut_after("*", "/index", times=None)
    for _ in range(2):
        with pytest.raises(httpx.RemoteProtocolError):
            await client.delete("/index")
    assert server.app[served] == ["DELETE /index", "DELETE /index"]
    assert (await client.delete("/other")).status_code == 200


async def test_a_truncated_answer_breaks_off_after_the_server_did_it(
    client: httpx.AsyncClient, disturber: Relay, server: TestServer
) -> None:
    disturber.truncate("PUT", "/index")
    async with client.stream("PUT", "/index") as answer:
        assert answer.status_code == 200
        with pytest.raises(httpx.RemoteProtocolError):
            await answer.aread()
    assert server.app[served] == ["PUT /index"]
    assert (await client.put("/index")).json()["method"] == "PUT"


async def test_answers_in_the_place_of_the_server(
    client: httpx.AsyncClient, disturber: Relay, server: TestServer
) -> None:
    disturber.answer("POST", "/_reindex", 429, {"status": 429}, {"Retry-After": "1"}, times=2)
    disturber.answer("POST", "/_reindex", 502, "<html>Bad Gateway</html>")
    answers = [await client.post("/_reindex") for _ in range(4)]
    assert [answer.status_code for answer in answers] == [429, 429, 502, 200]
    assert answers[0].json() == {"status": 429}
    assert answers[0].headers["X-Elastic-Product"] == "Elasticsearch"
    assert answers[0].headers["Retry-After"] == "1"
    assert answers[2].headers["Content-Type"].startswith("text/html")
    assert len(server.app[served]) == 1


async def test_redirects_in_the_place_of_the_server(
    client: httpx.AsyncClient, disturber: Relay
) -> None:
    disturber.redirect("DELETE", "/index", "http://127.0.0.1:1/elsewhere")
    answer = await client.delete("/index")
    assert answer.status_code == 307
    assert answer.headers["Location"] == "http://127.0.0.1:1/elsewhere"


async def test_hold_and_delay_forward_later(
    client: httpx.AsyncClient, disturber: Relay, server: TestServer
) -> None:
    release = disturber.hold("GET", "/held")
    disturber.delay("GET", "/delayed", seconds=0.05)
    held = asyncio.create_task(client.get("/held"))
    await disturber.wait_for("GET", "/held")
    assert (await client.get("/delayed")).status_code == 200
    assert server.app[served] == ["GET /delayed"]
    release.set()
    assert (await held).status_code == 200


async def test_wait_for_counts_requests_of_the_past(
    client: httpx.AsyncClient, disturber: Relay
) -> None:
    await client.get("/a?n=1")
    waiting = asyncio.create_task(disturber.wait_for("GET", "^/a", times=2))
    await client.get("/a?n=2")
    assert (await waiting).path == "/a?n=2"
    assert (await disturber.wait_for("GET", "^/a")).path == "/a?n=1"


async def test_an_own_rule_may_act_at_the_moment_of_a_request(
    client: httpx.AsyncClient, disturber: Relay
) -> None:
    async def refuse_from_now_on(request: Seen) -> web.Response:
        answer = await disturber.forward(request)
        disturber.answer("*", "/", 503, times=None)
        return answer

    disturber.when("PUT", "/last", refuse_from_now_on)
    assert (await client.put("/last")).status_code == 200
    assert (await client.get("/a")).status_code == 503
    disturber.clear()
    assert (await client.get("/a")).status_code == 200


async def test_refused_clients_cannot_connect_until_accepted_again(
    client: httpx.AsyncClient, disturber: Relay
) -> None:
    await client.get("/a")
    disturber.refuse()
    with pytest.raises(httpx.TransportError):  # on the connection that was open
        await client.get("/a")
    with pytest.raises(httpx.ConnectError):
        await client.get("/a")
    disturber.accept()
    assert (await client.get("/a")).status_code == 200
    assert str(client.base_url).rstrip("/") == disturber.url


async def test_refuse_drops_a_request_in_flight(
    client: httpx.AsyncClient, disturber: Relay, server: TestServer
) -> None:
    release = disturber.hold("GET", "/held")
    held = asyncio.create_task(client.get("/held"))
    await disturber.wait_for("GET", "/held")
    disturber.refuse()
    with pytest.raises(httpx.TransportError):
        await held
    release.set()
    disturber.accept()
    await client.get("/a")
    assert server.app[served] == ["GET /a"]


async def test_a_server_that_is_away_looks_like_a_cut(
    client: httpx.AsyncClient, disturber: Relay, server: TestServer
) -> None:
    disturber.retarget("http://127.0.0.1:1")
    with pytest.raises(httpx.RemoteProtocolError):
        await client.get("/a")
    disturber.retarget(str(server.make_url("/")))
    assert (await client.get("/a")).status_code == 200
