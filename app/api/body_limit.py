"""No request may fill the memory: a body that is too large is refused before it is read."""

from __future__ import annotations

import zlib
from typing import Any

from fastapi import Request
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.api.errors import MOST_BYTES, TOO_LARGE, answer

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
