"""What the client library is given to speak to one host: logins and TLS, the HTTP of a node,
the JSON of its answers."""

from __future__ import annotations

import base64
import json
import ssl
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, NotRequired, TypedDict

import aiohttp
import msgspec
import orjson
from aiohttp import ClientHandlerType, ClientRequest, ClientResponse
from aiohttp.http import HttpProcessingError
from elastic_transport import (
    AiohttpHttpNode,
    ApiResponseMeta,
    ConnectionError,
    ConnectionTimeout,
    HttpHeaders,
    JsonSerializer,
    TlsError,
    TransportApiResponse,
    TransportError,
)
from elastic_transport.client_utils import DefaultType

from app.domain.files import load_authorities, load_pair, stamp
from app.domain.formatting import capped
from app.telemetry import RequestOutcome, logger

log = logger(__name__)

Trust = ssl.SSLContext | aiohttp.Fingerprint


def _no_headers() -> Mapping[str, str]:
    return {}


@dataclass(frozen=True)
class Credentials:
    """How to log in; empty for a cluster without security. Never shown in `repr`.

    `headers`: what every request carries besides, for a proxy.
    """

    username: str | None = None
    password: str | None = field(default=None, repr=False)
    api_key: str | None = field(default=None, repr=False)
    service_token: str | None = field(default=None, repr=False)
    headers: Mapping[str, str] = field(default_factory=_no_headers, repr=False)

    @property
    def authorization(self) -> str | None:
        """Elasticsearch reads name and password as UTF-8 (7.17, 8.19, 9.4)."""
        if self.service_token:
            return f"Bearer {self.service_token}"
        if self.api_key:
            return f"ApiKey {self.api_key}"
        if not self.username:
            return None
        pair = f"{self.username}:{self.password or ''}".encode()
        return f"Basic {base64.b64encode(pair).decode()}"


class Login:
    """The headers of every request, with the credentials of the moment."""

    def __init__(self, credentials: Credentials | Callable[[], Credentials]) -> None:
        self._credentials = credentials

    def headers(self) -> dict[str, str]:
        given = self._credentials
        now = given() if callable(given) else given
        found = dict(now.headers)
        if authorization := now.authorization:
            found["authorization"] = authorization
        return found


def _none() -> None:
    return None


@dataclass(frozen=True)
class Tls:
    """`verification` as Kibana has it: `full`, `certificate` (any host name), `none`.

    `authorities`, `certificate` and `key` are PEM files; `passphrase` opens the key; `fingerprint`
    is the SHA-256 of the server's certificate in hexadecimal, and then is all that counts.
    """

    verification: str = "full"
    authorities: Path | None = None
    certificate: Path | None = None
    key: Path | None = None
    fingerprint: str | None = None
    passphrase: Callable[[], str | None] = _none

    @property
    def of_nobody(self) -> Tls:
        """The same without our own certificate, by which Elasticsearch may know who we are."""
        return replace(self, certificate=None, key=None, passphrase=_none)

    @property
    def files(self) -> tuple[Any, ...]:
        """What is another one when a file has changed."""
        return tuple(stamp(file) for file in (self.authorities, self.certificate, self.key))

    def trust(self) -> Trust:
        """Raises `ValueError` where a file is not what it should be."""
        if self.fingerprint:
            return aiohttp.Fingerprint(bytes.fromhex(self.fingerprint.replace(":", "")))
        if self.authorities:
            unused = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            load_authorities(unused, "ELASTICSEARCH_SSL_CERTIFICATEAUTHORITIES", self.authorities)
        context = ssl.create_default_context(cafile=self.authorities)
        context.check_hostname = self.verification == "full"
        if self.verification == "none":
            context.verify_mode = ssl.CERT_NONE
        if self.certificate and self.key:
            load_pair(context, "ELASTICSEARCH_SSL", self.certificate, self.key, self.passphrase())
        return context


class CurrentTrust:
    """What a new connection is made with; made anew where a file has changed. While one is not what
    it should be, perhaps because it is being replaced, it stays as it was."""

    def __init__(self, tls: Tls) -> None:
        self._tls = tls
        self._files, self._trust = tls.files, tls.trust()

    def __call__(self) -> Trust:
        files = self._tls.files
        if files != self._files:
            self._files = files
            try:
                self._trust = self._tls.trust()
            except ValueError as error:
                log.warning("certificate_not_read", why=str(error))
        return self._trust


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


