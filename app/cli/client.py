"""The service as the command line reaches it: its address, the login, and what goes wrong."""

from __future__ import annotations

import os
import re
import ssl
from base64 import b64encode
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http import HTTPStatus
from pathlib import Path
from typing import Any, TypeVar, cast

import httpx
from pydantic import BaseModel, ValidationError

from app.cli.requests import EVENT_STREAM, HEADERS, Call

CONNECT_SECONDS = 5.0
ANSWER_SECONDS = 60.0
SILENT_SECONDS = 50.0
"""Of a stream, in which the service says something every 15 seconds."""
_ERRNO = re.compile(r"\[Errno -?\d+\] ")
_ODD = re.compile(r"[\s%]")
MOST_PORT = 65_535
_LOOPBACK = ("127.0.0.1", "localhost", "::1")

_TRUST = "Name the file of the authority to trust with SSL_CERT_FILE."
_LOG_IN = (
    "The service asks for a login. Set REINDEX_QUEUE_APIKEY, or REINDEX_QUEUE_USERNAME and "
    "REINDEX_QUEUE_PASSWORD, in the environment."
)

OWN = "REINDEX_QUEUE"
SERVER = "SERVER"
"""The service's own settings serve where it is looked for on this machine by its own settings."""

M = TypeVar("M", bound=BaseModel)


class Trouble(Exception):
    """The command cannot be done: `message` says why, and what to do."""

    exit_code = 1

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


class Misuse(Trouble):
    """The command was not given as it can be done."""

    exit_code = 2


class ServiceAway(Trouble):
    """Nobody answers, or not now."""


