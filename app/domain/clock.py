"""Times to store and to show, and how much time has really passed since one of them.

The wall clock can be set while the service runs (NTP, a restored machine, a person), so nothing is
waited for by it. Within a process the boot clock tells how much time has passed, whatever the wall
clock was set to meanwhile. A time that an earlier process has stored is taken as it is; one that
lies in the future is impossible, and counts from when this process first saw it: what is waited
for takes its whole length once, and never the length of the jump.

Hours of the day are of the wall clock, as people mean them.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

JUMP_SECONDS = 0.5
"""The wall clock was set where it has moved by more than this against the boot clock since the last
look. Less is what NTP does to a clock that runs wrong; it is followed."""
ROUNDING = 1e-3
"""Seconds; stored times are in whole microseconds."""
MOST_ERAS = 50
MOST_REMEMBERED = 5_000


def boot_seconds() -> float:
    """Since boot; goes on while the machine sleeps, and nobody can set it."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


@dataclass
class _Era:
    """Between two settings of the wall clock: from `begins`, by the boot clock, it showed that
    plus `offset`."""

    begins: float
    offset: float


class Clock:
    """`wall` and `boot` answer seconds. One for a process; see `now` and its fellows below."""

    def __init__(
        self, wall: Callable[[], float] = time.time, boot: Callable[[], float] = boot_seconds
    ) -> None:
        self._wall, self._boot = wall, boot
        self._started = boot()
        self._eras = [_Era(-math.inf, wall() - self._started)]
        self._moments: dict[datetime, float] = {}

    def now(self) -> datetime:
        """The wall clock, in UTC."""
        return _time(self._look() + self._eras[-1].offset)

    def elapsed(self, since: datetime) -> float:
        """Seconds since the wall clock showed `since`, however it was set meanwhile; 0 or more."""
        return max(0.0, self._look() - self._moment(since))

    def left(self, since: datetime, seconds: float) -> float:
        """Seconds until `seconds` will have passed since then; 0 where they have."""
        return max(0.0, seconds - self.elapsed(since))

    def as_of_now(self, then: datetime) -> datetime:
        """`then` as the clock would have shown it had it always been set as it is now: two times
        that are seen so differ by what has passed between them."""
        moment = self._moment(then)
        if len(self._eras) == 1 and then <= self.now():
            return then
        return _time(moment + self._eras[-1].offset)

    def reached(self, end: datetime, set_at: datetime) -> bool:
        """Has the time `end` come, which was worked out when the clock showed `set_at`?

        Where an earlier process did that, nobody knows how its clock was set: then the time has
        come when every setting that this process has seen says so.
        """
        boot = self._look()
        era = self._era_of(set_at) if self._moment(set_at) >= self._started else None
        offsets = [era.offset] if era else [era.offset for era in self._eras]
        return all(end.timestamp() <= boot + offset for offset in offsets)

    def latest(self) -> datetime:
        """What the clock would show by the most advanced of its settings: no end after that has
        been `reached`."""
        return _time(self._look() + max(era.offset for era in self._eras))

    def earliest(self) -> datetime:
        """What the clock would show by the least advanced of its settings: what is old by that is
        old by each of them."""
        return _time(self._look() + min(era.offset for era in self._eras))

    def shown_within(self, seconds: float) -> tuple[datetime, datetime]:
        """The least and the greatest time that the clock has shown within the last seconds."""
        boot = self._look()
        since = boot - seconds
        shown: list[float] = []
        for era, ends in self._spans(boot):
            if ends >= since:
                shown += [max(era.begins, since) + era.offset, ends + era.offset]
        return _time(min(shown)), _time(max(shown))

    def _look(self) -> float:
        """The boot clock now; notices where the wall clock was set since the last look."""
        boot = self._boot()
        offset = self._wall() - boot
        era = self._eras[-1]
        if abs(offset - era.offset) <= JUMP_SECONDS:
            era.offset = offset
            return boot
        self._eras.append(_Era(boot, offset))
        if len(self._eras) > MOST_ERAS:
            del self._eras[0]
            self._eras[0].begins = -math.inf
        return boot

    def _moment(self, then: datetime) -> float:
        """When the wall clock showed `then`, by the boot clock; the first answer is kept."""
        boot = self._look()
        if (known := self._moments.get(then)) is not None:
            return known
        era = self._era_of(then)
        moment = min(then.timestamp() - (era or self._eras[-1]).offset, boot)
        if len(self._moments) >= MOST_REMEMBERED:
            del self._moments[next(iter(self._moments))]
        self._moments[then] = moment
        return moment

    def _era_of(self, then: datetime) -> _Era | None:
        """The last one in which the clock showed `then`; None for what it has skipped, and for
        the future."""
        shown = then.timestamp()
        for era, ends in reversed(self._spans(self._boot())):
            if era.begins - ROUNDING <= shown - era.offset <= ends + ROUNDING:
                return era
        return None

    def _spans(self, boot: float) -> list[tuple[_Era, float]]:
        ends = [*(era.begins for era in self._eras[1:]), boot]
        return list(zip(self._eras, ends, strict=True))


def from_milliseconds(milliseconds: int) -> datetime:
    return _time(milliseconds / 1000)


def _time(seconds: float) -> datetime:
    return datetime.fromtimestamp(0, UTC) + timedelta(seconds=seconds)


_process = Clock()
now = _process.now
elapsed = _process.elapsed
left = _process.left
as_of_now = _process.as_of_now
reached = _process.reached
latest = _process.latest
earliest = _process.earliest
shown_within = _process.shown_within
