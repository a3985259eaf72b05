"""TLS on loopback in front of a server: what comes over it is passed on in clear."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from urllib.parse import urlsplit

_CHUNK = 65_536


class TlsFront:
    """`async with TlsFront(url, context) as front:`; `front.url` is its https address."""

    def __init__(self, url: str, context: ssl.SSLContext, host: str = "127.0.0.1") -> None:
        self._target = urlsplit(url)
        self._context = context
        self._host = host
        self._server: asyncio.Server | None = None
        self._open: set[asyncio.Task[None]] = set()

    @property
    def url(self) -> str:
        assert self._server is not None
        return f"https://{self._host}:{self._server.sockets[0].getsockname()[1]}"

    async def __aenter__(self) -> TlsFront:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0, ssl=self._context)
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        self._server.close()
        for task in self._open:
            task.cancel()
        await asyncio.gather(*self._open, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._open.add(task)
        try:
            host, port = self._target.hostname, self._target.port
            server_reader, server_writer = await asyncio.open_connection(host, port)
            await asyncio.gather(_pass(reader, server_writer), _pass(server_reader, writer))
        except OSError:
            writer.close()
        finally:
            self._open.discard(task)


async def _pass(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while data := await reader.read(_CHUNK):
            writer.write(data)
            await writer.drain()
    writer.close()
