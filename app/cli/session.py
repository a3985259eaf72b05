"""What the options of a command come to: whom to ask, and how to answer."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from app.api.v1.index_schemas import IndexList
from app.api.v1.schemas import MOST_A_PAGE
from app.cli import requests, tables
from app.cli.client import Client, default_url
from app.cli.login import Login, login
from app.cli.requests import Request
from app.cli.troubles import Misuse
from app.domain.errors import InvalidIndexName
from app.domain.names import IndexName
from app.domain.state import State

_ID = re.compile("[0-9A-Za-z_-]+")
INTERRUPTED = 130
"""The exit code after Ctrl-C, as shells have it."""


@dataclass(frozen=True)
class Session:
    """`as_json`: the service's own answers instead of tables. `curl`: nothing is sent."""

    url: str
    as_json: bool
    curl: bool

    @cached_property
    def client(self) -> Client:
        return Client(self.url, self._login)

    @cached_property
    def _login(self) -> Login:
        return login(here=self.url == default_url())

    def curl_of(self, request: Request) -> str:
        return requests.curl(self.url, request, self._login.curl)

    def pages(
        self, states: Sequence[State] = (), *, batch_id: str | None = None, most: int | None = None
    ) -> Iterator[Any]:
        """The pages of a list as they come; only the first, of `most`, where that is given."""
        after = None
        while True:
            page = self.client.send(
                requests.operations(
                    states,
                    limit=most or MOST_A_PAGE,
                    batch_id=batch_id,
                    after=after,
                    counts=after is None,
                )
            )
            yield page
            after = page.get("next")
            if after is None or most:
                return

    def outdated(self) -> Iterator[IndexList]:
        """The pages of those that the next major version does not open."""
        after = None
        while True:
            page = self.client.ask(requests.outdated(after), IndexList)
            yield page
            after = page.next
            if after is None:
                return

    def print_curl(self, *wanted: Request, then: str = "") -> None:
        """`then`: what is to be done with the last answer, as a comment."""
        lines = [self.curl_of(request) for request in wanted]
        tables.say_lines([*lines, *([f"# {then}"] if then else [])])

    def print_json(self, answer: Any) -> None:
        tables.say_lines([json.dumps(answer, ensure_ascii=False, indent=2)])


def index_name(given: str) -> str:
    """`given`, where it can be the name of an index: anything else would be another route."""
    try:
        return IndexName(given)
    except InvalidIndexName as error:
        raise Misuse(error.message) from None


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