class Node(AiohttpHttpNode):
    """The client's node, made of an aiohttp session of our own.

    A redirect comes back as an answer of 3xx: aiohttp would follow 307 and 308 even for DELETE,
    which would let a proxy send a change to another cluster. Deprecation notes in an answer are
    left out: the client makes Python warnings of them, and a process in which warnings are errors
    would take an applied change for a crash.

    `login`: the headers of the moment that every request carries; `trust`: what a connection is
    secured with at the moment; `count`: is called with method, outcome and seconds of each request
    that has ended. They are set once the client has made its node.
    """

    login: Callable[[], Mapping[str, str]] = staticmethod(dict[str, str])
    count: Callable[[str, RequestOutcome, float], None] = staticmethod(lambda *_: None)
    trust: Callable[[], Trust | bool] = staticmethod(lambda: True)

    async def perform_request(
        self,
        method: str,
        target: str,
        body: bytes | None = None,
        headers: HttpHeaders | None = None,
        request_timeout: DefaultType | float | None = None,
    ) -> Any:
        """Answers with what the client reads of a node's answer, `meta` and `body` (bytes); the
        class that the client has for it is not public. A request whose login was refused goes a
        second time where the login is another one by now.

        Raises `TooLarge`, `Foreign`, `NotSent`, `ConnectionTimeout` and `ConnectionError`.
        """
        default = isinstance(request_timeout, DefaultType)
        seconds = self.config.request_timeout if default else request_timeout
        login = self.login()
        answer = await self._counted(method, target, body, self._with(login, headers), seconds)
        if answer.meta.status == 401 and (renewed := self.login()) != login:
            sent = self._with(renewed, headers)
            answer = await self._counted(method, target, body, sent, seconds)
        return answer

    async def _counted(
        self,
        method: str,
        target: str,
        body: bytes | None,
        headers: HttpHeaders,
        seconds: float | None,
    ) -> TransportApiResponse:
        """As `_ask`, and counted, also where nobody waits for it any more."""
        outcome, started = RequestOutcome.GIVEN_UP, time.monotonic()
        try:
            answer = await self._ask(method, target, body, headers, seconds)
            outcome = RequestOutcome.of_status(answer.meta.status)
            return answer
        except TransportError as error:
            outcome = _outcome_of(error)
            raise
        finally:
            self.count(method, outcome, time.monotonic() - started)

    def _with(self, login: Mapping[str, str], headers: HttpHeaders | None) -> HttpHeaders:
        """All headers of a request; those of a login must not replace what the request has."""
        sent = self.headers.copy()
        sent.update(login)
        sent.update(headers or {})
        return sent

    async def _ask(
        self,
        method: str,
        target: str,
        body: bytes | None,
        headers: HttpHeaders,
        seconds: float | None,
    ) -> TransportApiResponse:
        started = time.monotonic()
        try:
            async with self._opened().request(
                method,
                self.base_url + target,
                data=body or None,
                headers=headers,
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
        return TransportApiResponse(meta, content)

    def _opened(self) -> aiohttp.ClientSession:
        """It belongs to the event loop of the first request. Whoever asks bounds how many requests
        there are at once: a wait for a free connection must not look like a host that is silent."""
        if self.session is None:
            self.session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=0),
                cookie_jar=aiohttp.DummyCookieJar(),
                skip_auto_headers=_WITHOUT,
                middlewares=(_once,),
            )
        return self.session


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


def _outcome_of(error: TransportError) -> RequestOutcome:
    """Of a request without an answer of Elasticsearch's."""
    kinds = {
        Foreign: RequestOutcome.FOREIGN,
        TooLarge: RequestOutcome.TOO_LARGE,
        NotSent: RequestOutcome.NO_CONNECTION,
        ConnectionTimeout: RequestOutcome.TIMEOUT,
    }
    found = (outcome for kind, outcome in kinds.items() if isinstance(error, kind))
    return next(found, RequestOutcome.CUT)


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


class Serializer(JsonSerializer):
    """Reads with orjson, which takes a third of the time.

    What only the standard library understands, such as half a surrogate pair, which Elasticsearch
    stores and gives back as it came, is left to it.
    """

    def json_loads(self, data: bytes) -> Any:
        try:
            return orjson.loads(data)
        except orjson.JSONDecodeError:
            return _slowly(data)


class _Hit(TypedDict):
    _id: str
    _routing: NotRequired[str]
    _version: NotRequired[Any]
    _source: NotRequired[msgspec.Raw]


class _Hits(TypedDict):
    total: Any
    hits: list[_Hit]


class _Page(TypedDict):
    timed_out: Any
    _shards: Any
    hits: _Hits


_page = msgspec.json.Decoder(_Page)


class Unparsed(dict[str, Any]):
    """An answer that is not JSON as a whole: `data` are its bytes. Empty as an object."""

    def __init__(self, data: bytes) -> None:
        super().__init__()
        self.data = data


class PageSerializer(JsonSerializer):
    """Reads an answer to a search and leaves each `_source` as its bytes (`msgspec.Raw`).

    That is exact where numbers are longer than 64 bits, and cheap. An answer of another form is
    read whole; one that is no JSON, since it has the `_source` of documents in it, comes as
    `Unparsed`.
    """

    def json_loads(self, data: bytes) -> Any:
        try:
            return _page.decode(data)
        except msgspec.ValidationError:
            return _slowly(data)
        except (msgspec.DecodeError, RecursionError):
            return Unparsed(data)


def _slowly(data: bytes) -> Any:
    try:
        return json.loads(data)
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error
