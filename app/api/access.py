"""The door: who is let in, as whom, what role a route needs, and what the routes work with."""

from __future__ import annotations

import base64
import binascii
import ipaddress
import math
import secrets
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Annotated

from fastapi import Depends, Path, Request
from pydantic import AfterValidator
from starlette.datastructures import Headers
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from app.api.attempts import Attempts
from app.api.errors import answer, http_status_of
from app.domain import clock
from app.domain.errors import StoreTrouble
from app.domain.principal import Principal, Role
from app.domain.token import PREFIX, Token
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
LOOK_AGAIN = "reindex_queue_look_again"
"""In a request's scope where callers log in: says whether it would be let in as the same later."""
TOKEN = "reindex_queue_token"  # noqa: S105 - a key, no secret
"""In a request's scope where somebody came with a token: the token."""
SCRAPES = "reindex_queue_scrapes"
"""In the scope of a request that the token for metrics has let in: true."""
REFUSED = (
    "Log in: with SERVER_USERNAME and SERVER_PASSWORD of the service as Basic authorization, or "
    "with its SERVER_APIKEY as “Authorization: ApiKey …”."
)
WITH_TOKEN = "Log in with a token of the service as “Authorization: Bearer rq_…”."  # noqa: S105
TOO_MANY = "Too many logins have failed. Nothing is looked at for {seconds} s; then try again."


@dataclass(frozen=True)
class Logins:
    """What is accepted; None: that way is closed. `tokens`: those of the database are."""

    username: str | None
    password: str | None = field(repr=False)
    api_key: str | None = field(repr=False)
    tokens: bool = False
    metrics_token: str | None = field(default=None, repr=False)

    @property
    def ways(self) -> str:
        """The ways that are open, as a challenge; empty where nobody has to log in."""
        basic = ['Basic realm="Reindex Queue"'] if self.username else []
        key = ["ApiKey"] if self.api_key else []
        return ", ".join([*basic, *key, *(["Bearer"] if self.tokens else [])])

    @property
    def remedy(self) -> str:
        """What whoever did not log in is told."""
        if not self.tokens:
            return REFUSED
        login = bool(self.username or self.api_key)
        return f"{REFUSED} Or: {WITH_TOKEN[0].lower()}{WITH_TOKEN[1:]}" if login else WITH_TOKEN

    def caller(self, authorization: str) -> str | None:
        """The name under which the caller's doings are noted, or None: not let in.

        Compared in constant time, so that an answer's time tells nothing of a secret.
        """
        scheme, given = _parts(authorization)
        if scheme in _OF_KEYS and self.api_key:
            return "key" if _same(given, self.api_key) else None
        found = _basic(authorization)
        if found is None or self.username is None or self.password is None:
            return None
        name, password = found
        right = _same(name, self.username) & _same(password, self.password)
        return self.username if right else None

    def may_scrape(self, authorization: str) -> bool:
        """True for the bearer of the token that opens `/metrics` and nothing else."""
        scheme, _, given = authorization.partition(" ")
        if scheme.lower() != "bearer" or self.metrics_token is None:
            return False
        return _same(given.strip(), self.metrics_token)


_OF_KEYS = ("apikey", "bearer")


def _parts(authorization: str) -> tuple[str, str]:
    """Scheme, in lower case, and what comes with it."""
    scheme, _, given = authorization.partition(" ")
    return scheme.lower(), given.strip()


