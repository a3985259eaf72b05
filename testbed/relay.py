"""An HTTP/1.1 relay on loopback in front of a server, which can be told to spoil chosen requests.

What no rule is for passes through unchanged; the only difference is that bodies are sent whole,
with a Content-Length. Every request gets a connection to the server of its own, so that the relay
repeats nothing by itself, and a client that leaves takes its request to the server with it.
"""

from __future__ import annotations

import asyncio
import json
import re
import socket
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple, cast

import aiohttp
from aiohttp import web
from multidict import CIMultiDict, CIMultiDictProxy
from yarl import URL

_PER_CONNECTION = frozenset({"connection", "keep-alive", "transfer-encoding", "content-length"})
_CUT_SHORT = "x-cut-short"  # of an answer of which only the first half is to be sent
_LARGEST_BODY = 2**30  # bytes


class Seen(NamedTuple):
    """A request as it arrived.

    `path` has its query string, both still percent-encoded; the case of header names is ignored.
    """

    method: str
    path: str
    headers: CIMultiDictProxy[str]
    body: bytes


Action = Callable[[Seen], Awaitable[web.Response | None]]
"""What a rule does with a request: answers it, or returns None for the connection to be cut."""


@dataclass
class _Rule:
    method: str
    pattern: re.Pattern[str]
    action: Action
    times: int | None

    def takes(self, request: Seen) -> bool:
        if self.times == 0 or not _matches(request, self.method, self.pattern):
            return False
        if self.times is not None:
            self.times -= 1
        return True


class Relay:
    """The relay; `async with Relay(target_url) as relay` opens and closes it.

    Rules name a method ("*" is any) and a regular expression that is searched in the path with its
    query string. The rule that was added first wins; it holds for `times` requests, None is for
    ever. `seen` lists all requests, also those that a rule took.
    """

    def __init__(self, target_url: str) -> None:
        self.seen: list[Seen] = []
        self._target = target_url.rstrip("/")
        self._rules: list[_Rule] = []
        self._overwritten: dict[str, str | None] = {}
        self._arrived = asyncio.Condition()
        self._socket = _listening_socket(0)
        self._port: int = self._socket.getsockname()[1]
        self._listener: asyncio.Task[asyncio.Server] | None = None
        app = web.Application(client_max_size=_LARGEST_BODY)
        app.router.add_route("*", "/{path:.*}", self._serve)
        app.on_response_prepare.append(_without_own_headers)
        self._runner = web.AppRunner(
            app,
            access_log=None,
            auto_decompress=False,
            handler_cancellation=True,
            shutdown_timeout=1,
        )

    @property
    def url(self) -> str:
        """The address of the relay, the same for its whole life."""
        return f"http://127.0.0.1:{self._port}"

    def retarget(self, url: str) -> None:
        """Send what comes from now on to another server."""
        self._target = url.rstrip("/")

    def cut_before(self, method: str, path_regex: str, times: int | None = 1) -> None:
        """Close the client's connection; the server never sees the request."""

        async def cut(_: Seen) -> None:
            return None

        self.when(method, path_regex, cut, times)

    def cut_after(self, method: str, path_regex: str, times: int | None = 1) -> None:
        """Let the server carry out the request, then close the client's connection unanswered."""

        async def forward_and_cut(request: Seen) -> None:
            await self.forward(request)

        self.when(method, path_regex, forward_and_cut, times)

    def answer(
        self,
        method: str,
        path_regex: str,
        status: int,
        body: dict[str, Any] | str | bytes = b"",
        headers: Mapping[str, str] | None = None,
        times: int | None = 1,
    ) -> None:
        """Answer in the place of the server: a dict as Elasticsearch's JSON, a str as HTML."""
        content, own_headers = _content(body)

        async def answer(_: Seen) -> web.Response:
            merged = CIMultiDict({**own_headers, **(headers or {})})
            return web.Response(status=status, body=content, headers=merged)

        self.when(method, path_regex, answer, times)

    def redirect(
        self,
        method: str,
        path_regex: str,
        location: str,
        status: int = 307,
        times: int | None = 1,
    ) -> None:
        """Answer with a redirect to `location`."""
        self.answer(method, path_regex, status, headers={"Location": location}, times=times)

    def delay(self, method: str, path_regex: str, seconds: float, times: int | None = 1) -> None:
        """Let the request wait for `seconds` before it goes to the server."""

        async def wait_and_forward(request: Seen) -> web.Response:
            await asyncio.sleep(seconds)
            return await self.forward(request)

        self.when(method, path_regex, wait_and_forward, times)

    def truncate(self, method: str, path_regex: str, times: int | None = 1) -> None:
        """Let the server carry out the request, but pass on only the first half of its answer."""
        self.when(method, path_regex, self.forward_and_halve, times)

    def hold(self, method: str, path_regex: str, times: int | None = 1) -> asyncio.Event:
        """Let the request wait until the event that is returned is set, then forward it."""
        released = asyncio.Event()

        async def wait_and_forward(request: Seen) -> web.Response:
            await released.wait()
            return await self.forward(request)

        self.when(method, path_regex, wait_and_forward, times)
        return released

    def when(self, method: str, path_regex: str, action: Action, times: int | None = 1) -> None:
        """Add a rule that does anything; `forward` is there for the action to use."""
        self._rules.append(_Rule(method, re.compile(path_regex), action, times))

    def overwrite(self, header: str, value: str | None) -> None:
        """Forward every request with that value of a header, or without it where it is None.

        `seen` shows it as it arrived; `clear` does not change it back.
        """
        self._overwritten[header] = value

    def clear(self) -> None:
        """Remove all rules."""
        self._rules.clear()

    def refuse(self) -> None:
        """Drop all connections and refuse new ones, as if the server were down."""
        if self._listener is not None:
            if self._listener.done():
                self._listener.result().close()
            self._listener.cancel()
            self._listener = None
            self._socket.close()
        self._drop_connections()

    def accept(self) -> None:
        """End `refuse`; from now on connections are accepted, on the same port."""
        if self._listener is None:
            if self._socket.fileno() == -1:
                self._socket = _listening_socket(self._port)
            loop = asyncio.get_running_loop()
            assert self._runner.server is not None
            self._listener = loop.create_task(
                loop.create_server(self._runner.server, sock=self._socket)
            )

    async def wait_for(self, method: str, path_regex: str, times: int = 1) -> Seen:
        """Wait until `times` matching requests have arrived, earlier ones included; the last one.

        It may not have been forwarded yet, let alone answered.
        """
        pattern = re.compile(path_regex)
        matching: list[Seen] = []

        def arrived() -> bool:
            matching[:] = [seen for seen in self.seen if _matches(seen, method, pattern)]
            return len(matching) >= times

        async with self._arrived:
            await self._arrived.wait_for(arrived)
        return matching[times - 1]

    async def forward(self, request: Seen) -> web.Response:
        """Send a request to the server and return its answer. Raises aiohttp.ClientError."""
        async with self._client.request(
            request.method,
            URL(self._target + request.path, encoded=True),
            headers=self._headers_of(request),
            data=request.body or None,
            allow_redirects=False,
            skip_auto_headers=("Accept", "Accept-Encoding", "User-Agent", "Content-Type"),
        ) as answer:
            headers = _end_to_end(answer.headers)
            if request.method == "HEAD" and "Content-Length" in answer.headers:
                headers["Content-Length"] = answer.headers["Content-Length"]
            body = await answer.read()
            return web.Response(
                status=answer.status, reason=answer.reason, headers=headers, body=body
            )

    def _headers_of(self, request: Seen) -> CIMultiDict[str]:
        headers = _end_to_end(request.headers)
        for name, value in self._overwritten.items():
            headers.popall(name, None)
            if value is not None:
                headers[name] = value
        return headers

    async def forward_changed(
        self, request: Seen, change: Callable[[dict[str, Any]], None]
    ) -> web.Response:
        """As `forward`; the JSON of an answer of 200 arrives as `change` leaves it."""
        answer = await self.forward(request)
        if answer.status != 200:
            return answer
        assert isinstance(answer.body, bytes)
        body = json.loads(answer.body)
        change(body)
        return web.json_response(body, headers={"X-Elastic-Product": "Elasticsearch"})

    async def forward_and_halve(self, request: Seen) -> web.Response:
        """As `forward`; of the answer only the first half of the body will arrive."""
        answer = await self.forward(request)
        answer.headers[_CUT_SHORT] = "yes"
        return answer

    async def __aenter__(self) -> Relay:
        self._client = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(force_close=True, limit=0),
            timeout=aiohttp.ClientTimeout(total=None),
            auto_decompress=False,
            cookie_jar=aiohttp.DummyCookieJar(),
        )
        await self._runner.setup()
        self.accept()
        return self

    async def __aexit__(self, *_: object) -> None:
        self.refuse()
        await self._runner.cleanup()
        await self._client.close()

    async def _serve(self, request: web.Request) -> web.StreamResponse:
        body = await request.read()
        seen = Seen(request.method, request.raw_path, request.headers, body)
        async with self._arrived:
            self.seen.append(seen)
            self._arrived.notify_all()
        rule = next((rule for rule in self._rules if rule.takes(seen)), None)
        try:
            answer = await (rule.action if rule else self.forward)(seen)
        except (aiohttp.ClientError, OSError):
            answer = None  # the server is away, so the relay behaves as if it were, too
        if answer is None:
            if request.transport is not None:
                request.transport.close()
            return web.Response()
        if answer.headers.pop(_CUT_SHORT, None):
            return await _sent_by_half(request, answer)
        return answer

    def _drop_connections(self) -> None:
        if self._runner.server is not None:
            for connection in self._runner.server.connections:
                if connection.transport is not None:
                    connection.transport.abort()


