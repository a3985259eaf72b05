"""The commands about the pace: `pace show`, `set`, `reset`, `stop`, `go-on`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from app.api.v1.pace_schemas import PaceAnswer
from app.api.v1.schemas import OperationList
from app.cli import requests, views
from app.cli.requests import Request
from app.cli.session import Session, index_name
from app.cli.troubles import Misuse, Trouble
from app.domain.errors import InvalidPace
from app.domain.hours import DAYS, Hours, clock

NONE, ALWAYS = "none", "always"


@dataclass(frozen=True)
class Whose:
    """One index (its newest operation), one batch, or the service."""

    index: str | None = None
    batch: str | None = None

    def path(self, session: Session) -> str:
        if self.index is not None and self.batch is not None:
            raise Misuse("Name an index or a batch, not both.")
        if self.batch is not None:
            return requests.pace_of("batches", self.batch)
        if self.index is None:
            return requests.PACE
        if session.curl:
            return requests.pace_of("operations", "ID")
        return requests.pace_of("operations", _newest(session, self.index))


def show(session: Session, whose: Whose) -> None:
    _send(session, whose, Request("GET", whose.path(session)))


def change(
    session: Session,
    whose: Whose,
    *,
    rate: str | None,
    windows: str | None,
    hours: Sequence[str],
) -> None:
    """Only what is given is changed; `none` (for hours `always`) takes a limit away."""
    body: dict[str, Any] = {}
    if rate is not None:
        body["requestsPerSecond"] = _number(rate, "--rate", float)
    if windows is not None:
        body["windowsInFlight"] = _number(windows, "--windows", int)
    if hours:
        body["hours"] = None if list(hours) == [ALWAYS] else [_hours(text) for text in hours]
    if not body:
        raise Misuse("Say what is to be changed: --rate, --windows or --hours.")
    _send(session, whose, Request("PATCH", whose.path(session), body=body))


def reset(session: Session, whose: Whose) -> None:
    path = whose.path(session)
    own = Request("PUT", path, body={})
    _send(session, whose, Request("DELETE", path) if path == requests.PACE else own)


def stop(session: Session, reason: str) -> None:
    _send(session, Whose(), Request("POST", f"{requests.PACE}/stop", body={"reason": reason}))


def go_on(session: Session) -> None:
    _send(session, Whose(), Request("POST", f"{requests.PACE}/go-on"))


def _send(session: Session, whose: Whose, request: Request) -> None:
    if session.curl:
        first = [requests.newest_of(index_name(whose.index))] if whose.index is not None else []
        session.print_curl(*first, request)
        return
    raw = session.client.send(request)
    answer = session.client.understood(raw, PaceAnswer)
    if session.as_json:
        session.print_json(raw)
    else:
        views.pace(answer)


def _newest(session: Session, index: str) -> str:
    found = session.client.ask(requests.newest_of(index_name(index)), OperationList).operations
    if not found:
        raise Trouble(f"There was never an operation on {index}.")
    return found[0].id


def _number(text: str, option: str, kind: type[int] | type[float]) -> float | None:
    if text == NONE:
        return None
    try:
        return kind(text)
    except ValueError:
        raise Misuse(f"{option} {text}: write a number, or {NONE} for no limit.") from None


def _hours(text: str) -> Mapping[str, Any]:
    try:
        hours = Hours.parse(text)
    except InvalidPace as error:
        raise Misuse(f"--hours: {error.message}") from None
    whole = len(hours.days) == len(DAYS)
    days = {} if whole else {"days": [DAYS[day] for day in hours.days]}
    return {"from": clock(hours.start), "to": clock(hours.end), "zone": hours.zone, **days}
