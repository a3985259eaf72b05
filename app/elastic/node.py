"""The connection to one Elasticsearch node: no redirects, no silent repeats."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any, cast

import aiohttp
from elastic_transport import AiohttpHttpNode, HttpHeaders
from elastic_transport._node import NodeApiResponse


class _Session:
    """An aiohttp session whose requests are sent once, to the address they were meant for.

    aiohttp follows 307 and 308 even for DELETE, which would let a proxy send a change to another
    cluster, and it repeats PUT and DELETE when a kept connection turns out to be closed.
    """

    def __init__(self, session: aiohttp.ClientSession) -> None:
        self._session = session
        self._session._retry_connection = False  # pyright: ignore[reportPrivateUsage]

    def request(self, method: str, url: str, **options: Any) -> Any:
        return self._session.request(method, url, allow_redirects=False, **options)

    async def close(self) -> None:
        await self._session.close()


class Node(AiohttpHttpNode):
    """The client's aiohttp node with redirects refused: they come back as an answer of 3xx.

    Deprecation notes in an answer are left out: the client makes Python warnings of them, and a
    process in which warnings are errors would take an applied change for a crash.
    """

    async def perform_request(self, *args: Any, **options: Any) -> NodeApiResponse:
        meta, body = await super().perform_request(*args, **options)
        headers = HttpHeaders({k: v for k, v in meta.headers.items() if k.lower() != "warning"})
        return NodeApiResponse(replace(meta, headers=headers), body)

    def _create_aiohttp_session(self) -> None:
        self._loop = asyncio.get_running_loop()
        super()._create_aiohttp_session()
        self.session = cast(Any, _Session(cast(aiohttp.ClientSession, self.session)))
