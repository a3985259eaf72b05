"""Waiting for the service without loading it."""

from __future__ import annotations

import asyncio
import time

from tests.e2e.process import ServiceProcess

PAUSE, LONGEST = 0.25, 3600.0


async def worked_off(service: ServiceProcess) -> None:
    """Waits until the queue is empty; its page costs the service little when it is short."""
    deadline = time.monotonic() + LONGEST
    while await service.api.queue():
        assert time.monotonic() < deadline, "the queue is not worked off"
        await asyncio.sleep(PAUSE)
