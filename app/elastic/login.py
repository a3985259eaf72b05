"""How the service logs in to the cluster."""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field


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
