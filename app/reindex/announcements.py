"""The in-process bell: something changed, look again."""

from __future__ import annotations

import asyncio


class Bell:
    """Wakes whoever waits. It carries no data: the store is what is true."""

    def __init__(self) -> None:
        self._rung = asyncio.Event()

    def ring(self) -> None:
        self._rung.set()

    async def wait(self, seconds: float) -> bool:
        """Waits for the bell or the time; True where it was rung (since the last wait)."""
        try:
            await asyncio.wait_for(self._rung.wait(), max(seconds, 0))
        except TimeoutError:
            return False
        self._rung.clear()
        return True
