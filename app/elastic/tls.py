"""TLS to the cluster: whom to trust, and who we are."""

from __future__ import annotations

import ssl
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp

from app.domain.files import stamp
from app.domain.pem import load_authorities, load_pair
from app.telemetry import logger

log = logger(__name__)

Trust = ssl.SSLContext | aiohttp.Fingerprint


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
