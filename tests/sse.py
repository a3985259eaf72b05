"""A reader of `/api/v1/events` as a stream: it comes back with its last id, as browsers do."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

import httpx

from tests.conditions import eventually

STREAM = {"accept": "text/event-stream"}
PATH = "/api/v1/events"


@dataclass
class Reader:
    """`events` are those that it was sent, `beats` its heartbeats, `times` how often it came."""

    url: str
    query: Mapping[str, Any] = field(default_factory=dict[str, Any])
    last_id: str | None = None
    events: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])
    beats: int = 0
    times: int = 0

    @property
    def numbers(self) -> list[int]:
        return [event["number"] for event in self.events]

    async def has(self, number: int, seconds: float = 60) -> None:
        """Waits until the event with that number, or a later one, was sent."""

        async def come() -> bool:
            return bool(self.events) and self.events[-1]["number"] >= number

        await eventually(come, lambda: f"{number} comes after {self.numbers[-3:]}", seconds)

    async def begun(self) -> None:
        """Waits until the stream has said where it begins."""

        async def told() -> bool:
            return self.last_id is not None

        await eventually(told, "the stream begins")

    async def once(self) -> None:
        """Reads one stream to its end. Raises `httpx.TransportError` where it is cut."""
        headers = STREAM | ({"last-event-id": self.last_id} if self.last_id else {})
        async with (
            httpx.AsyncClient(base_url=self.url, timeout=60, trust_env=False) as client,
            client.stream("GET", PATH, params=self.query, headers=headers) as answer,
        ):
            if answer.status_code == 503:  # it is just being started or stopped
                return
            assert answer.status_code == 200, await answer.aread()
            assert answer.headers["content-type"].startswith("text/event-stream")
            self.times += 1
            async for line in lines_of(answer.aiter_bytes()):
                self._take(line)

    async def for_ever(self) -> None:
        while True:
            with suppress(httpx.TransportError):
                await self.once()
            await asyncio.sleep(0.1)

    def _take(self, line: str) -> None:
        name, _, value = line.partition(": ")
        if name == "id":
            self.last_id = value
        elif name == "data":
            self.events.append(json.loads(value))
        elif line == ": heartbeat":
            self.beats += 1


async def lines_of(pieces: AsyncIterator[bytes]) -> AsyncGenerator[str]:
    """Divided by line feeds alone. What was cut in the middle of a message is no line."""
    rest = b""
    async for piece in pieces:
        *lines, rest = (rest + piece).split(b"\n")
        for line in lines:
            yield line.decode()


@asynccontextmanager
async def reading(reader: Reader) -> AsyncGenerator[Reader]:
    """The reader at work, over every cut."""
    task = asyncio.ensure_future(reader.for_ever())
    try:
        await reader.begun()
        yield reader
        assert not task.done(), task.result()
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
