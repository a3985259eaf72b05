"""How fast copies may go, who has said so, and the rules by which one is tighter than another."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from pydantic import BaseModel, ConfigDict

from app.domain.errors import InvalidPace
from app.domain.hours import HoursEnd, Schedule, last_change
from app.domain.remedies import RoutePath

LEAST_RATE, MOST_RATE = 0.1, 10_000_000.0
"""Documents a second that can be asked for."""
MOST_WINDOWS = 50
WINDOW_RATE = 10.0
"""Documents a second that a window has at least before there is another beside it."""


class Scope(StrEnum):
    SERVICE = "service"
    BATCH = "batch"
    OPERATION = "operation"


class Pace(BaseModel):
    """What is set in one place; None does not limit.

    `requests_per_second`: documents a second, as Elasticsearch means it.
    """

    model_config = ConfigDict(frozen=True)

    requests_per_second: float | None = None
    windows_in_flight: int | None = None
    hours: Schedule | None = None

    def checked(self) -> Pace:
        """Itself. Raises `InvalidPace`."""
        rate, windows = self.requests_per_second, self.windows_in_flight
        if rate is not None and not (math.isfinite(rate) and LEAST_RATE <= rate <= MOST_RATE):
            raise InvalidPace(
                f"requestsPerSecond must be a number from {LEAST_RATE:g} to {MOST_RATE:,.0f}, or "
                f"null for no limit. To let nothing run, stop it: {RoutePath.STOP}."
            )
        if windows is not None and not 1 <= windows <= MOST_WINDOWS:
            raise InvalidPace(f"windowsInFlight must be a number from 1 to {MOST_WINDOWS}.")
        if self.hours == ():
            raise InvalidPace("hours without any hours never open. null is for always.")
        return self


NO_LIMIT = Pace()


class Stop(BaseModel):
    """Somebody stopped everything."""

    model_config = ConfigDict(frozen=True)

    by: str
    at: datetime
    reason: str = ""


class ClusterHealth(BaseModel):
    """What the health gate has come to. `windows`: so many at once, 0: none; None: no limit.

    `blind`: why the cluster could not be looked at last.
    """

    model_config = ConfigDict(frozen=True)

    windows: int | None = None
    cause: str = ""
    since: datetime | None = None
    blind: str | None = None


WELL = ClusterHealth()


@dataclass(frozen=True)
class AfterHours:
    """What becomes of a blocked index when the hours end; `grace`: seconds it may go on."""

    end: HoursEnd = HoursEnd.FINISH
    grace: float = 7_200.0


@dataclass(frozen=True)
class AtOnce:
    """How many windows at once: `planned` without the health gate, `now` with it.

    `by`: which scope asks for so few, None where so low a rate is not shared by more. `gated`: the
    health gate allows fewer than that.
    """

    planned: int
    now: int
    by: Scope | None

    @property
    def gated(self) -> bool:
        return self.now < self.planned


@dataclass(frozen=True)
class Said:
    """Everything that has a say in one operation's pace.

    `usual_windows`: at once where nobody has said anything; fewer are a limit.
    """

    service: Pace
    batch: Pace = NO_LIMIT
    operation: Pace = NO_LIMIT
    stop: Stop | None = None
    health: ClusterHealth = WELL
    usual_windows: int = 1
    after_hours: AfterHours = AfterHours()

    def scopes(self) -> Iterator[tuple[Scope, Pace]]:
        yield Scope.OPERATION, self.operation
        yield Scope.BATCH, self.batch
        yield Scope.SERVICE, self.service

    @property
    def schedules(self) -> list[Schedule]:
        return [pace.hours for _, pace in self.scopes() if pace.hours is not None]

    def rate(self, copying: int) -> tuple[float | None, Scope | None]:
        """The lowest, in documents a second, and whose it is. The service's is for all copies, of
        which there are `copying`."""
        shares = {Scope.SERVICE: max(1, copying)}
        rates = [
            (pace.requests_per_second / shares.get(scope, 1), scope)
            for scope, pace in self.scopes()
            if pace.requests_per_second is not None
        ]
        return min(rates, key=lambda found: found[0], default=(None, None))

    def windows(self, rate: float | None) -> AtOnce:
        """`rate`: documents a second of the operation, which few windows share where it is low."""
        asked: list[tuple[int, Scope | None]] = [
            (pace.windows_in_flight, scope)
            for scope, pace in self.scopes()
            if pace.windows_in_flight is not None
        ]
        if rate is not None:
            asked.append((max(1, int(rate // WINDOW_RATE)), None))
        planned, by = min(asked, key=lambda found: found[0])
        allowed = self.health.windows
        return AtOnce(planned, planned if allowed is None else min(planned, allowed), by)

    def late_until(self, now: datetime) -> datetime | None:
        """Until when what is blocked goes on after the end of the hours; None: it does not."""
        ended = last_change(self.schedules, now)
        if self.after_hours.end is not HoursEnd.FINISH or ended is None:
            return None
        until = ended + timedelta(seconds=self.after_hours.grace)
        return until if now < until else None


@dataclass(frozen=True)
class Limit:
    """What is in force for one operation now, and why, in words.

    `limits`: those parts of `reason` that slow copies down; empty where nothing does.
    `windows_planned`: windows at once but for the health gate, whose mood changes. `closed`: why
    nothing is copied at all, `until` when that changes; `stopped`: by a person. `ill`: why the
    health gate lets nothing new start. `copying`: so many operations copy now, this one included.
    `opened`: while there are hours and they are open, since when. `gives_back`: `closed` is the end
    of the hours, at which a blocked index is given back.
    """

    requests_per_second: float | None
    windows_in_flight: int
    reason: str
    limits: tuple[str, ...] = ()
    windows_planned: int = 3
    rate_of: Scope | None = None
    closed: str | None = None
    until: datetime | None = None
    stopped: bool = False
    ill: str | None = None
    copying: int = 1
    opened: datetime | None = None
    gives_back: bool = False

    @property
    def rate_together(self) -> float:
        """Documents a second of all that share the rate, where there is one."""
        rate = self.requests_per_second or math.inf
        return rate * self.copying if self.rate_of is Scope.SERVICE else rate

    def share(self, windows: int) -> float | None:
        """Of one of so many windows in flight."""
        rate = self.requests_per_second
        return None if rate is None else rate / max(1, windows)


UNLIMITED = Limit(None, 3, "")


def plain(rate: float) -> str:
    """`500`, `0.1`, `1000000`: a rate as one would type it."""
    return f"{rate:.2f}".rstrip("0").rstrip(".")
