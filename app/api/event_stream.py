"""Server-Sent Events: the answer that goes on for as long as its reader and its login do."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable, Sequence

from starlette.responses import Response
from starlette.types import Message, Receive, Scope, Send

from app.domain.clock import boot_seconds
from app.sites.event_streams import EventStream
from app.telemetry import logger

log = logger(__name__)

MEDIA_TYPE = "text/event-stream"
RETRY_MILLISECONDS = 2_000
"""So long a browser waits before it comes back."""
TRANSPORT = "reindex_queue.transport"
"""Among a request's `extensions`: the transport of its connection. A server closes a connection in
good order, and so waits for a reader that takes nothing for as long as that lives."""
END_SECONDS = 0.5
"""So long has a reader of a stream that is over, to take the end of it."""
LOOK_SECONDS = 0.02

_REFUSED = re.compile(r"q=0(\.0*)?")


def wants_stream(accepts: Sequence[str]) -> bool:
    """True where one of the headers `Accept` names Server-Sent Events, and not as refused."""
    for part in ",".join(accepts).lower().split(","):
        kind, *rest = (piece.strip() for piece in part.split(";"))
        if kind == MEDIA_TYPE and not any(_REFUSED.fullmatch(one) for one in rest):
            return True
    return False


class EventStreamResponse(Response):
    """Ends where the reader goes away, takes nothing for too long, or may not stay (`may_stay`,
    which is asked at each heartbeat), and where the service is stopped. A reader that does not
    take the end of it is cut off."""

    media_type = MEDIA_TYPE

    def __init__(self, stream: EventStream, may_stay: Callable[[], Awaitable[bool]]) -> None:
        super().__init__(
            headers={"cache-control": "no-store", "vary": "accept", "x-accel-buffering": "no"}
        )
        del self.headers["content-length"]
        self._stream = stream
        self._may_stay = may_stay

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        telling = asyncio.ensure_future(self._tell(send))
        gone = asyncio.ensure_future(_disconnected(receive))
        over = asyncio.ensure_future(self._stream.ended())
        one = asyncio.FIRST_COMPLETED
        try:
            await asyncio.wait((telling, gone, over), return_when=one)
            await asyncio.wait((telling, gone), timeout=END_SECONDS, return_when=one)
            transport: asyncio.Transport | None = scope.get("extensions", {}).get(TRANSPORT)
            if _has_told(telling):
                taken = transport is None or await _takes_the_rest(transport)
            else:
                taken = gone.done()
            if not taken:
                await self._cut(transport, gone)
        finally:
            self._stream.close()
            for task in (telling, gone, over):
                task.cancel()
            met = await asyncio.gather(telling, gone, over, return_exceptions=True)
        for error in met:
            if isinstance(error, Exception) and not isinstance(error, TimeoutError):
                raise error

    async def _cut(self, transport: asyncio.Transport | None, gone: asyncio.Future[None]) -> None:
        """Gives a reader up that takes nothing: it comes back with its last id."""
        log.info("event_stream_cut", cursor=self._stream.cursor)
        self._stream.close()
        if transport is not None:
            transport.abort()
            # The server knows it a moment later; an answer without an end would be an error to it.
            await asyncio.wait((gone,), timeout=END_SECONDS)

    async def _tell(self, send: Send) -> None:
        """Raises `TimeoutError` where the reader takes nothing for too long."""
        await self._say(
            send, {"type": "http.response.start", "status": 200, "headers": self.raw_headers}
        )
        await self._tell_events(send)
        self._stream.close()
        await self._say(send, {"type": "http.response.body", "body": b"", "more_body": False})

    async def _tell_events(self, send: Send) -> None:
        stream = self._stream
        await self._write(send, f"retry: {RETRY_MILLISECONDS}\nid: {stream.cursor}\n\n")
        beat = boot_seconds() + stream.limits.heartbeat_seconds
        while not stream.over:
            events = await stream.more(beat - boot_seconds())
            if events and not stream.over:
                await self._write(send, "".join(f"id: {at}\ndata: {it}\n\n" for at, it in events))
            if boot_seconds() >= beat and not stream.over:
                if not await self._may_stay():
                    return
                # With a cursor: one that filters much need not be looked through once more.
                await self._write(send, f": heartbeat\nid: {stream.cursor}\n\n")
                beat = boot_seconds() + stream.limits.heartbeat_seconds

    async def _write(self, send: Send, text: str) -> None:
        await self._say(
            send, {"type": "http.response.body", "body": text.encode(), "more_body": True}
        )

    async def _say(self, send: Send, message: Message) -> None:
        async with asyncio.timeout(self._stream.limits.slow_seconds):
            await send(message)


def _has_told(telling: asyncio.Future[None]) -> bool:
    """False where the reader has not taken all of it."""
    if not telling.done():
        return False
    return not isinstance(telling.exception(), TimeoutError)


async def _takes_the_rest(transport: asyncio.Transport) -> bool:
    """True where all that was written is sent in time, or nobody is there any more."""
    end = boot_seconds() + END_SECONDS
    while transport.get_write_buffer_size():
        if boot_seconds() >= end:
            return False
        await asyncio.sleep(LOOK_SECONDS)
    return True


async def _disconnected(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
