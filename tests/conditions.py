"""Waiting for something to become true, instead of sleeping."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable

PAUSE = 0.02


async def eventually(
    condition: Callable[[], Awaitable[object]],
    what: str,
    seconds: float = 30.0,
    pause: float = PAUSE,
) -> None:
    """Waits until `condition` is true; fails with `what` was awaited after `seconds`."""
    deadline = time.monotonic() + seconds
    while not await condition():
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {seconds:g} s: {what}")
        await asyncio.sleep(pause)
