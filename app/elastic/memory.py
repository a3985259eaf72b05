"""What was asked of a cluster before, for those who need not know it better."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

T = TypeVar("T")

REMEMBERED_SECONDS = 5.0
"""So old may be what hardly changes: versions and security, which a restart of nodes changes, and
the disks. Small operations follow each other in a third of a second."""


class Memory:
    """One for all views that share a connection; answers by name, with the time of each."""

    def __init__(self) -> None:
        self._known: dict[str, tuple[float, Any]] = {}

    async def recall(self, name: str, seconds: float, ask: Callable[[], Awaitable[T]]) -> T:
        """The answer that is at most `seconds` old (0: a fresh one); errors are not remembered."""
        known = self._known.get(name)
        if known and time.monotonic() - known[0] < seconds:
            return known[1]
        found = await ask()
        self._known[name] = time.monotonic(), found
        return found
