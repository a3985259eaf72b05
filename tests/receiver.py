"""A receiver of webhooks on loopback, over real TLS: it keeps what it is sent, and answers as a
test says."""

from __future__ import annotations

import asyncio
import json
import ssl
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import trustme

from tests.conditions import eventually

PATH = "/hooks/s3cret-path-of-a-webhook"
SILENT = b""
OK = b"HTTP/1.1 204 No Content\r\n\r\n"
BROKEN = b"HTTP/1.1 503 Service Unavailable\r\ncontent-length: 0\r\n\r\n"


@dataclass(frozen=True)
class Received:
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> dict[str, Any]:
        return json.loads(self.body)


@dataclass
class Receiver:
    """`answer`: what every request is answered with; `SILENT`: nothing. `endless`: the answer is
    followed by bytes without an end. `taken`: bytes of it that were sent."""

    port: int
    authorities: Path
    answer: bytes = OK
    endless: bool = False
    taken: int = 0
    connections: int = 0
    received: list[Received] = field(default_factory=list[Received])

    def url(self, host: str = "localhost") -> str:
        return f"https://{host}:{self.port}{PATH}"

    @property
    def numbers(self) -> list[int]:
        return [one.json["number"] for one in self.received]

    async def has(self, count: int, seconds: float = 30) -> None:
        """Waits until so many deliveries have come."""

        async def there() -> bool:
            return len(self.received) >= count

        def what() -> str:
            return f"{count} deliveries; there are {len(self.received)}"

        await eventually(there, what, seconds)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
            lines = [line.split(": ", 1) for line in head.split("\r\n")[1:] if line]
            headers = {name.lower(): value for name, value in lines}
            body = await reader.readexactly(int(headers["content-length"]))
            self.received.append(Received(headers, body))
            if self.answer == SILENT:
                await reader.read()
            writer.write(self.answer)
            await writer.drain()
            while self.endless:
                writer.write(b"x" * 8_192)
                await writer.drain()
                self.taken += 8_192
        except (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()


@asynccontextmanager
async def receiving(folder: Path, *names: str, port: int = 0) -> AsyncGenerator[Receiver]:
    """A receiver with a certificate for these names (none: `localhost` and `127.0.0.1`)."""
    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    issued = authority.issue_cert(*(names or ("localhost", "127.0.0.1", "hooks.example")))
    issued.configure_cert(context)  # pyright: ignore[reportUnknownMemberType]
    authorities = folder / "webhook-authorities.pem"
    authority.cert_pem.write_to_path(str(authorities))
    receiver = Receiver(port, authorities)
    tasks: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task
        tasks.add(task)
        try:
            await receiver.serve(reader, writer)
        finally:
            tasks.discard(task)

    server = await asyncio.start_server(serve, "127.0.0.1", port, ssl=context)
    receiver.port = server.sockets[0].getsockname()[1]
    try:
        yield receiver
    finally:
        server.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
