"""Waiting for something to become true, instead of sleeping."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable

PAUSE = 0.02

What = str | Callable[[], str]
"""What is waited for, in words; a function tells it when it did not come."""


async def eventually(
    condition: Callable[[], Awaitable[object]],
    what: What,
    seconds: float = 30.0,
    pause: float = PAUSE,
) -> None:
    """Waits until `condition` is true; fails with `what` was awaited after `seconds`."""
    deadline = time.monotonic() + seconds
    while not await condition():
        _in_time(deadline, what, seconds)
        await asyncio.sleep(pause)


async def turns(count: int) -> None:
    """Lets the others on the event loop run so many times; no time passes for it."""
    for _ in range(count):
        await asyncio.sleep(0)


def until(
    condition: Callable[[], object], what: What, seconds: float = 30.0, pause: float = PAUSE
) -> None:
    """As `eventually`, where nothing else runs meanwhile."""
    deadline = time.monotonic() + seconds
    while not condition():
        _in_time(deadline, what, seconds)
        time.sleep(pause)


def _in_time(deadline: float, what: What, seconds: float) -> None:
    if time.monotonic() > deadline:
        raise AssertionError(
            f"not within {seconds:g} s: {what if isinstance(what, str) else what()}"
        )
