"""Logins: what callers can log in with, and what they send to do so."""

from __future__ import annotations

import base64
import ipaddress
import secrets
from dataclasses import dataclass, field
from functools import cached_property

from starlette.datastructures import Headers
from starlette.types import Scope

from app.api.attempts import Guess
from app.domain.token import PREFIX

REFUSED = (
    "Log in: with SERVER_USERNAME and SERVER_PASSWORD of the service as Basic authorization, or "
    "with its SERVER_APIKEY as “Authorization: ApiKey …”."
)
WITH_CLUSTER = (
    "Log in as you would at the Elasticsearch cluster, with Basic, ApiKey or Bearer authorization."
)
RUN_AS = "es-security-runas-user"
WITH_TOKEN = "Log in with a token of the service as “Authorization: Bearer rq_…”."  # noqa: S105 - no secret
LONGEST = 7_500
"""Characters of a login. After a longer header Elasticsearch leaves the next request on that
connection without an answer (7.17, 8.19, 9.4)."""
_OF_KEYS = ("apikey", "bearer")
_OF_CLUSTERS = ("basic", *_OF_KEYS)


@dataclass(frozen=True)
class Logins:
    """What is accepted; None: that way is closed. `tokens`: those of the database are.
    `metrics_token` opens `/metrics` and nothing else. `elasticsearch`: whatever the cluster that is
    asked about accepts."""

    username: str | None
    password: str | None = field(repr=False)
    api_key: str | None = field(repr=False)
    tokens: bool = False
    metrics_token: str | None = field(default=None, repr=False)
    elasticsearch: bool = False

    @property
    def ways(self) -> str:
        """The ways that are open, as a challenge; empty where nobody has to log in."""
        cluster = self.elasticsearch
        basic = ['Basic realm="Reindex Queue"'] if self.username or cluster else []
        key = ["ApiKey"] if self.api_key or cluster else []
        return ", ".join([*basic, *key, *(["Bearer"] if self.tokens or cluster else [])])

    @property
    def remedy(self) -> str:
        """What whoever did not log in is told."""
        ways = [REFUSED] if self.username or self.api_key else []
        ways += [WITH_TOKEN] if self.tokens else []
        ways += [WITH_CLUSTER] if self.elasticsearch else []
        first, *others = ways or [REFUSED]
        return " ".join([first, *(f"Or: {way[0].lower()}{way[1:]}" for way in others)])

    def caller(self, credentials: Presented) -> str | None:
        """The name under which the caller's doings are noted, or None: not let in.

        Compared in constant time, so that an answer's time tells nothing of a secret.
        """
        if credentials.key is not None and self.api_key:
            return "key" if _same(credentials.key, self.api_key) else None
        if credentials.basic is None or self.username is None or self.password is None:
            return None
        name, password = credentials.basic
        right = _same(name, self.username) & _same(password, self.password)
        return self.username if right else None

    def is_for_cluster(self, credentials: Presented) -> bool:
        """True where the cluster is to be asked who that is: a name of the settings, and what looks
        like a token of this service, are for nobody else to see."""
        if not self.elasticsearch or credentials.scheme not in _OF_CLUSTERS:
            return False
        name = credentials.basic[0] if credentials.basic else None
        unreadable = credentials.scheme == "basic" and name is None
        ours = credentials.token is not None or (name is not None and name == self.username)
        ours = ours or self.may_scrape(credentials)
        return not (ours or unreadable)

    def may_scrape(self, credentials: Presented) -> bool:
        if credentials.scheme != "bearer" or self.metrics_token is None:
            return False
        return _same(credentials.given, self.metrics_token)


@dataclass(frozen=True)
class Presented:
    """What a request brings to log in with; `address`: where it came from."""

    authorization: str = field(repr=False)
    address: str
    runs_as: bool = False
    """They want to act as another user of the cluster."""

    @classmethod
    def of(cls, scope: Scope) -> Presented:
        """A header that is longer than any login is as good as none."""
        headers = Headers(scope=scope)
        scheme, _, given = headers.get("authorization", "").partition(" ")
        sent = f"{scheme} {given.strip()}" if len(given) <= LONGEST else ""
        return cls(sent.strip(), address_of(scope), RUN_AS in headers)

    @property
    def scheme(self) -> str:
        return self.authorization.partition(" ")[0].lower()

    @property
    def given(self) -> str:
        """What comes with the scheme."""
        return self.authorization.partition(" ")[2].strip()

    @property
    def key(self) -> str | None:
        return self.given if self.scheme in _OF_KEYS else None

    @property
    def token(self) -> str | None:
        """A key that looks like a token of this service."""
        return self.key if self.key is not None and self.key.startswith(PREFIX) else None

    @cached_property
    def basic(self) -> tuple[str, str] | None:
        """Name and password; None where none were sent that can be read."""
        if self.scheme != "basic":
            return None
        try:
            given = base64.b64decode(self.given, validate=True).decode()
        except ValueError:  # no base64, or no text
            return None
        name, _, password = given.partition(":")
        return name, password

    @property
    def guess(self) -> Guess:
        name = self.basic[0] if self.basic else None
        return Guess(self.address, name, self.authorization)


def address_of(scope: Scope) -> str:
    """Where the request came from: what a proxy of SERVER_TRUSTED_PROXIES says of it, too."""
    client = scope.get("client")
    host = client[0] if client else ""
    try:
        return str(ipaddress.ip_address(host))
    except ValueError:
        return "unknown"


def _same(left: str, right: str) -> bool:
    return secrets.compare_digest(left.encode(), right.encode())
