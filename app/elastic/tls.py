"""TLS to the cluster: whom to trust, and who we are."""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Tls:
    """`verification` as Kibana has it: `full`, `certificate` (any host name), `none`.

    `authorities`, `certificate` and `key` are PEM files; `fingerprint` is the SHA-256 of the
    server's certificate in hexadecimal, and then is all that counts.
    """

    verification: str = "full"
    authorities: Path | None = None
    certificate: Path | None = None
    key: Path | None = None
    fingerprint: str | None = None

    def options(self) -> dict[str, Any]:
        """What the client is made with."""
        if self.fingerprint:
            return {"ssl_assert_fingerprint": self.fingerprint.replace(":", "").lower()}
        return {"ssl_context": self._context(), "ssl_show_warn": False}

    def _context(self) -> ssl.SSLContext:
        context = ssl.create_default_context(cafile=self.authorities)
        context.check_hostname = self.verification == "full"
        if self.verification == "none":
            context.verify_mode = ssl.CERT_NONE
        if self.certificate:
            context.load_cert_chain(self.certificate, self.key)
        return context
