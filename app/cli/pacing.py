"""The commands about the pace: `pace show`, `set`, `reset`, `stop`, `go-on`."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from app.cli import asking, display, requests
from app.cli.client import Misuse
from app.cli.requests import Call
from app.cli.session import Session, batch_id, index_name
from app.domain.errors import InvalidPace
from app.domain.hours import Hours
from app.domain.pace import LEAST_RATE, MOST_RATE, MOST_WINDOWS, plain
from app.wire.pace import MOST_HOURS, MOST_REASON, HoursReport, PaceAnswer

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
            return f"{requests.batch_path(batch_id(self.batch))}/pace"
        if self.index is None:
            return requests.PACE
        found = "ID" if session.curl else asking.newest(session, self.index).id
        return f"{requests.operation_path(found)}/pace"


def show(session: Session, whose: Whose) -> None:
    _send(session, whose, Call("GET", whose.path(session)))


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
        body["requestsPerSecond"] = _number("--rate", rate, float, LEAST_RATE, MOST_RATE)
    if windows is not None:
        body["windowsInFlight"] = _number("--windows", windows, int, 1, MOST_WINDOWS)
    if hours:
        body["hours"] = _schedule(hours)
    if not body:
        raise Misuse("Say what is to be changed: --rate, --windows or --hours.")
    _send(session, whose, Call("PATCH", whose.path(session), body=body))


def reset(session: Session, whose: Whose) -> None:
    path = whose.path(session)
    own = Call("PUT", path, body={})
    _send(session, whose, Call("DELETE", path) if path == requests.PACE else own)


def stop(session: Session, reason: str) -> None:
    if len(reason) > MOST_REASON:
        raise Misuse(f"--reason: write at most {MOST_REASON} characters, not {len(reason):,}.")
    _send(session, Whose(), Call("POST", f"{requests.PACE}/stop", body={"reason": reason}))


def go_on(session: Session) -> None:
    _send(session, Whose(), Call("POST", f"{requests.PACE}/go-on"))


def _send(session: Session, whose: Whose, request: Call) -> None:
    if session.curl:
        first = [requests.newest_of(index_name(whose.index))] if whose.index is not None else []
        session.print_curl(*first, request)
        return
    raw = session.client.send(request)
    answer = session.client.understood(raw, PaceAnswer)
    if session.as_json:
        session.print_json(raw)
    else:
        _show(answer)


def _show(answer: PaceAnswer) -> None:
    """What is in force and why, what is set here, and what stands still."""
    facts = [("pace", answer.in_force.reason), (f"set for the {answer.scope}", _set(answer))]
    if answer.stopped:
        facts.append(("to go on", "reindex-queue pace go-on"))
    if answer.stopped and answer.stopped.blocked_indices:
        names = ", ".join(answer.stopped.blocked_indices)
        facts.append(("writes stay blocked", names))
    if answer.health.blind:
        facts.append(("health gate", f"the cluster cannot be looked at: {answer.health.blind}"))
    display.show_grid(facts)


def _set(answer: PaceAnswer) -> str:
    """As the options that would set it."""
    rate, windows = answer.requests_per_second, answer.windows_in_flight
    words = [] if rate is None else [f"--rate {plain(rate)}"]
    words += [] if windows is None else [f"--windows {windows}"]
    words += [f"--hours '{_hours_of(hours)}'" for hours in answer.hours or ()]
    source = "" if answer.stored or answer.scope != "service" else " (by the settings)"
    return (" ".join(words) or "nothing") + source


def _hours_of(hours: HoursReport) -> str:
    days = ",".join(hours.days) + " " if hours.days else ""
    return f"{days}{hours.start}-{hours.end} {hours.zone}"


def _number(
    option: str, text: str, kind: type[int] | type[float], least: float, most: float
) -> float | None:
    if text == NONE:
        return None
    try:
        number = kind(text)
    except ValueError:
        number = math.nan
    if not least <= number <= most:  # nan is not, either
        stop = " To let nothing run: reindex-queue pace stop." if number == 0 else ""
        raise Misuse(
            f"{option} {text!r}: write a number from {plain(least)} to {plain(most)}, or {NONE} "
            f"for no limit.{stop}"
        )
    return number


def _schedule(hours: Sequence[str]) -> list[Mapping[str, Any]] | None:
    if list(hours) == [ALWAYS]:
        return None
    if ALWAYS in hours:
        raise Misuse(f"--hours: give hours, or {ALWAYS} alone.")
    if len(hours) > MOST_HOURS:
        raise Misuse(f"--hours: give it at most {MOST_HOURS} times, not {len(hours)} times.")
    return [_hours(text) for text in hours]


def _hours(text: str) -> Mapping[str, Any]:
    try:
        hours = Hours.parse(text)
    except InvalidPace as error:
        raise Misuse(f"--hours: {error.message}") from None
    return HoursReport.of(hours).model_dump(by_alias=True, exclude_none=True)
