"""The door: who is let in, as whom, what role a route needs, and what the routes work with."""

from __future__ import annotations

import base64
import binascii
import ipaddress
import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Annotated

from fastapi import Depends, Path, Request
from pydantic import AfterValidator
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from app.api.errors import answer
from app.domain.principal import Principal, Role
from app.sites.site import Site, Sites
from app.wire.notation import without_nul


async def all_of_request(request: Request) -> Sites:
    sites = request.app.state.sites
    assert isinstance(sites, Sites)
    return sites


async def of_request(request: Request) -> Site:
    return (await all_of_request(request)).of()


Current = Annotated[Site, Depends(of_request)]
AllSites = Annotated[Sites, Depends(all_of_request)]
IndexPath = Annotated[
    str,
    Path(
        title="Index name",
        description="A concrete index: no alias, no pattern. Characters beyond `a-z0-9._-` must be "
        "percent-encoded.",
        examples=["logs-2019"],
    ),
]
OperationPath = Annotated[
    str,
    AfterValidator(without_nul),
    Path(title="Operation", description="Its id", examples=["0b9d2f7c6e5a4d3c8b1a0f9e8d7c6b5a"]),
]
BatchPath = Annotated[
    str,
    AfterValidator(without_nul),
    Path(title="Batch", description="Its id", examples=["5f0c1b2a3d4e5f60718293a4b5c6d7e8"]),
]


METRICS = "/metrics"
OPEN = ("/healthz", "/readyz")
"""Probes of an orchestrator have no login, and are told no more than they need."""
LOGIN = "reindex_queue_login"
"""In a request's scope where callers log in: the name, None for a probe without a login."""
SCRAPES = "reindex_queue_scrapes"
"""In the scope of a request that the token for metrics has let in: true."""
REFUSED = (
    "Log in: with SERVER_USERNAME and SERVER_PASSWORD of the service as Basic authorization, or "
    "with its SERVER_APIKEY as “Authorization: ApiKey …”."
)


@dataclass(frozen=True)
class Logins:
    """What is accepted; None: that way is closed."""

    username: str | None
    password: str | None = field(repr=False)
    api_key: str | None = field(repr=False)
    metrics_token: str | None = field(default=None, repr=False)

    @property
    def ways(self) -> str:
        """The ways that are open, as a challenge; empty where nobody has to log in."""
        basic = ['Basic realm="Reindex Queue"'] if self.username else []
        return ", ".join([*basic, *(["ApiKey"] if self.api_key else [])])

    def caller(self, authorization: str) -> str | None:
        """The name under which the caller's doings are noted, or None: not let in.

        Compared in constant time, so that an answer's time tells nothing of a secret.
        """
        scheme, _, given = authorization.partition(" ")
        given = given.strip()
        if scheme.lower() in ("apikey", "bearer") and self.api_key:
            return "key" if _same(given, self.api_key) else None
        if scheme.lower() != "basic" or self.username is None or self.password is None:
            return None
        try:
            name, _, password = base64.b64decode(given, validate=True).decode().partition(":")
        except (binascii.Error, UnicodeDecodeError):
            return None
        right = _same(name, self.username) & _same(password, self.password)
        return self.username if right else None

    def may_scrape(self, authorization: str) -> bool:
        """True for the bearer of the token that opens `/metrics` and nothing else."""
        scheme, _, given = authorization.partition(" ")
        if scheme.lower() != "bearer" or self.metrics_token is None:
            return False
        return _same(given.strip(), self.metrics_token)


class Access:
    """Answers 401 to everybody who does not log in, but for the probes and for `OPTIONS`, by which
    load balancers look whether somebody is there.

    `logins` tells what is accepted now: a file of a secret may change while the service runs.
    """

    def __init__(self, app: ASGIApp, logins: Callable[[], Logins]) -> None:
        self._app = app
        self._logins = logins

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        logins = self._logins()
        authorization = Headers(scope=scope).get("authorization", "")
        caller = logins.caller(authorization)
        if caller is None and scope["path"] == METRICS and logins.may_scrape(authorization):
            await self._app({**scope, LOGIN: "metrics", SCRAPES: True}, receive, send)
            return
        if caller is None and scope["path"] not in OPEN and scope["method"] != "OPTIONS":
            refusal = answer(Request(scope), 401, REFUSED, "unauthorized")
            refusal.headers["www-authenticate"] = logins.ways
            await refusal(scope, receive, send)
            return
        await self._app({**scope, LOGIN: caller}, receive, send)


async def principal_of(request: Request) -> Principal:
    """Who asks. Nothing else makes a principal of a request."""
    login, host = request.scope.get(LOGIN), _address(request)
    name = f"api:{login}@{host}"[:255] if login else f"api:{host}"
    return Principal(name, Role.VIEWER if request.scope.get(SCRAPES) else Role.ADMIN)


Caller = Annotated[Principal, Depends(principal_of)]


def is_anonymous(request: Request) -> bool:
    """True for a probe that did not log in where others must."""
    return request.scope.get(LOGIN, "") is None


@dataclass(frozen=True)
class Needs:
    """A dependency that lets nobody through who has not `role`. Raises `RoleMissing`."""

    role: Role

    async def __call__(self, caller: Caller) -> None:
        caller.require(self.role)


VIEWER = (Depends(Needs(Role.VIEWER)),)
"""As every route says it: `dependencies=VIEWER`. It reads."""
OPERATOR = (Depends(Needs(Role.OPERATOR)),)
"""It changes operations, batches, their pace, or an index."""
ADMIN = (Depends(Needs(Role.ADMIN)),)
"""It changes what is of the whole service."""


def _address(request: Request) -> str:
    """Where the request came from; a proxy on this machine says it, and may say anything."""
    host = request.client.host if request.client else ""
    try:
        return str(ipaddress.ip_address(host))
    except ValueError:
        return "unknown"


def _same(left: str, right: str) -> bool:
    return secrets.compare_digest(left.encode(), right.encode())
