"""Streams of events: one look at the store a second for all of them, while somebody listens.

PostgreSQL's LISTEN would need a session of its own, which poolers do not give.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

from app.domain import clock
from app.domain.cursor import Places, cursor_text, parse_cursor
from app.domain.errors import (
    InvalidCursor,
    StoreFault,
    StoreTrouble,
    StoreUnavailable,
    TooManyStreams,
)
from app.jobs.term import WakeUps
from app.sites.event_pages import EventPage, EventPages, WantedEvents
from app.sites.recent_events import Recent, Told
from app.store.events import Event
from app.telemetry import Instruments, logger

log = logger(__name__)

MOST_A_LOOK = 500
"""Events that are read from the store at once."""
MOST_A_PIECE = 100
"""Events that a stream is given at once."""
MOST_READING = 2
"""Questions of all streams together that the store is asked at once: the worker must not wait for
a connection behind hundreds of readers that catch up."""


@dataclass(frozen=True)
class StreamLimits:
    """`most` streams; `kept`, `kept_size`: events that are kept in memory for all of them together,
    and their characters, so a stream that is farther behind reads from the store. `piece_size`:
    characters that a stream is given at once, where that is more than one event. `slow_seconds`: a
    reader that takes nothing for so long is cut. `open_seconds`: so long a new stream waits for
    its turn to ask the store."""

    most: int = 200
    kept: int = 4_000
    kept_size: int = 8 * 2**20
    piece_size: int = 256 * 2**10
    poll_seconds: float = 1.0
    heartbeat_seconds: float = 15.0
    slow_seconds: float = 15.0
    open_seconds: float = 30.0


USUAL_LIMITS = StreamLimits()
Piece = list[tuple[str, str]]
"""Events as they are shown, each behind the cursor that is behind it."""


@dataclass(frozen=True)
class _Read:
    """Of a page as much as makes a piece. `places`: behind it; `whole`: that was the page."""

    piece: Piece
    places: Places
    whole: bool


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
        instruments: Instruments | None = None,
    ) -> None:
        self.pages = pages
        self.show = show
        self.limits = limits
        self.recent = Recent(limits.kept, limits.kept_size)
        self.wake_ups = WakeUps()
        self._instruments = instruments or Instruments()
        self._instruments.expect_events(pages.log.clusters)
        self._seen: dict[str, int] = {}
        self._open: set[EventStream] = set()
        self._turns = asyncio.Semaphore(MOST_READING)
        self._reading: set[asyncio.Task[_Read]] = set()
        self._looking: asyncio.Task[None] | None = None
        self._over = False

    def __len__(self) -> int:
        return len(self._open)

    async def open(self, wanted: WantedEvents, cursor: str | None) -> EventStream:
        """A stream from the cursor on; without one, of what happens from now on. To be closed.

        Raises `TooManyStreams`, `InvalidCursor`, `StoreTrouble`.
        """
        if len(self._open) >= self.limits.most:
            raise TooManyStreams(self.limits.most)
        stream = EventStream(self, wanted)
        self._open.add(stream)  # before anything is waited for: two must not take one place
        self._instruments.event_streams.set(len(self._open))
        try:
            heads = await self._heads()
            given = heads
            if cursor:
                self.pages.check(given := parse_cursor(cursor), heads, wanted)
        except BaseException:
            stream.close()
            raise
        stream.places = {cluster: given.get(cluster, 0) for cluster in wanted.clusters}
        if self._looking is None or self._looking.done():
            self._seen = dict(heads)
            self._looking = asyncio.create_task(self._look_on(), name="event streams")
        if self._over:
            stream.end()
        return stream

    def has_seen_more(self, stream: EventStream) -> bool:
        """True where the looks for all streams are ahead of this one."""
        return any(self._seen[cluster] > place for cluster, place in stream.places.items())

    def forget(self, stream: EventStream) -> None:
        self._open.discard(stream)
        self._instruments.event_streams.set(len(self._open))

    def read(self, stream: EventStream, most: int) -> asyncio.Task[_Read]:
        """The next page for a stream, when it is its turn. It is not cancelled where the stream
        does not wait for it any more: a statement that is cut costs its connection."""
        task = asyncio.create_task(self._read(stream, most), name="a page of a stream")
        self._reading.add(task)
        task.add_done_callback(self._reading.discard)
        task.add_done_callback(lambda done: done.cancelled() or done.exception())
        return task

    def end(self) -> None:
        """Ends all streams, also those that are opened from now on: the service is stopped."""
        self._over = True
        self._end_open()

    async def close(self) -> None:
        self.end()
        tasks: list[asyncio.Task[Any]] = [*self._reading]
        if self._looking is not None:
            tasks.append(self._looking)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _end_open(self) -> None:
        for stream in self._open:
            stream.end()

    async def _heads(self) -> dict[str, int]:
        try:
            async with asyncio.timeout(self.limits.open_seconds):
                await self._turns.acquire()
        except TimeoutError:
            raise StoreUnavailable(
                "The database is busy with other streams of events. Try again."
            ) from None
        try:
            return await self.pages.log.heads()
        finally:
            self._turns.release()

    async def _read(self, stream: EventStream, most: int) -> _Read:
        async with self._turns:
            if stream.over:
                return _Read([], stream.places, whole=True)
            page = await self.pages.page(stream.wanted, stream.places, most)
            return self._as_piece(page, stream.places)

    def _as_piece(self, page: EventPage, places: Places) -> _Read:
        at, piece, left = dict(places), Piece(), self.limits.piece_size
        for event in page.events:
            shown = self.show(event)
            left -= len(shown)
            if piece and left < 0:
                return _Read(piece, at, whole=False)
            at[event.cluster_id] = event.number
            piece.append((cursor_text(at), shown))
        return _Read(piece, page.next or page.newest, whole=True)

    async def _look_on(self) -> None:
        """Looks until nobody listens any more; a database that is away is waited for."""
        away = False
        try:
            while self._open:
                try:
                    await self._look()
                    away = False
                except StoreFault:
                    raise
                except StoreTrouble as error:
                    if not away:
                        log.warning("event_streams_wait", reason=error.message)
                    away = True
                await asyncio.sleep(self.limits.poll_seconds)
        except Exception as error:
            log.error("event_streams_crashed", exc_info=error)
        finally:
            self._end_open()  # whoever still listens comes back with a cursor

    async def _look(self) -> None:
        heads = await self.pages.log.heads()
        if lost := [cluster for cluster, head in heads.items() if head < self._seen[cluster]]:
            # An older copy of the database is in its place: numbers come a second time.
            log.warning("event_log_went_back", clusters=lost)
            self._seen = heads
            self._end_open()
            return
        for cluster, head in heads.items():
            while (seen := self._seen[cluster]) < head:
                found = await self.pages.log.between(
                    cluster, seen, head, limit=MOST_A_LOOK, with_indices=True
                )
                # Together, without a wait between: `has_seen_more` must never be wrong.
                self.recent.add([self._told(event) for event in found])
                self._seen[cluster] = head if len(found) < MOST_A_LOOK else found[-1].number
                self.wake_ups.wake()
                self._note_lag(cluster, found)

    def _note_lag(self, cluster: str, told: Sequence[Event]) -> None:
        now = clock.now()
        for event in told:
            self._instruments.told(cluster, (now - event.at).total_seconds())

    def _told(self, event: Event) -> Told:
        shown, concealed = self.show(event), event.without_documents()
        return Told(
            cluster_id=event.cluster_id,
            number=event.number,
            job_id=event.job_id,
            batch_id=event.batch_id,
            what=event.what,
            shown=shown,
            concealed=shown if concealed == event else self.show(concealed),
            indices=event.indices,
        )


class EventStream:
    """One reader. `places`: behind what it was given; `over`: it is given nothing more."""

    def __init__(self, streams: EventStreams, wanted: WantedEvents) -> None:
        self._streams = streams
        self.wanted = wanted
        self._stack = ExitStack()
        self._news = self._stack.enter_context(streams.wake_ups.subscribed())
        self._over = asyncio.Event()
        self._place: int | None = None
        self._page: asyncio.Task[_Read] | None = None
        self._most = MOST_A_PIECE
        self.places: Places = {}

    @property
    def limits(self) -> StreamLimits:
        return self._streams.limits

    @property
    def cursor(self) -> str:
        return cursor_text(self.places)

    @property
    def over(self) -> bool:
        return self._over.is_set()

    async def ended(self) -> None:
        """Waits until it is over."""
        await self._over.wait()

    def end(self) -> None:
        self._over.set()
        self._news.wake()

    def close(self) -> None:
        self.end()
        self._streams.forget(self)
        self._stack.close()

    async def more(self, seconds: float) -> Piece:
        """The next events, each with the cursor behind it; none where none came for so long, and
        now and then for another reason."""
        if self._place is None:
            if self._page is not None or self._streams.has_seen_more(self):
                return await self._read(seconds)
            # Nothing is waited for between the question and this: no event can come between.
            self._place = self._streams.recent.end
        size = self.limits.piece_size
        found = self._streams.recent.after(self._place, MOST_A_PIECE, size)
        if found is None:
            self._place = None
            return []
        if not found:
            await self._news.wait(seconds)
            return []
        self._place += len(found)
        concealed = self.wanted.filter.reach.limited
        return [
            (self.cursor, told.concealed if concealed else told.shown)
            for told in found
            if self._passes(told)
        ]

    def _passes(self, told: Told) -> bool:
        """True where it is wanted and new; it is behind the stream's place from now on."""
        place = self.places.get(told.cluster_id)
        if place is None or told.number <= place:
            return False
        self.places = {**self.places, told.cluster_id: told.number}
        return self.wanted.filter.takes(told)

    async def _read(self, seconds: float) -> Piece:
        """What fits of the next page of the store; none where it does not come in that time."""
        if self._page is None:
            self._page = self._streams.read(self, self._most)
            self._page.add_done_callback(lambda _: self._news.wake())
        if not self._page.done():
            await self._news.wait(seconds)
        if not self._page.done():
            return []
        page, self._page = self._page, None
        if page.cancelled():
            return []
        try:
            read = page.result()
        except (InvalidCursor, StoreFault):  # its reader is told so when it comes back
            self.end()
            return []
        except StoreTrouble:
            await self._news.wait(min(seconds, self.limits.poll_seconds))
            return []
        self.places = read.places
        self._most = min(2 * self._most, MOST_A_PIECE) if read.whole else len(read.piece)
        return read.piece
