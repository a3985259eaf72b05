"""A question to the database for whoever wants to know how it is, asked once for all of them."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from app.domain.clock import boot_seconds

REMEMBERED_SECONDS = 2.0
"""So long is an answer taken for true."""


class Probe:
    """One question at a time: one that waits is not asked again, however many want its answer, and
    it is not cancelled when they have waited long enough."""

    def __init__(self, ask: Callable[[], Awaitable[None]]) -> None:
        self._ask = ask
        self._asked: asyncio.Future[None] | None = None
        self._true_until = 0.0

    async def answered(self, seconds: float) -> bool:
        """False where that takes longer. Raises what the question raises."""
        asked = self._asked
        if asked is None or (asked.done() and boot_seconds() > self._true_until):
            asked = self._asked = asyncio.ensure_future(self._ask())
            asked.add_done_callback(self._remember)
        done, _ = await asyncio.wait([asked], timeout=seconds)
        if done:
            asked.result()
        return bool(done)

    def _remember(self, asked: asyncio.Future[None]) -> None:
        self._true_until = boot_seconds() + REMEMBERED_SECONDS
        if not asked.cancelled():
            asked.exception()  # seen, though nobody may ask for it any more