def _matches(request: Seen, method: str, pattern: re.Pattern[str]) -> bool:
    return method in ("*", request.method) and pattern.search(request.path) is not None


def _end_to_end(headers: CIMultiDictProxy[str]) -> CIMultiDict[str]:
    return CIMultiDict(
        (name, value) for name, value in headers.items() if name.lower() not in _PER_CONNECTION
    )


async def _sent_by_half(request: web.Request, answer: web.Response) -> web.StreamResponse:
    """Announces the whole body, then closes the connection in the middle of it."""
    body = bytes(cast(bytes, answer.body or b""))
    half = web.StreamResponse(status=answer.status, headers=answer.headers)
    half.content_length = len(body)
    await half.prepare(request)
    await half.write(body[: len(body) // 2])
    if request.transport is not None:
        request.transport.close()
    return half


def _content(body: dict[str, Any] | str | bytes) -> tuple[bytes, dict[str, str]]:
    if isinstance(body, dict):
        product = {"X-Elastic-Product": "Elasticsearch", "Content-Type": "application/json"}
        return json.dumps(body).encode(), product
    if isinstance(body, str):
        return body.encode(), {"Content-Type": "text/html; charset=utf-8"}
    return body, {}


async def _without_own_headers(_: web.Request, response: web.StreamResponse) -> None:
    """Take away what aiohttp adds and Elasticsearch never sends."""
    for name in ("Server", "Date"):
        response.headers.pop(name, None)


def _listening_socket(port: int) -> socket.socket:
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind(("127.0.0.1", port))
    listener.listen(128)
    listener.setblocking(False)
    return listener
