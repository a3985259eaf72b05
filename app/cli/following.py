"""`events`: what has happened, and what happens from now on."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
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
MOST_REST_SECONDS = 15.0
LASTED_SECONDS = 5.0
"""A stream that went on for so long was one, though it had nothing to tell."""
ENDS = "its streams of events end as soon as they have begun"


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
            tell_on(session, wanted, newest)
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


def tell_on(session: Session, wanted: EventsWanted, last_id: str | None) -> None:
    """For ever; after a cut it goes on behind the last event. Raises `ServiceAway` where no stream
    has lasted for `PATIENCE_SECONDS`."""
    seen_at, rest, told = time.monotonic(), REST_SECONDS, False
    while True:
        began, lasted, away = None, False, None
        try:
            lines = session.client.lines(requests.event_stream(wanted, last_id))
            for message in messages(lines):
                began = began or time.monotonic()
                last_id = message.last_id or last_id
                lasted = lasted or message.is_sign_of_life
                if message.data:
                    _say(session, [json.loads(message.data)])
        except ServiceAway as error:
            away = error
        now = time.monotonic()
        if lasted or (began is not None and now - began > LASTED_SECONDS):
            seen_at, rest, told = now, REST_SECONDS, False
        elif away is None:
            away = ServiceAway(f"{session.client.shown}: {ENDS}.")
        if away is not None and now - seen_at > PATIENCE_SECONDS:
            raise away
        if away is not None and not told:
            tell(f"waiting for the service: {away.message}")
            told = True
        time.sleep(rest)
        rest = min(2 * rest, MOST_REST_SECONDS)


@dataclass(frozen=True)
class Message:
    """Of a stream of Server-Sent Events; None where it does not have it."""

    last_id: str | None = None
    data: str | None = None
    comment: str | None = None

    @property
    def is_sign_of_life(self) -> bool:
        """An event, or a heartbeat: the beginning of a stream is neither."""
        return self.data is not None or self.comment is not None


def messages(lines: Iterable[str]) -> Iterator[Message]:
    """The messages of a stream; one that was cut is none."""
    message = Message()
    for line in lines:
        if not line:
            yield message
            message = Message()
        field, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if field == "id":
            message = replace(message, last_id=value)
        elif field == "data":
            data = value if message.data is None else f"{message.data}\n{value}"
            message = replace(message, data=data)
        elif line.startswith(":"):
            message = replace(message, comment=value)


def _say(session: Session, raw: Sequence[Any]) -> None:
    if session.as_json:
        display.say_lines(json.dumps(event, ensure_ascii=False) for event in raw)
        return
    for event in raw:
        display.say(views.event_line(session.client.understood(event, LoggedEvent)))
