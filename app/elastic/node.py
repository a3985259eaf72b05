"""The connection to one Elasticsearch node: no redirects, no silent repeats, bounded answers."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import ClassVar

import aiohttp
from aiohttp import ClientHandlerType, ClientRequest, ClientResponse
from aiohttp.http import HttpProcessingError
from elastic_transport import (
    ApiResponseMeta,
    BaseAsyncNode,
    ConnectionError,
    ConnectionTimeout,
    HttpHeaders,
    TlsError,
    TransportError,
)
from elastic_transport._node import NodeApiResponse
from elastic_transport.client_utils import DefaultType

from app.domain.texts import capped
from app.elastic.tls import Trust

MOST_BYTES = 128 * 2**20
"""Of an answer. The largest that is rightly asked for is a page of a single document, which
Elasticsearch takes up to 100 MB."""

CONNECT_SECONDS = 5.0
"""For finding the address, connecting to it, and the TLS handshake together. Where a host has
several addresses, all are tried within that time, each a quarter of a second after the other."""

PRODUCT = "x-elastic-product"
_WITHOUT = ("accept", "accept-encoding", "user-agent")
"""Headers that aiohttp would add by itself."""


class TooLarge(TransportError):
    """An answer that was not read to its end; the client does not ask again."""


class Unanswered(ConnectionError):
    """The connection was closed in the place of an answer."""


class Foreign(TransportError):
    """A success that Elasticsearch has not told: it lacks the product header, which Elasticsearch
    sends with every answer (7.14 and newer)."""

    def __init__(self, meta: ApiResponseMeta, content: bytes) -> None:
        super().__init__("the header X-Elastic-Product is missing")
        self.meta = meta
        self.content = content


class NotSent(ConnectionError):
    """No connection came about, so nothing of the request has left: it may go to another host."""


class NotSecured(NotSent, TlsError):
    """The TLS handshake failed."""


class _Cut(aiohttp.ClientError):
    """The connection ended with the request on its way. aiohttp does not know this error, and so
    does not repeat a PUT or DELETE when a kept connection turns out to be closed."""


async def _once(request: ClientRequest, send: ClientHandlerType) -> ClientResponse:
    try:
        return await send(request)
    except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError):
        raise
    except (aiohttp.ClientOSError, aiohttp.ServerDisconnectedError) as error:
        raise _Cut(str(error)) from error


class Node(BaseAsyncNode):
    """The client's node, made of an aiohttp session.

    A redirect comes back as an answer of 3xx: aiohttp would follow 307 and 308 even for DELETE,
    which would let a proxy send a change to another cluster. Deprecation notes in an answer are
    left out: the client makes Python warnings of them, and a process in which warnings are errors
    would take an applied change for a crash.

    `trust`: what a connection is secured with now, to be set where the address begins with https.
    """

    _CLIENT_META_HTTP_CLIENT: ClassVar[tuple[str, str]] = ("ai", aiohttp.__version__)
    _session: aiohttp.ClientSession | None = None
    trust: Callable[[], Trust | bool] = staticmethod(lambda: True)

    async def perform_request(
        self,
        method: str,
        target: str,
        body: bytes | None = None,
        headers: HttpHeaders | None = None,
        request_timeout: DefaultType | float | None = None,
    ) -> NodeApiResponse:
        """Raises `TooLarge`, `Foreign`, `NotSent`, `ConnectionTimeout` and `ConnectionError`."""
        sent = self.headers.copy()
        sent.update(headers or {})
        default = isinstance(request_timeout, DefaultType)
        seconds = self.config.request_timeout if default else request_timeout
        started = time.monotonic()
        try:
            async with self._opened().request(
                method,
                self.base_url + target,
                data=body or None,
                headers=sent,
                timeout=aiohttp.ClientTimeout(total=seconds, connect=CONNECT_SECONDS),
                ssl=self.trust(),
                allow_redirects=False,
            ) as answer:
                content = await _read(answer, f"{method} {capped(target.partition('?')[0], 200)}")
        except (aiohttp.ClientError, HttpProcessingError, OSError) as error:
            raise _told(error, seconds) from None
        received = {k: v for k, v in answer.headers.items() if k.lower() != "warning"}
        duration = time.monotonic() - started
        meta = ApiResponseMeta(answer.status, "1.1", HttpHeaders(received), duration, self.config)
        if answer.status < 300 and answer.headers.get(PRODUCT) != "Elasticsearch":
            raise Foreign(meta, content)
        return NodeApiResponse(meta, content)

    async def close(self) -> None:
        if self._session:
            await self._session.close()
            self._session = None

    def _opened(self) -> aiohttp.ClientSession:
        """It belongs to the event loop of the first request. Whoever asks bounds how many requests
        there are at once: a wait for a free connection must not look like a host that is silent."""
        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=0),
                cookie_jar=aiohttp.DummyCookieJar(),
                skip_auto_headers=_WITHOUT,
                middlewares=(_once,),
            )
        return self._session


async def _read(answer: ClientResponse, asked: str) -> bytes:
    """Raises `TooLarge`."""
    pieces: list[bytes] = []
    size = answer.content_length or 0
    if size <= MOST_BYTES:
        size = 0
        async for piece in answer.content.iter_any():
            pieces.append(piece)
            size += len(piece)
            if size > MOST_BYTES:
                break
    if size > MOST_BYTES:
        answer.close()
        raise TooLarge(
            f"The answer to {asked} is larger than {MOST_BYTES // 2**20} MiB, so it was not read "
            "to its end."
        )
    return b"".join(pieces)


def _told(error: Exception, seconds: float | None) -> TransportError:
    """aiohttp's error in the client's words."""
    if isinstance(error, aiohttp.ConnectionTimeoutError):
        return NotSent(f"no connection within {CONNECT_SECONDS:g} s")
    if isinstance(error, aiohttp.ServerFingerprintMismatch):
        return NotSecured("its certificate has not the fingerprint that was set")
    if isinstance(error, aiohttp.ClientSSLError):
        return NotSecured(str(error))
    if isinstance(error, aiohttp.ClientConnectorError):
        return NotSent(str(error))
    if isinstance(error, TimeoutError):
        return ConnectionTimeout(f"no answer within {seconds or 0:g} s")
    kind = ConnectionError
    if isinstance(error.__cause__, aiohttp.ServerDisconnectedError):
        kind = Unanswered
    return kind(str(error) or type(error).__name__)