class Refusal(Trouble):
    """The service said no. `status` is that of its answer."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


def default_url() -> str:
    """Where `reindex-queue serve` would listen in this environment."""
    scheme = "https" if os.environ.get("SERVER_SSL_CERTIFICATE") else "http"
    host = os.environ.get("SERVER_HOST") or "127.0.0.1"
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104 - it is not bound here
    shown = f"[{host}]" if ":" in host else host
    return f"{scheme}://{shown}:{os.environ.get('SERVER_PORT') or '5602'}"


@dataclass(frozen=True)
class ServiceLogin:
    """`header` is sent as `authorization`; `curl` are words for a shell, without the secret."""

    header: str | None = field(default=None, repr=False)
    curl: str = ""


def login(*, here: bool) -> ServiceLogin:
    """`here`: the address is the default one, so the login may be the service's own settings.

    Raises `Misuse`.
    """
    for prefix in (OWN, SERVER) if here else (OWN,):
        if key := _secret(f"{prefix}_APIKEY"):
            return ServiceLogin(
                f"ApiKey {_sendable(prefix, key[0])}", f'-H "authorization: ApiKey {key[1]}"'
            )
        name = os.environ.get(f"{prefix}_USERNAME")
        password = _secret(f"{prefix}_PASSWORD")
        if name and password:
            basic = b64encode(f"{name}:{password[0]}".encode(errors="surrogateescape")).decode()
            return ServiceLogin(f"Basic {basic}", f'-u "${prefix}_USERNAME:{password[1]}"')
    return ServiceLogin()


def _sendable(prefix: str, key: str) -> str:
    if not key.isprintable():
        raise Misuse(f"{prefix}_APIKEY: it has characters that cannot be sent, such as a new line.")
    return key


def _secret(variable: str) -> tuple[str, str] | None:
    """The secret, and how a shell writes it; also from the file that `NAME_FILE` names."""
    if value := os.environ.get(variable):
        return value, f"${variable}"
    if not (path := os.environ.get(f"{variable}_FILE")):
        return None
    try:
        return Path(path).read_text().rstrip("\r\n"), f"$(cat ${variable}_FILE)"
    except (OSError, UnicodeDecodeError) as error:
        raise Misuse(f"{variable}_FILE: cannot read {path}: {error}") from None


class Client:
    """Speaks to one service. Raises `Trouble` for everything that is not an answer to the request.

    A loopback address is never asked for by way of a proxy. `SSL_CERT_FILE` may name whom to trust.
    """

    def __init__(self, url: str, login: ServiceLogin) -> None:
        self.url = _checked(url)
        self._http = httpx.Client(
            base_url=self.url,
            timeout=httpx.Timeout(ANSWER_SECONDS, connect=CONNECT_SECONDS),
            trust_env=self.url.host not in _LOOPBACK,
            headers=_headers(login),
            verify=ssl.create_default_context() if self.url.scheme == "https" else False,
        )

    @property
    def shown(self) -> str:
        """The address without user and password."""
        return str(self.url.copy_with(username=None, password=None)).rstrip("/")

    def send(self, request: Call) -> Any:
        """The JSON of the answer."""
        with self._reaching():
            answer = self._http.request(request.method, request.target, json=request.body)
        return self._content(answer)

    def lines(self, request: Call) -> Iterator[str]:
        """The lines of an answer that goes on, as they come, until it ends.

        Divided by line feeds alone: JSON may hold other characters that divide lines.
        """
        patience = httpx.Timeout(SILENT_SECONDS, connect=CONNECT_SECONDS)
        asked = self._http.stream(
            request.method, request.target, headers=dict(request.headers), timeout=patience
        )
        with self._reaching(), asked as answer:
            if not answer.is_success:
                answer.read()
                self._content(answer)
            if not answer.headers.get("content-type", "").startswith(EVENT_STREAM):
                raise self._stranger()
            rest = b""
            for piece in answer.iter_bytes():
                *lines, rest = (rest + piece).split(b"\n")
                for line in lines:
                    yield line.decode()

    @contextmanager
    def _reaching(self) -> Generator[None]:
        """What goes wrong on the way to the service is that it is away."""
        try:
            yield
        except httpx.TimeoutException:
            raise ServiceAway(f"{self.shown} does not answer in time. {self._remedy}") from None
        except httpx.TransportError as error:
            reason = _ERRNO.sub("", str(error)) or type(error).__name__
            remedy = _TRUST if "CERTIFICATE_VERIFY" in reason else self._remedy
            raise ServiceAway(
                f"Reindex Queue cannot be reached at {self.shown}: {reason}. {remedy}"
            ) from None

    def ask(self, request: Call, model: type[M]) -> M:
        """The answer as its model."""
        return self.understood(self.send(request), model)

    def understood(self, answer: Any, model: type[M]) -> M:
        try:
            return model.model_validate(answer)
        except ValidationError:
            raise self._stranger() from None

    def _content(self, answer: httpx.Response) -> Any:
        body = _json_of(answer)
        if answer.is_success and body is not None:
            return body
        envelope = cast(dict[str, Any], body) if isinstance(body, dict) else {}
        if "statusCode" not in envelope or "message" not in envelope:
            raise self._stranger()
        message = str(envelope["message"])
        if answer.status_code == HTTPStatus.SERVICE_UNAVAILABLE:
            raise ServiceAway(message)
        if answer.status_code == HTTPStatus.UNAUTHORIZED:
            raise Refusal(answer.status_code, _LOG_IN)
        raise Refusal(answer.status_code, message)

    def _stranger(self) -> Trouble:
        return Trouble(
            f"{self.shown} answers, but not as this release of Reindex Queue does. {self._where}"
        )

    @property
    def _remedy(self) -> str:
        return f"Start it with: reindex-queue serve. {self._where}"

    _where = "If it is elsewhere, name it with --url or REINDEX_QUEUE_URL."


def _headers(login: ServiceLogin) -> httpx.Headers:
    given = {"authorization": login.header} if login.header else {}
    return httpx.Headers(HEADERS | given, encoding="utf-8")


def _json_of(answer: httpx.Response) -> Any:
    try:
        return answer.json()
    except ValueError:
        return None


def _checked(url: str) -> httpx.URL:
    wrong = Misuse(f"--url {url.rpartition('@')[2]!r}: name it as http://host:port")
    try:
        parsed = httpx.URL(url)
    except httpx.InvalidURL:
        raise wrong from None
    known = parsed.scheme in ("http", "https") and parsed.host and (parsed.port or 0) <= MOST_PORT
    if not known or parsed.query or parsed.fragment or _ODD.search(parsed.host):
        raise wrong
    return parsed
