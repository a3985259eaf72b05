"""The door: who is let in, and as whom."""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from http import HTTPStatus

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import Request, cookie_parser
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.api.attempts import Attempts, Guess
from app.api.errors import answer, http_status_of
from app.api.logins import RUN_AS, Logins, Presented
from app.domain import clock
from app.domain.errors import LoginRefused, ReindexQueueError, StoreTrouble
from app.domain.principal import Principal, Role
from app.sites.site import Site, Sites

METRICS = "/metrics"
ALIVE = "/healthz"
OPEN = (ALIVE, "/readyz")
"""Probes of an orchestrator have no login, and are told no more than they need."""
ENTRY = "reindex_queue_entry"
"""In a request's scope where callers log in: its `Entry`."""
NO_RUN_AS = (
    f"The header {RUN_AS} is not taken here, and without it you would act as yourself. Log in as "
    "that user."
)
NOT_ASKED = "{why} Until the cluster can be asked, nobody is let in by it."
TOO_MANY = "Too many logins have failed. Nothing is looked at for {seconds} s; then try again."


SESSION_COOKIE = "reindex_queue_session"
SESSION_PATH = "/api/v1/session"
SESSION_OVER = "The session is over. Log in again."
NOT_OF_A_PAGE = (
    "A session is for the pages of this service, and this request does not say that it comes from "
    "one. Programs log in at each request."
)
SAFE = ("GET", "HEAD", "OPTIONS")


@dataclass(frozen=True)
class Entry:
    """Who was let in; None: a probe without a login. `authorization`: what they came with, or began
    their session with. `is_as_it_was`, asked later, says whether the same would be let in with the
    same rights."""

    principal: Principal | None
    authorization: str = field(repr=False)
    is_as_it_was: Callable[[], Awaitable[bool]]


