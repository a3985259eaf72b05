"""What a rate leaves while documents are copied, counted over time."""

from __future__ import annotations

import time
from collections.abc import Callable


class Allowance:
    """What was taken in advance of a rate: the first batch of a task comes at once.

    Before the next task starts, it has to be made up for; so small indices keep the rate, too.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._even_at = 0.0

    def due(self) -> float:
        """Seconds until the next task may start."""
        return max(0.0, self._even_at - self._clock())

    def take(self, documents: int, rate: float) -> None:
        """`rate`: documents a second of all that share this."""
        self._even_at = max(self._even_at, self._clock()) + documents / rate
