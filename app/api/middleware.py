"""Around the routes: a request cut by a stop, pages of others, names of others, Kibana's own
rules, bodies too large."""

from __future__ import annotations

import asyncio
import ipaddress
import re
import zlib
from typing import Any
from urllib.parse import urlsplit

from fastapi import Request
from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.api.errors import MOST_BYTES, NO_XSRF, TOO_LARGE, answer
from app.domain.formatting import capped

STOPPING = "The service is being stopped, and this request was not done. Send it again later."


class Stopping:
    """The server cancels what is still open when its time for a stop is over, and would write a
    traceback for it."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        begun = False

        async def noted(message: Message) -> None:
            nonlocal begun
            begun = True
            await send(message)

        try:
            await self._app(scope, receive, noted)
        except asyncio.CancelledError:
            if scope["type"] != "http":
                raise
            if not begun:
                await answer(Request(scope), 503, STOPPING, "stopping")(scope, receive, send)


SAFE = ("GET", "HEAD", "OPTIONS")
REFUSED = (
    "A page of {page} sent this, which is not the address of this service. If it is, behind a "
    "proxy or under a name of your own, set SERVER_PUBLICBASEURL to it."
)


class OwnPages:
    """Answers 403 to changes that pages of other addresses ask for. Programs send no `Origin`.

    `names`: hosts that this service is known by, beside addresses and `localhost`; `public`: the
    one that people see. Where callers log in (`guarded`), a page under any name has had to, too.
    """

    def __init__(self, app: ASGIApp, names: frozenset[str], public: str, *, guarded: bool) -> None:
        self._app = app
        self._names = names
        self._public = public
        self._guarded = guarded

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["method"] not in SAFE:
            headers = Headers(scope=scope)
            if not self._is_own(headers):
                page = capped(headers.get("origin") or "another site", 200)
                text = REFUSED.format(page=page)
                refusal = answer(Request(scope), 403, text, "another_site")
                await refusal(scope, receive, send)
                return
        await self._app(scope, receive, send)

    def _is_own(self, headers: Headers) -> bool:
        origin = headers.get("origin")
        if origin is None:
            return headers.get("sec-fetch-site", "none") in ("none", "same-origin")
        try:
            page = urlsplit(origin.lower())
            name = page.hostname or ""
        except ValueError:
            return False
        if f"{page.scheme}://{page.netloc}" == self._public:
            return True
        same = bool(name) and page.netloc == headers.get("host", "").lower()
        return same and (self._guarded or name in self._names or _is_here(name))


def _is_here(name: str) -> bool:
    """Nobody else can make such a name lead somewhere."""
    if name == "localhost" or name.endswith(".localhost"):
        return True
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


PAGES = ("/", "/docs")
OPEN_TO_ANY_NAME = ("/healthz", "/readyz")
"""Probes come under whatever name an orchestrator has for the service, and are told little."""
FOREIGN_HOST = (
    "This was asked of {host}, which is not a name of this service. If it is, set "
    "SERVER_PUBLICBASEURL to it."
)


class OwnHost:
    """Answers 403 to what is asked under a foreign name: where nobody logs in everything, elsewhere
    (`guarded`) the pages.

    Somebody may let a name of theirs lead to this service, and their page, open in a browser that
    can reach it, would then be of the same origin and could read every answer. Names that only a
    local network can have are taken for the service's own: those of one word, as containers have
    them, and those that end as no name of the internet does. `names` and `public` as in `OwnPages`.
    """

    def __init__(self, app: ASGIApp, names: frozenset[str], public: str, *, guarded: bool) -> None:
        self._app = app
        self._names = names | {urlsplit(public).hostname or ""}
        self._guarded = guarded

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if (
            scope["type"] == "http"
            and scope["method"] != "OPTIONS"
            and self._is_asked(scope["path"])
        ):
            host = Headers(scope=scope).get("host", "")
            if host and not self._is_own(host):
                text = FOREIGN_HOST.format(host=capped(host, 200))
                refusal = answer(Request(scope), 403, text, "foreign_host")
                await refusal(scope, receive, send)
                return
        await self._app(scope, receive, send)

    def _is_asked(self, path: str) -> bool:
        if self._guarded:
            return path in PAGES
        return path not in OPEN_TO_ANY_NAME

    def _is_own(self, host: str) -> bool:
        try:
            name = (urlsplit(f"//{host}").hostname or "").removesuffix(".")
        except ValueError:
            return False
        return bool(name) and (name in self._names or _is_local(name) or _is_here(name))


_LOCAL_ENDS = (".local", ".internal", ".svc", ".home.arpa")
"""Reserved for local networks (RFC 6762, RFC 8375, ICANN's resolution of 2024); Kubernetes has
`.svc`, which no registry has."""


def _is_local(name: str) -> bool:
    return "." not in name or name.endswith(_LOCAL_ENDS)


VERSION_HEADER = "elastic-api-version"
KIBANA_PATHS = ("/api/upgrade_assistant/", "/api/reindex_service/")
_SPACE = re.compile(r"^/s/[a-z0-9_-]+(?=/api/)")


class KibanaHost:
    """Rewrites `{base}/s/{space}/api/…` to `/api/…`, so that every form reaches one route.

    The queue is not divided by spaces. `kbn-xsrf` is demanded of changing requests to Kibana's own
    routes, and only where `xsrf` says so; `elastic-api-version` is echoed.
    """

    def __init__(self, app: ASGIApp, base_path: str, *, xsrf: bool) -> None:
        self._app = app
        self._base = base_path.rstrip("/")
        self._xsrf = xsrf

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        path = self._plain(scope["path"])
        if path != scope["path"]:
            scope = {**scope, "path": path, "raw_path": path.encode()}
        asked = self._xsrf and scope["method"] not in SAFE and path.startswith(KIBANA_PATHS)
        if asked and "kbn-xsrf" not in headers:
            refusal = answer(Request(scope), 400, NO_XSRF, "no_xsrf")
            await refusal(scope, receive, send)
            return
        version = headers.get(VERSION_HEADER)

        async def echoing(message: Message) -> None:
            if version is not None and message["type"] == "http.response.start":
                MutableHeaders(scope=message)[VERSION_HEADER] = version
            await send(message)

        await self._app(scope, receive, echoing)

    def _plain(self, path: str) -> str:
        if self._base and (path == self._base or path.startswith(self._base + "/")):
            path = path[len(self._base) :] or "/"
        return _SPACE.sub("", path)


BROKEN = "[request body]: it is not what its content-encoding says, or it ends too early"
ENCODINGS = ("gzip", "x-gzip", "deflate")
UNKNOWN = "The body must be sent with content-encoding gzip or deflate, or as it is."


class BodyLimit:
    """Refuses with 413 by Content-Length, or while reading where a client does not tell. A packed
    body is unpacked; the limit counts its unpacked bytes.

    FastAPI's own limit answers a told length with plain text (0.165).
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        packed = Headers(scope=scope).get("content-encoding", "identity").strip().lower()
        if packed not in (*ENCODINGS, "identity", ""):
            refusal = answer(Request(scope), 415, UNKNOWN, "content_encoding")
            refusal.headers["accept-encoding"] = "gzip, deflate"
            await refusal(scope, receive, send)
            return
        if _told(scope) > MOST_BYTES:
            refusal = answer(Request(scope), 413, TOO_LARGE, "too_large")
            await refusal(scope, receive, send)
            return
        if packed in ENCODINGS:
            scope, body = _unpacked(scope), _Unpacking().more
        else:
            body = _as_it_is
        read = 0

        async def counted() -> Message:
            nonlocal read
            message = await receive()
            if message["type"] != "http.request":
                return message
            last = not message.get("more_body", False)
            content = body(message.get("body", b""), MOST_BYTES - read + 1, last)
            read += len(content)
            if read > MOST_BYTES:
                raise HTTPException(413)
            return {**message, "body": content}

        await self._app(scope, counted, send)


def _told(scope: Scope) -> int:
    length = Headers(scope=scope).get("content-length", "")
    return int(length) if length.isdigit() else 0


def _as_it_is(content: bytes, most: int, last: bool) -> bytes:  # noqa: ARG001 - called as the one that inflates
    return content


def _unpacked(scope: Scope) -> Scope:
    """The request as it would be with its body as it is."""
    gone = (b"content-encoding", b"content-length")
    return {**scope, "headers": [pair for pair in scope["headers"] if pair[0].lower() not in gone]}


class _Unpacking:
    """A body packed by gzip, in one member or several, or deflate."""

    def __init__(self) -> None:
        self._member = _member()
        self._begun = False

    def more(self, content: bytes, most: int, last: bool) -> bytes:
        """The next bytes, no more than `most`. Raises `HTTPException` where they cannot be."""
        pieces: list[bytes] = []
        try:
            while content and most > 0:
                self._begun = True
                pieces.append(self._member.decompress(content, most))
                most -= len(pieces[-1])
                content = self._member.unconsumed_tail
                if self._member.eof:
                    content, self._member, self._begun = self._member.unused_data, _member(), False
        except zlib.error:
            raise HTTPException(400, BROKEN) from None
        if last and self._begun and most > 0:
            raise HTTPException(400, BROKEN)
        return b"".join(pieces)


def _member() -> Any:
    """Of either kind: their heads tell them apart."""
    return zlib.decompressobj(zlib.MAX_WBITS | 32)
