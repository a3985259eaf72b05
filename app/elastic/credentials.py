"""Who we are to a cluster, and whom we trust: logins and TLS, both as they are at the moment.

The files that they come from may change while the service runs.
"""

from __future__ import annotations

import base64
import ssl
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp

from app.domain.files import stamp
from app.domain.pem import load_authorities, load_pair
from app.telemetry import logger

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