def _basic(authorization: str) -> tuple[str, str] | None:
    """Name and password; None where none were sent that can be read."""
    scheme, given = _parts(authorization)
    if scheme != "basic":
        return None
    try:
        name, _, password = base64.b64decode(given, validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        return None
    return name, password


class NotLetIn(Exception):
    """Why, and with which HTTP status. `wait`: seconds until it is worth to try again."""

    def __init__(self, status: int, message: str, code: str, wait: float | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.code = code
        self.wait = wait


class Access:
    """Answers 401 to everybody who does not log in, but for the probes and for `OPTIONS`, by which
    load balancers look whether somebody is there; 429 where too many logins have failed.

    `logins` tells what is accepted now: a file of a secret may change while the service runs.
    """

    def __init__(self, app: ASGIApp, logins: Callable[[], Logins]) -> None:
        self._app = app
        self._logins = logins
        self._attempts = Attempts()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        logins = self._logins()
        try:
            known = await self._known(scope, logins)
        except NotLetIn as refused:
            if scope["path"] not in OPEN and scope["method"] != "OPTIONS":
                await _refusal(scope, refused, logins)(scope, receive, send)
                return
            known = {LOGIN: None}

        async def would_be_let_in() -> bool:
            try:
                return await self._known(scope, self._logins()) == known
            except NotLetIn:
                return False

        await self._app({**scope, **known, LOOK_AGAIN: would_be_let_in}, receive, send)

    async def _known(self, scope: Scope, logins: Logins) -> Scope:
        """Who comes, as what is added to the scope. Raises `NotLetIn`."""
        authorization = Headers(scope=scope).get("authorization", "")
        if not authorization:
            raise NotLetIn(401, logins.remedy, "unauthorized")
        if scope["path"] == METRICS and logins.may_scrape(authorization):
            return {LOGIN: "metrics", SCRAPES: True}
        address, basic = _address(scope), _basic(authorization)
        name = basic[0] if basic else None
        if wait := self._attempts.wait(address, name):
            seconds = math.ceil(wait)
            raise NotLetIn(429, TOO_MANY.format(seconds=seconds), "too_many_attempts", seconds)
        if (caller := logins.caller(authorization)) is not None:
            if name is not None:
                self._attempts.note_success(name)
            return {LOGIN: caller}
        token = await _bearer(scope, authorization) if logins.tokens else None
        if token is None:
            self._attempts.note_failure(address, name)
            raise NotLetIn(401, logins.remedy, "unauthorized")
        if refusal := token.refusal(clock.now()):  # not a guess, so it is not counted as one
            raise NotLetIn(401, refusal, "unauthorized")
        return {LOGIN: token.name, TOKEN: token}


async def _bearer(scope: Scope, authorization: str) -> Token | None:
    """The token that came, also one that lets nobody in any more. Raises `NotLetIn` where the
    database does not tell."""
    scheme, given = _parts(authorization)
    if scheme not in _OF_KEYS or not given.startswith(PREFIX):
        return None
    sites = scope["app"].state.sites
    assert isinstance(sites, Sites)
    try:
        return await sites.tokens.bearer(given)
    except StoreTrouble as error:
        raise NotLetIn(http_status_of(error), error.message, error.code) from None


def _refusal(scope: Scope, refused: NotLetIn, logins: Logins) -> JSONResponse:
    response = answer(Request(scope), refused.status, refused.message, refused.code)
    if refused.status == HTTPStatus.UNAUTHORIZED:
        response.headers["www-authenticate"] = logins.ways
    if refused.wait is not None:
        response.headers["retry-after"] = f"{refused.wait:.0f}"
    return response


async def principal_of(request: Request) -> Principal:
    """Who asks. Nothing else makes a principal of a request."""
    token = request.scope.get(TOKEN)
    if isinstance(token, Token):
        return token.principal
    login, host = request.scope.get(LOGIN), _address(request.scope)
    name = f"api:{login}@{host}"[:255] if login else f"api:{host}"
    return Principal(name, Role.VIEWER if request.scope.get(SCRAPES) else Role.ADMIN)


Caller = Annotated[Principal, Depends(principal_of)]


def is_anonymous(request: Request) -> bool:
    """True for a probe that did not log in where others must."""
    return request.scope.get(LOGIN, "") is None


async def may_stay(request: Request) -> bool:
    """Of an answer that goes on: False where its caller would not be let in any more, because a
    login was changed, or a token was revoked."""
    look_again: Callable[[], Awaitable[bool]] | None = request.scope.get(LOOK_AGAIN)
    return look_again is None or await look_again()


@dataclass(frozen=True)
class Needs:
    """A dependency that lets nobody through who has not `role`, or is not for this cluster. What
    takes an admin concerns all of it, and so nobody who is limited to some indices may do it.

    Raises `RoleMissing`, `ClusterOutOfReach`, `LimitedCaller`.
    """

    role: Role

    async def __call__(self, caller: Caller, request: Request) -> None:
        caller.require(self.role)
        if caller.clusters is not None:
            caller.require_cluster((await of_request(request)).name)
        if self.role is Role.ADMIN:
            caller.require_all_indices()


VIEWER = (Depends(Needs(Role.VIEWER)),)
"""As every route says it: `dependencies=VIEWER`. It reads."""
OPERATOR = (Depends(Needs(Role.OPERATOR)),)
"""It changes operations, batches, their pace, or an index."""
ADMIN = (Depends(Needs(Role.ADMIN)),)
"""It changes what is of the whole service."""


def _address(scope: Scope) -> str:
    """Where the request came from; a proxy on this machine says it, and may say anything."""
    client = scope.get("client")
    host = client[0] if client else ""
    try:
        return str(ipaddress.ip_address(host))
    except ValueError:
        return "unknown"


def _same(left: str, right: str) -> bool:
    return secrets.compare_digest(left.encode(), right.encode())
