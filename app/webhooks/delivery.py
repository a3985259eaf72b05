"""One delivery: to an address that was judged just before, and to no other."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from aiohttp import (
    ClientConnectorCertificateError,
    ClientConnectorError,
    ClientError,
    ClientResponse,
    ClientSession,
    ClientSSLError,
    ClientTimeout,
    DummyCookieJar,
    TCPConnector,
)
from aiohttp.abc import AbstractResolver, ResolveResult
from yarl import URL

from app.domain.addresses import AllowList, Endpoint, IPAddress
from app.domain.errors import AddressNotAllowed, HostUnknown, InvalidAddress
from app.lookups import Lookups
from app.telemetry import logger

log = logger(__name__)

DELIVERY_SECONDS = 5.0
"""For all of a delivery: the name, the connection, TLS, the answer."""
MOST_READ = 65_536
"""Bytes of an answer; what follows is not read. None of it is looked at."""
AGENT = "reindex-queue-webhook"


@dataclass(frozen=True)
class Outcome:
    """`fault`: why it was not taken, a sentence without a secret; None: it was. `status`: of the
    answer, None where there was none."""

    status: int | None
    fault: str | None


class _Pinned(AbstractResolver):
    """Leads to the addresses that were judged, whatever a name leads to by now."""

    def __init__(self, addresses: Sequence[IPAddress]) -> None:
        self._addresses = addresses

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        del family
        return [
            {
                "hostname": host,
                "host": str(address),
                "port": port,
                "family": socket.AF_INET if address.version == 4 else socket.AF_INET6,
                "proto": 0,
                "flags": socket.AI_NUMERICHOST,
            }
            for address in self._addresses
        ]

    async def close(self) -> None:
        pass


class Courier:
    """Delivers; each time over a connection of its own, whose address is judged anew.

    No redirect is followed, no proxy of the environment used, no cookie kept, and certificates are
    verified: against the authorities of the system, or those that `SSL_CERT_FILE` names.
    """

    def __init__(self, allowed: AllowList, lookups: Lookups | None = None) -> None:
        self.allowed = allowed
        self.lookups = lookups or Lookups()
        self._tls: ssl.SSLContext | None = None

    async def judge(self, endpoint: Endpoint) -> list[IPAddress]:
        """The addresses that a connection may go to now.

        Raises `AddressNotAllowed`, `HostUnknown`, also where the name takes too long.
        """
        try:
            async with asyncio.timeout(DELIVERY_SECONDS):
                return await self.lookups.allowed(endpoint, self.allowed)
        except TimeoutError:
            raise HostUnknown(
                f"The name {endpoint.host} was not resolved within {DELIVERY_SECONDS:g} s."
            ) from None

    async def deliver(self, url: str, body: bytes, headers: Mapping[str, str]) -> Outcome:
        """Never raises for what the other side, or the way to it, does."""
        try:
            async with asyncio.timeout(DELIVERY_SECONDS):
                return await self._deliver(Endpoint.parse(url), body, headers)
        except (AddressNotAllowed, HostUnknown, InvalidAddress) as error:
            return Outcome(None, error.message)
        except TimeoutError:
            return Outcome(None, f"It did not answer within {DELIVERY_SECONDS:g} s.")
        except (ClientError, OSError, ValueError) as error:
            return Outcome(None, _why(error))

    async def _deliver(
        self, endpoint: Endpoint, body: bytes, headers: Mapping[str, str]
    ) -> Outcome:
        addresses = await self.lookups.allowed(endpoint, self.allowed)
        connector = TCPConnector(
            resolver=_Pinned(addresses),
            ssl=self._context() if endpoint.scheme == "https" else False,
            use_dns_cache=False,
            force_close=True,
        )
        session = ClientSession(
            connector=connector,
            cookie_jar=DummyCookieJar(),
            timeout=ClientTimeout(total=None),
            auto_decompress=False,
            trust_env=False,
        )
        sent = {"content-type": "application/json", "user-agent": AGENT, **headers}
        async with (
            session,
            session.post(_url(endpoint), data=body, headers=sent, allow_redirects=False) as answer,
        ):
            await _read(answer)
            return Outcome(answer.status, _fault(answer.status))

    def _context(self) -> ssl.SSLContext:
        if self._tls is None:
            self._tls = ssl.create_default_context()
        return self._tls


def _url(endpoint: Endpoint) -> URL:
    """Of the parts that were judged, so that nothing reads the text in another way."""
    path, _, query = endpoint.target.partition("?")
    return URL.build(
        scheme=endpoint.scheme,
        host=endpoint.host,
        port=endpoint.port,
        path=path,
        query_string=query,
        encoded=True,
    )


async def _read(answer: ClientResponse) -> None:
    """As much as an orderly end of the connection takes, but not all of an endless answer."""
    left = MOST_READ
    while left > 0 and (chunk := await answer.content.read(left)):
        left -= len(chunk)


def _fault(status: int) -> str | None:
    if 200 <= status < 300:
        return None
    if 300 <= status < 400:
        return f"It answers with a redirect ({status}), which is not followed."
    return f"It answers with {status}."


def _why(error: Exception) -> str:
    """In our words: what an exception says may have the address in it."""
    if isinstance(error, ClientConnectorCertificateError):
        cause = error.certificate_error
        detail = getattr(cause, "verify_message", "") or type(cause).__name__
        return f"Its certificate is not trusted: {detail}."
    if isinstance(error, (ClientSSLError, ssl.SSLError)):
        return "No TLS connection comes about."
    if isinstance(error, ClientConnectorError):
        return f"No connection comes about: {error.os_error.strerror or 'it is refused'}."
    return "The connection ended without an answer that can be read."
