"""`events`: what has happened, and what happens from now on."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import typer

from app.cli import display, requests, views
from app.cli.client import Misuse, ServiceAway
from app.cli.requests import EventsWanted
from app.cli.session import INTERRUPTED, Session, batch_id, tell
from app.cli.watching import PATIENCE_SECONDS
from app.domain.events import EventKind
from app.wire.events import EventList, LoggedEvent
from app.wire.notation import MOST_A_PAGE

NEWEST = 50
"""So many are shown where not all of them are wanted."""
REST_SECONDS = 1.0


def wanted_events(batch: str | None, kinds: Sequence[str]) -> EventsWanted:
    """Raises `Misuse`."""
    for kind in kinds:
        if kind not in set(EventKind):
            raise Misuse(f"--kind {kind!r}: there is no such kind; docs/events.md lists them.")
    return EventsWanted(None if batch is None else batch_id(batch), kinds)


def show(session: Session, wanted: EventsWanted, *, follow: bool, everything: bool) -> None:
    if session.curl:
        _show_curl(session, wanted, follow=follow, everything=everything)
        return
    try:
        pages = _all(session, wanted) if everything else _newest(session, wanted)
        newest = None
        for page, cursor in pages:
            _say(session, page)
            newest = cursor
        if follow:
            _follow(session, wanted, newest)
    except KeyboardInterrupt:
        raise typer.Exit(INTERRUPTED) from None


def _show_curl(session: Session, wanted: EventsWanted, *, follow: bool, everything: bool) -> None:
    if follow:
        session.print_curl(
            requests.event_stream(wanted),
            then="after a cut again with -H 'last-event-id: …' and the last id",
        )
    elif everything:
        session.print_curl(
            requests.events(wanted, limit=MOST_A_PAGE),
            then="where next is not null, again with &after= and its value",
        )
    else:
        session.print_curl(requests.events(wanted, limit=NEWEST, newest_first=True))


def _all(session: Session, wanted: EventsWanted) -> Iterator[tuple[list[Any], str]]:
    """The pages from the first event on, each with the cursor behind the newest event by then."""
    after = None
    while True:
        raw, page = _page(session, requests.events(wanted, limit=MOST_A_PAGE, after=after))
        yield raw, page.newest
        after = page.next
        if after is None:
            return


def _newest(session: Session, wanted: EventsWanted) -> Iterator[tuple[list[Any], str]]:
    """One page of the newest events, the oldest of them first. The service may look for them in
    several steps."""
    found: list[Any] = []
    after, newest = None, None
    while True:
        limit = NEWEST - len(found)
        raw, page = _page(
            session, requests.events(wanted, limit=limit, after=after, newest_first=True)
        )
        found += raw
        newest = newest or page.newest
        after = page.next
        if after is None or len(found) >= NEWEST:
            yield found[::-1], newest
            return


def _page(session: Session, request: requests.Call) -> tuple[list[Any], EventList]:
    raw = session.client.send(request)
    return raw["events"], session.client.understood(raw, EventList)


def _follow(session: Session, wanted: EventsWanted, last_id: str | None) -> None:
    """For ever; after a cut it goes on behind the last event."""
    seen_at, told = time.monotonic(), False
    while True:
        try:
            lines = session.client.lines(requests.event_stream(wanted, last_id))
            for given_id, data in messages(lines):
                last_id = given_id or last_id
                seen_at, told = time.monotonic(), False
                if data:
                    _say(session, [json.loads(data)])
        except ServiceAway as error:
            if time.monotonic() - seen_at > PATIENCE_SECONDS:
                raise
            if not told:
                tell(f"waiting for the service: {error.message}")
            told = True
        time.sleep(REST_SECONDS)


def messages(lines: Iterable[str]) -> Iterator[tuple[str | None, str | None]]:
    """The id and the data of each message of a stream of Server-Sent Events; None where it has
    none."""
    last_id, data = None, None
    for line in lines:
        if not line:
            yield last_id, data
            last_id, data = None, None
        field, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if field == "id":
            last_id = value
        elif field == "data":
            data = value if data is None else f"{data}\n{value}"


def _say(session: Session, raw: Sequence[Any]) -> None:
    if session.as_json:
        display.say_lines(json.dumps(event, ensure_ascii=False) for event in raw)
        return
    for event in raw:
        display.say(views.event_line(session.client.understood(event, LoggedEvent)))
