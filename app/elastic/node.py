"""The connection to one Elasticsearch node: no redirects, no silent repeats, bounded answers."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from types import TracebackType
from typing import Any, cast
from urllib.parse import urlsplit

import aiohttp
from elastic_transport import AiohttpHttpNode, ConnectionError, HttpHeaders, TransportError
from elastic_transport._node import NodeApiResponse

from app.domain.texts import capped

MOST_BYTES = 128 * 2**20
"""Of an answer. The largest that is rightly asked for is a page of a single document, which
Elasticsearch takes up to 100 MB."""


class TooLarge(TransportError):
    """An answer that was not read to its end; the client does not ask again."""


class _Answer:
    """What the client's node needs of an answer, of which no more than `MOST_BYTES` are read.

    In the place of aiohttp's own context manager of a request, which would take all that comes.
    """

    def __init__(self, method: str, url: str, request: Any) -> None:
        self._asked = f"{method} {capped(urlsplit(url).path, 200)}"
        self._request = request

    async def __aenter__(self) -> _Answer:
        self._answer: aiohttp.ClientResponse = await self._request.__aenter__()
        self.status, self.headers = self._answer.status, self._answer.headers
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._request.__aexit__(kind, error, trace)

    async def read(self) -> bytes:
        """Raises `TooLarge`."""
        pieces: list[bytes] = []
        size = 0
        if (self._answer.content_length or 0) > MOST_BYTES:
            raise self._too_large()
        async for piece in self._answer.content.iter_any():
            pieces.append(piece)
            size += len(piece)
            if size > MOST_BYTES:
                raise self._too_large()
        return b"".join(pieces)

    def _too_large(self) -> TooLarge:
        self._answer.close()
        most = MOST_BYTES // 2**20
        return TooLarge(
            f"The answer to {self._asked} is larger than {most} MiB, so it was not read to its end."
        )

    async def release(self) -> None:
        self._answer.release()


class _Session:
    """An aiohttp session whose requests are sent once, to the address they were meant for.

    aiohttp follows 307 and 308 even for DELETE, which would let a proxy send a change to another
    cluster, and it repeats PUT and DELETE when a kept connection turns out to be closed.
    """

    def __init__(self, session: aiohttp.ClientSession) -> None:
        self._session = session
        self._session._retry_connection = False  # pyright: ignore[reportPrivateUsage]

    def request(self, method: str, url: str, **options: Any) -> Any:
        request = self._session.request(method, url, allow_redirects=False, **options)
        return _Answer(method, url, request)

    async def close(self) -> None:
        await self._session.close()


class Node(AiohttpHttpNode):
    """The client's aiohttp node with redirects refused: they come back as an answer of 3xx.

    Deprecation notes in an answer are left out: the client makes Python warnings of them, and a
    process in which warnings are errors would take an applied change for a crash.
    """

    async def perform_request(self, *args: Any, **options: Any) -> NodeApiResponse:
        try:
            meta, body = await super().perform_request(*args, **options)
        except ConnectionError as error:
            if error.errors and isinstance(error.errors[0], TooLarge):
                raise error.errors[0] from None
            raise
        headers = HttpHeaders({k: v for k, v in meta.headers.items() if k.lower() != "warning"})
        return NodeApiResponse(replace(meta, headers=headers), body)

    def _create_aiohttp_session(self) -> None:
        self._loop = asyncio.get_running_loop()
        super()._create_aiohttp_session()
        self.session = cast(Any, _Session(cast(aiohttp.ClientSession, self.session)))
