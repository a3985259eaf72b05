"""No request may fill the memory: a body that is too large is refused before it is read."""

from __future__ import annotations

from fastapi import Request
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.api.errors import MOST_BYTES, TOO_LARGE, answer


class BodyLimit:
    """Refuses with 413 by Content-Length, or while reading where a client does not tell.

    FastAPI's own limit answers a told length with plain text (0.165).
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        if _told(scope) > MOST_BYTES:
            refusal = answer(Request(scope), 413, TOO_LARGE, "too_large")
            await refusal(scope, receive, send)
            return
        read = 0

        async def counted() -> Message:
            nonlocal read
            message = await receive()
            read += len(message.get("body", b""))
            if read > MOST_BYTES:
                raise HTTPException(413)
            return message

        await self._app(scope, counted, send)


def _told(scope: Scope) -> int:
    length = Headers(scope=scope).get("content-length", "")
    return int(length) if length.isdigit() else 0
