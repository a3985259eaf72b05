"""Wake-ups inside one process: something has changed, look again."""

from __future__ import annotations

import asyncio
from collections.abc import Generator
from contextlib import contextmanager


class WakeUps:
    """Wakes every subscriber. A wake-up carries no data: what is true stands in the store."""

    def __init__(self) -> None:
        self._subscribers: set[asyncio.Event] = set()

    def wake(self) -> None:
        for event in self._subscribers:
            event.set()

    @contextmanager
    def subscribed(self) -> Generator[Subscription]:
        """A subscription that misses no wake-up from now on, also between two waits."""
        event = asyncio.Event()
        self._subscribers.add(event)
        try:
            yield Subscription(event)
        finally:
            self._subscribers.discard(event)


class Subscription:
    """One subscriber's side of the wake-ups."""

    def __init__(self, event: asyncio.Event) -> None:
        self._event = event

    async def wait(self, seconds: float) -> bool:
        """Waits for a wake-up since the last wait, or for the time; True where one came."""
        try:
            await asyncio.wait_for(self._event.wait(), max(seconds, 0))
        except TimeoutError:
            return False
        # Cleared before the caller looks: what changes while it looks wakes it once more.
        self._event.clear()
        return True
