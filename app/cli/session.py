"""The options of the commands, and what they come to: whom to ask, and how to answer."""

from __future__ import annotations

import inspect
import json
import re
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property, wraps
from typing import Annotated, Any, Concatenate, ParamSpec, TextIO, TypeVar

import typer
from pydantic import BaseModel

from app.cli import display, requests
from app.cli.client import Client, Misuse, ServiceLogin, default_url, login
from app.cli.requests import Call
from app.domain.errors import InvalidIndexName
from app.domain.names import IndexName

P = ParamSpec("P")
M = TypeVar("M", bound=BaseModel)

_ID = re.compile("[0-9A-Za-z_-]+")
STDIN = "-"
_BETWEEN = re.compile(r"[ \t\r\n]+")
"""Names in a text; other spaces may be part of one."""
INTERRUPTED = 130
"""The exit code after Ctrl-C, as shells have it."""


class Form(StrEnum):
    TABLE = "table"
    JSON = "json"


Url = Annotated[
    str,
    typer.Option(
        "--url",
        metavar="URL",
        envvar="REINDEX_QUEUE_URL",
        show_envvar=False,
        show_default=False,
        default_factory=default_url,
        help="The service; default: REINDEX_QUEUE_URL, else where SERVER_HOST and SERVER_PORT say, "
        "else http://127.0.0.1:5602",
    ),
]
Output = Annotated[
    Form,
    typer.Option(
        "-o",
        "--output",
        metavar="table|json",
        help="table for people, json as the service answers",
    ),
]
Curl = Annotated[
    bool, typer.Option("--curl", help="Print the same as curl requests instead of sending it")
]
OutdatedOption = Annotated[
    bool, typer.Option("--outdated", help="All that the next major version does not open")
]
Every = Annotated[
    float,
    typer.Option(
        "--every",
        metavar="SECONDS",
        min=0.1,
        max=3600,
        help="Seconds between two lines of --watch",
    ),
]

Names = Annotated[
    list[str] | None,
    typer.Argument(metavar="INDEX", show_default=False, help="Names; - reads them from stdin"),
]
OneIndex = Annotated[
    str | None, typer.Argument(metavar="INDEX", help="The index whose newest operation is meant")
]
OneBatch = Annotated[
    str | None, typer.Option("--batch", metavar="ID", help="Instead: all operations of a batch")
]

OfIndex = Annotated[
    str | None, typer.Option("--index", metavar="INDEX", help="Only its newest operation")
]
OfBatch = Annotated[str | None, typer.Option("--batch", metavar="ID", help="Only this batch")]


@dataclass(frozen=True)
class Session:
    """`as_json`: the service's own answers instead of display. `curl`: nothing is sent."""

    url: str
    as_json: bool
    curl: bool

    @cached_property
    def client(self) -> Client:
        return Client(self.url, self._login)

    @cached_property
    def _login(self) -> ServiceLogin:
        return login(here=self.url == default_url())

    def curl_of(self, request: Call) -> str:
        return requests.curl(self.url, request, self._login.curl)

    def print_curl(self, *wanted: Call, then: str = "") -> None:
        """`then`: what is to be done with the last answer, as a comment."""
        lines = [self.curl_of(request) for request in wanted]
        display.say_lines([*lines, *([f"# {then}"] if then else [])])

    def ask(self, wanted: Call, model: type[M], show: Callable[[M], None]) -> M | None:
        """Sends it, and shows the answer: by `show`, or as the service has written it. None where
        it was printed as a request instead."""
        if self.curl:
            self.print_curl(wanted)
            return None
        raw = self.client.send(wanted)
        answer = self.client.understood(raw, model)
        if self.as_json:
            self.print_json(raw)
        else:
            show(answer)
        return answer

    def print_json(self, answer: Any) -> None:
        display.say_lines([json.dumps(answer, ensure_ascii=False, indent=2)])


def _session(url: Url, output: Output = Form.TABLE, curl: Curl = False) -> Session:
    return Session(url, as_json=output is Form.JSON, curl=curl)


def with_session(run: Callable[Concatenate[Session, P], None]) -> Callable[..., None]:
    """`run` as typer takes it: instead of a session it has the options that make one.

    `--url` comes before its own options, `--output` and `--curl` after them, as help shows them.
    """
    first, *last = inspect.signature(_session, eval_str=True).parameters.values()
    _, *own = inspect.signature(run, eval_str=True).parameters.values()
    named = [one.replace(kind=one.KEYWORD_ONLY) for one in (first, *own, *last)]
    started: Callable[..., None] = run

    @wraps(run)
    def command(**given: Any) -> None:
        session = _session(**{one.name: given.pop(one.name) for one in (first, *last)})
        started(session, **given)

    command.__dict__["__signature__"] = inspect.Signature(named)
    return command


def index_name(given: str) -> str:
    """`given`, where it can be the name of an index: anything else would be another route."""
    try:
        return IndexName(given)
    except InvalidIndexName as error:
        raise Misuse(error.message) from None


def names_of(given: Sequence[str]) -> list[str]:
    """The names given; `-` stands for those on standard input. Raises `Misuse`."""
    if "" in given:
        raise Misuse("A name is empty: leave it out, or write the name of an index.")
    return [name for one in given for name in (_from_stdin() if one == STDIN else [one])]


def _from_stdin() -> list[str]:
    """Names divided by white space, such as the lines of `_cat/indices?h=index`."""
    stdin: TextIO | None = sys.stdin  # None where it was closed
    if stdin is None:
        raise Misuse("There is no standard input: give names, or a file with < FILE.")
    try:
        return [name for name in _BETWEEN.split(stdin.buffer.read().decode()) if name]
    except OSError as error:
        raise Misuse(f"Standard input cannot be read: {error.strerror}. Give names.") from None
    except UnicodeDecodeError:
        raise Misuse("The names on standard input are no text: write them as UTF-8.") from None


def batch_id(given: str) -> str:
    """`given`, where it can be the id of a batch: anything else would be another route."""
    if not _ID.fullmatch(given):
        raise Misuse(
            f"--batch {given!r}: write the id of a batch, as reindex-queue status INDEX shows it."
        )
    return given


def tell(text: str) -> None:
    """A line that is not the answer, and so not for standard output."""
    sys.stderr.write(f"{text}\n")
    sys.stderr.flush()
