"""Streams of events: one look at the store a second for all of them, while somebody listens.

PostgreSQL's LISTEN would need a session of its own, which poolers do not give.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import islice

from app.domain.cursor import cursor_text, parse_cursor
from app.domain.errors import StoreTrouble, TooManyStreams
from app.jobs.term import WakeUps
from app.sites.event_pages import EventPages, Wanted
from app.store.events import Event
from app.telemetry import logger

log = logger(__name__)

MOST_A_LOOK = 500
"""Events that are read from the store at once."""
MOST_A_PIECE = 100
"""Events that a stream is given at once."""


@dataclass(frozen=True)
class StreamLimits:
    """`most` streams; `kept`: events that are kept in memory for all of them together, so a stream
    that is farther behind reads from the store. `slow_seconds`: a reader that takes nothing for so
    long is cut."""

    most: int = 200
    kept: int = 4_000
    poll_seconds: float = 1.0
    heartbeat_seconds: float = 15.0
    slow_seconds: float = 15.0


USUAL_LIMITS = StreamLimits()


@dataclass(frozen=True, slots=True)
class Told:
    """An event as streams are given it: `shown` is made once for all of them."""

    cluster_id: str
    number: int
    job_id: str | None
    batch_id: str | None
    what: str
    shown: str


class Recent:
    """The events that were told last. A place is how many were told before it."""

    def __init__(self, most: int) -> None:
        self._kept: deque[Told] = deque(maxlen=most)
        self.end = 0

    def add(self, told: Sequence[Told]) -> None:
        self._kept.extend(told)
        self.end += len(told)

    def after(self, place: int, most: int) -> list[Told] | None:
        """The next ones from that place on; None where they are not kept any more."""
        skipped = place - (self.end - len(self._kept))
        if skipped < 0:
            return None
        return list(islice(self._kept, skipped, skipped + most))


class EventStreams:
    """All streams of this process.

    `show`: an event as it is streamed. A stream reads from the store until it has come as far as
    the looks that are made for all; from then on it is given what those find.
    """

    def __init__(
        self,
        pages: EventPages,
        show: Callable[[Event], str],
        limits: StreamLimits = USUAL_LIMITS,
    ) -> None:
        self.pages = pages
        self.show = show
        self.limits = limits
        self.recent = Recent(limits.kept)
        self.wake_ups = WakeUps()
        self._seen: dict[str, int] = {}
        self._open: set[EventStream] = set()
        self._looking: asyncio.Task[None] | None = None
        self._over = False

    def __len__(self) -> int:
        return len(self._open)

    async def open(self, wanted: Wanted, cursor: str | None) -> EventStream:
        """A stream from the cursor on; without one, of what happens from now on. To be closed.

        Raises `TooManyStreams`, `InvalidCursor`, `StoreTrouble`.
        """
        if len(self._open) >= self.limits.most:
            raise TooManyStreams(self.limits.most)
        stream = EventStream(self, wanted)
        self._open.add(stream)  # before anything is waited for: two must not take one place
        try:
            heads = await self.pages.log.heads()
            given = parse_cursor(cursor) if cursor else heads
            self.pages.check(given, heads)
        except BaseException:
            stream.close()
            raise
        stream.places = {cluster: given.get(cluster, 0) for cluster in wanted.clusters}
        if self._looking is None or self._looking.done():
            self._seen = dict(heads)
            self._looking = asyncio.create_task(self._look_on(), name="event streams")
        if self._over:
            stream.over = True
        return stream

    def has_seen_more(self, stream: EventStream) -> bool:
        """True where the looks for all streams are ahead of this one."""
        return any(self._seen[cluster] > place for cluster, place in stream.places.items())

    def forget(self, stream: EventStream) -> None:
        self._open.discard(stream)

    def end(self) -> None:
        """Ends all streams, also those that are opened from now on: the service is stopped."""
        self._over = True
        self._end_open()

    async def close(self) -> None:
        self.end()
        if self._looking is not None:
            self._looking.cancel()
            await asyncio.gather(self._looking, return_exceptions=True)

    def _end_open(self) -> None:
        for stream in self._open:
            stream.over = True
        self.wake_ups.wake()

    async def _look_on(self) -> None:
        """Looks until nobody listens any more; a database that is away is waited for."""
        away = False
        try:
            while self._open:
                try:
                    await self._look()
                    away = False
                except StoreTrouble as error:
                    if not away:
                        log.warning("event_streams_wait", reason=error.message)
                    away = True
                await asyncio.sleep(self.limits.poll_seconds)
        except Exception as error:
            log.error("event_streams_crashed", exc_info=error)
            self._end_open()  # their readers come back with their cursors

    async def _look(self) -> None:
        for cluster, head in (await self.pages.log.heads()).items():
            while (seen := self._seen[cluster]) < head:
                found = await self.pages.log.between(cluster, seen, head, limit=MOST_A_LOOK)
                # Together, without a wait between: `has_seen_more` must never be wrong.
                self.recent.add([self._told(event) for event in found])
                self._seen[cluster] = head if len(found) < MOST_A_LOOK else found[-1].number
                self.wake_ups.wake()

    def _told(self, event: Event) -> Told:
        return Told(
            cluster_id=event.cluster_id,
            number=event.number,
            job_id=event.job_id,
            batch_id=event.batch_id,
            what=event.what,
            shown=self.show(event),
        )


class EventStream:
    """One reader. `places`: behind what it was given; `over`: it is given nothing more."""

    def __init__(self, streams: EventStreams, wanted: Wanted) -> None:
        self._streams = streams
        self._wanted = wanted
        self._stack = ExitStack()
        self._news = self._stack.enter_context(streams.wake_ups.subscribed())
        self._place: int | None = None
        self.places: dict[str, int] = {}
        self.over = False

    @property
    def limits(self) -> StreamLimits:
        return self._streams.limits

    @property
    def cursor(self) -> str:
        return cursor_text(self.places)

    def close(self) -> None:
        self._streams.forget(self)
        self._stack.close()

    async def more(self, seconds: float) -> list[tuple[str, str]]:
        """The next events, each with the cursor behind it; none where none came for so long, and
        now and then for another reason."""
        if self._place is None:
            if self._streams.has_seen_more(self):
                return await self._read()
            # Nothing is waited for between the question and this: no event can come between.
            self._place = self._streams.recent.end
        found = self._streams.recent.after(self._place, MOST_A_PIECE)
        if found is None:
            self._place = None
            return []
        if not found:
            await self._news.wait(seconds)
            return []
        self._place += len(found)
        return [(self.cursor, told.shown) for told in found if self._passes(told)]

    def _passes(self, told: Told) -> bool:
        """True where it is wanted and new; it is behind the stream's place from now on."""
        place = self.places.get(told.cluster_id)
        if place is None or told.number <= place:
            return False
        self.places[told.cluster_id] = told.number
        return self._wanted.filter.takes(told)

    async def _read(self) -> list[tuple[str, str]]:
        """The next page of the store."""
        try:
            page = await self._streams.pages.page(self._wanted, self.places, MOST_A_PIECE)
        except StoreTrouble:
            await asyncio.sleep(self.limits.poll_seconds)
            return []
        read: list[tuple[str, str]] = []
        for event in page.events:
            self.places[event.cluster_id] = event.number
            read.append((self.cursor, self._streams.show(event)))
        self.places = dict(page.next or page.newest)
        return read
