"""How long the phases of a job take."""

from __future__ import annotations

import time
from collections.abc import Callable


class Stopwatch:
    """Of one job in hand. A phase takes from its first call by this process until its end, however
    often it was called and whatever it waited for meanwhile.

    `clock` answers seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._began: dict[str, float] = {}
        self._ended: dict[str, float] = {}

    def begin(self, phase: str) -> None:
        """It is called, for the first time or once more."""
        self._began.setdefault(phase, self._clock())

    def end(self, phase: str) -> None:
        """It has answered that it is done; that is not saved yet."""
        self._ended[phase] = self._clock() - self._began[phase]

    def take(self, *, saved: bool) -> list[tuple[str, float]]:
        """The phases that have ended since the last call, with their seconds.

        None where their ends were not saved: then they are called again, and go on being timed.
        """
        ended, self._ended = self._ended, {}
        if not saved:
            return []
        for phase in ended:
            del self._began[phase]
        return [*ended.items()]
