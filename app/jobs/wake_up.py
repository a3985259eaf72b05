"""The in-process bell: something changed, look again."""

from __future__ import annotations

import asyncio
from collections.abc import Generator
from contextlib import contextmanager


class Bell:
    """Wakes everybody who listens. It carries no data: the store is what is true."""

    def __init__(self) -> None:
        self._ears: set[asyncio.Event] = set()

    def ring(self) -> None:
        for ear in self._ears:
            ear.set()

    @contextmanager
    def listening(self) -> Generator[Ear]:
        """An ear that hears every ring from now on, also between two waits."""
        event = asyncio.Event()
        self._ears.add(event)
        try:
            yield Ear(event)
        finally:
            self._ears.discard(event)


class Ear:
    """One listener's side of the bell."""

    def __init__(self, event: asyncio.Event) -> None:
        self._event = event

    async def wait(self, seconds: float) -> bool:
        """Waits for a ring since the last wait, or the time; True where the bell was rung."""
        try:
            await asyncio.wait_for(self._event.wait(), max(seconds, 0))
        except TimeoutError:
            return False
        self._event.clear()
        return True