class NotLetIn(Exception):
    """Why, and with which HTTP status. `wait`: seconds until it is worth to try again."""

    def __init__(self, status: int, message: str, code: str, wait: float | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.code = code
        self.wait = wait


class Door:
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
        principal, authorization = None, ""
        if scope["path"] == ALIVE or scope["method"] == "OPTIONS":  # whoever asks, nothing is asked
            await self._app({**scope, ENTRY: Entry(None, "", _never)}, receive, send)
            return
        try:
            credentials = await _credentials(scope, in_use=True)
            principal = await self._let_in(scope, credentials)
            authorization = credentials.authorization
        except NotLetIn as refused:
            if scope["path"] not in OPEN and not _is_logout(scope):
                await self._refusal(scope, refused)(scope, receive, send)
                return

        async def is_as_it_was() -> bool:
            try:
                credentials = await _credentials(scope, in_use=False)
                return await self._let_in(scope, credentials) == principal
            except NotLetIn:
                return False

        entered = {**scope, ENTRY: Entry(principal, authorization, is_as_it_was)}
        await self._app(entered, receive, self._challenging(send))

    async def _let_in(self, scope: Scope, credentials: Presented) -> Principal:
        """Raises `NotLetIn`."""
        logins = self._logins()
        if not credentials.authorization:
            raise NotLetIn(401, logins.remedy, "unauthorized")
        if scope["path"] == METRICS and logins.may_scrape(credentials):
            return settings_principal("metrics", credentials.address, Role.VIEWER)
        if logins.tokens and credentials.token is not None:
            return await _bearer(scope, credentials.token, logins)
        guess = credentials.guess
        self._check_wait(guess)
        caller = logins.caller(credentials)
        if caller is not None:
            self._attempts.note_success(guess)
            return settings_principal(caller, credentials.address)
        if logins.is_for_cluster(credentials):
            return await self._of_cluster(scope, credentials)
        self._attempts.note_failure(guess)
        raise NotLetIn(401, logins.remedy, "unauthorized")

    async def _of_cluster(self, scope: Scope, credentials: Presented) -> Principal:
        """Whoever that is for the cluster that the path names, which alone is asked. Raises
        `NotLetIn`, also where the cluster cannot be asked."""
        if credentials.runs_as:
            raise NotLetIn(400, NO_RUN_AS, "no_run_as")
        guess = credentials.guess
        async with self._attempts.in_turn(guess):
            self._check_wait(guess)  # others may have failed meanwhile
            try:
                principal = await site_of(scope).callers.principal(credentials.authorization)
            except ReindexQueueError as error:
                if isinstance(error, LoginRefused):
                    self._attempts.note_failure(guess)
                raise _not_let_in(error) from None
        self._attempts.note_success(guess)
        return principal

    def _check_wait(self, guess: Guess) -> None:
        """Raises `NotLetIn` where too many guesses were wrong."""
        if wait := self._attempts.wait(guess):
            seconds = math.ceil(wait)
            raise NotLetIn(429, TOO_MANY.format(seconds=seconds), "too_many_attempts", seconds)

    def _challenging(self, send: Send) -> Send:
        """A login of a cluster may end while a route asks there with it: that 401 has a challenge,
        too."""

        async def told(message: Message) -> None:
            if message["type"] == "http.response.start" and message["status"] == 401:
                headers = MutableHeaders(raw=message["headers"])
                headers.setdefault("www-authenticate", self._logins().ways)
            await send(message)

        return told

    def _refusal(self, scope: Scope, refused: NotLetIn) -> JSONResponse:
        response = answer(Request(scope), refused.status, refused.message, refused.code)
        if refused.status == HTTPStatus.UNAUTHORIZED:
            # a browser would ask for a password by itself where a page of ours does
            of_page = Headers(scope=scope).get("sec-fetch-dest") == "empty"
            response.headers["www-authenticate"] = "Session" if of_page else self._logins().ways
        if refused.wait is not None:
            response.headers["retry-after"] = f"{refused.wait:.0f}"
        return response


def site_of(scope: Scope) -> Site:
    """That of the cluster which the path names. Nothing else chooses one for a request."""
    return sites_of(scope).of()


def sites_of(scope: Scope) -> Sites:
    sites = scope["app"].state.sites
    assert isinstance(sites, Sites)
    return sites


def _not_let_in(error: ReindexQueueError) -> NotLetIn:
    """Why the cluster does not let somebody in, or cannot say."""
    status, why = http_status_of(error), error.message
    if status in (HTTPStatus.BAD_GATEWAY, HTTPStatus.SERVICE_UNAVAILABLE):
        status, why = HTTPStatus.SERVICE_UNAVAILABLE, NOT_ASKED.format(why=why)
    return NotLetIn(status, why, error.code)


def settings_principal(login: str | None, address: str, role: Role = Role.ADMIN) -> Principal:
    """Whoever came with what the settings say; None: without a login, where nobody has to."""
    name = f"api:{login}@{address}"[:255] if login else f"api:{address}"
    return Principal(name, role)


async def _never() -> bool:
    return False


def session_cookie(scope: Scope) -> str:
    """The cookie's name. Browsers take one with such a prefix only over TLS, and the first from no
    other host than this one, so that nobody else can plant a session of theirs."""
    state = scope["app"].state
    if scope["scheme"] != "https" and not state.public_is_https:
        return SESSION_COOKIE
    return f"__{'Secure' if state.base_path else 'Host'}-{SESSION_COOKIE}"


def session_of(scope: Scope) -> str | None:
    """The id of the session that a request belongs to."""
    cookies = "; ".join(Headers(scope=scope).getlist("cookie"))
    return cookie_parser(cookies).get(session_cookie(scope))


def _is_logout(scope: Scope) -> bool:
    """A session can be ended also where its login lets nobody in any more, or cannot be looked
    at."""
    asked = scope["method"] == "DELETE" and scope["path"] == SESSION_PATH
    return asked and session_of(scope) is not None and _is_of_page(Headers(scope=scope))


async def _credentials(scope: Scope, *, in_use: bool) -> Presented:
    """Those of the request, or of the session that it belongs to. Raises `NotLetIn`."""
    credentials = Presented.of(scope)
    session_id = session_of(scope)
    if credentials.authorization or session_id is None:
        return credentials
    if scope["method"] not in SAFE and not _is_of_page(Headers(scope=scope)):
        raise NotLetIn(403, NOT_OF_A_PAGE, "another_site")
    with _told_by_database():
        login = await sites_of(scope).sessions.login_of(session_id, in_use=in_use)
    if login is None:
        raise NotLetIn(401, SESSION_OVER, "session_over")
    return replace(credentials, authorization=login)


def _is_of_page(headers: Headers) -> bool:
    """A browser says so of every request that may change something; whether the page is one of
    ours, `OwnPages` has looked at already."""
    return "origin" in headers or headers.get("sec-fetch-site") == "same-origin"


@contextmanager
def _told_by_database() -> Generator[None]:
    """Raises `NotLetIn` where the database does not tell."""
    try:
        yield
    except StoreTrouble as error:
        raise NotLetIn(http_status_of(error), error.message, error.code) from None


async def _bearer(scope: Scope, secret: str, logins: Logins) -> Principal:
    """Whoever comes with that token. It is looked for without a wait, since nobody guesses one.
    Raises `NotLetIn`."""
    with _told_by_database():
        token = await sites_of(scope).tokens.bearer(secret)
    if token is None:
        raise NotLetIn(401, logins.remedy, "unauthorized")
    if refusal := token.refusal(clock.now()):
        raise NotLetIn(401, refusal, "unauthorized")
    return token.principal
