"""A stop in the middle of a request, such as one that was sent by half, is no crash."""

from __future__ import annotations

import asyncio

from fastapi import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.api.errors import answer

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
