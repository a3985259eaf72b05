"""Server-Sent Events: the answer that goes on for as long as its reader and its login do."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from app.domain.clock import boot_seconds
from app.sites.event_streams import EventStream
from app.telemetry import logger

log = logger(__name__)

MEDIA_TYPE = "text/event-stream"
RETRY_MILLISECONDS = 2_000
"""So long a browser waits before it comes back."""


def wants_stream(accept: str) -> bool:
    """True where a header `Accept` names Server-Sent Events."""
    kinds = [part.partition(";")[0].strip().lower() for part in accept.split(",")]
    return MEDIA_TYPE in kinds


class EventStreamResponse(Response):
    """Ends where the reader goes away, takes nothing for too long, or may not stay (`may_stay`,
    which is asked at each heartbeat), and where the service is stopped."""

    media_type = MEDIA_TYPE

    def __init__(self, stream: EventStream, may_stay: Callable[[], Awaitable[bool]]) -> None:
        super().__init__(headers={"cache-control": "no-store", "x-accel-buffering": "no"})
        del self.headers["content-length"]
        self._stream = stream
        self._may_stay = may_stay

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        del scope
        telling = asyncio.ensure_future(self._tell(send))
        gone = asyncio.ensure_future(_disconnected(receive))
        try:
            await asyncio.wait((telling, gone), return_when=asyncio.FIRST_COMPLETED)
        finally:
            self._stream.close()
            gone.cancel()
            if not telling.done():
                telling.cancel()
            met = await asyncio.gather(telling, gone, return_exceptions=True)
        for error in met:
            if isinstance(error, Exception):
                raise error

    async def _tell(self, send: Send) -> None:
        start = {"type": "http.response.start", "status": 200, "headers": self.raw_headers}
        await send(start)
        try:
            await self._tell_events(send)
        except TimeoutError:
            log.info("event_stream_cut", cursor=self._stream.cursor)
        # A reader that was cut keeps nothing but this: uvicorn waits until it has taken the rest.
        self._stream.close()
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _tell_events(self, send: Send) -> None:
        """Raises `TimeoutError` where the reader takes nothing for too long."""
        stream = self._stream
        await self._say(send, f"retry: {RETRY_MILLISECONDS}\nid: {stream.cursor}\n\n")
        beat = boot_seconds() + stream.limits.heartbeat_seconds
        while not stream.over:
            events = await stream.more(beat - boot_seconds())
            if events:
                await self._say(send, "".join(f"id: {at}\ndata: {it}\n\n" for at, it in events))
            if boot_seconds() >= beat:
                if not await self._may_stay():
                    return
                # With a cursor: one that filters much need not be looked through once more.
                await self._say(send, f": heartbeat\nid: {stream.cursor}\n\n")
                beat = boot_seconds() + stream.limits.heartbeat_seconds

    async def _say(self, send: Send, text: str) -> None:
        async with asyncio.timeout(self._stream.limits.slow_seconds):
            await send({"type": "http.response.body", "body": text.encode(), "more_body": True})


async def _disconnected(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
