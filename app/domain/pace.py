"""How fast copies may go, who has said so, and what of it is in force now. The tightest wins."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from pydantic import BaseModel, ConfigDict

from app.domain.errors import InvalidPace
from app.domain.hours import HoursEnd, Schedule, are_open, last_change, next_change
from app.domain.remedies import Route

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
                f"null for no limit. To let nothing run, stop it: {Route.STOP}."
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


class Health(BaseModel):
    """What the health gate has come to. `windows`: so many at once, 0: none; None: no limit.

    `blind`: why the cluster could not be looked at last.
    """

    model_config = ConfigDict(frozen=True)

    windows: int | None = None
    cause: str = ""
    since: datetime | None = None
    blind: str | None = None


WELL = Health()


@dataclass(frozen=True)
class AfterHours:
    """What becomes of a blocked index when the hours end; `grace`: seconds it may go on."""

    end: HoursEnd = HoursEnd.FINISH
    grace: float = 7_200.0


@dataclass(frozen=True)
class Said:
    """Everything that has a say in one operation's pace.

    `usual_windows`: at once where nobody has said anything; fewer are a limit.
    """

    service: Pace
    batch: Pace = NO_LIMIT
    operation: Pace = NO_LIMIT
    stop: Stop | None = None
    health: Health = WELL
    usual_windows: int = 1
    after_hours: AfterHours = AfterHours()

    def scopes(self) -> Iterator[tuple[Scope, Pace]]:
        yield Scope.OPERATION, self.operation
        yield Scope.BATCH, self.batch
        yield Scope.SERVICE, self.service

    @property
    def schedules(self) -> list[Schedule]:
        return [pace.hours for _, pace in self.scopes() if pace.hours is not None]


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


def in_force(said: Said, now: datetime, copying: int = 1, *, blocked: bool = False) -> Limit:
    """The tightest of all. The service's rate is for all copies, of which there are `copying`.

    `blocked`: the operation keeps its index from being written to.
    """
    rate, rate_of = _rate(said, copying)
    planned, windows, words = _windows(said, rate)
    is_open = are_open(said.schedules, now)
    late = _finishes_until(said, now) if blocked and not is_open else None
    stopped = _stopped(said.stop)
    closed = stopped or (None if is_open or late else _closed(said, now))
    slow, few = _rate_words(rate, rate_of, copying), windows < said.usual_windows
    hours = [_late_words(said, late)] if late else _hours_words(said, now)
    others = [*hours, *_blind_words(said.health)]
    limits = [*([slow] if slow else []), *([words] if few else []), *others]
    changes = [moment for moment in (next_change(said.schedules, now), late) if moment]
    ends = said.after_hours.end is HoursEnd.GIVE_BACK
    return Limit(
        requests_per_second=rate,
        windows_in_flight=windows,
        windows_planned=planned,
        reason=closed or ", ".join([slow or "no rate limit", words, *others]),
        limits=(closed,) if closed else tuple(limits),
        rate_of=rate_of,
        closed=closed,
        until=None if said.stop else min(changes, default=None),
        stopped=said.stop is not None,
        ill=said.health.cause if said.health.windows == 0 else None,
        copying=max(1, copying),
        opened=last_change(said.schedules, now) if is_open else None,
        gives_back=ends and blocked and not (is_open or stopped),
    )


def _finishes_until(said: Said, now: datetime) -> datetime | None:
    """Until when what is blocked goes on after the end of the hours; None: it does not."""
    ended = last_change(said.schedules, now)
    if said.after_hours.end is not HoursEnd.FINISH or ended is None:
        return None
    until = ended + timedelta(seconds=said.after_hours.grace)
    return until if now < until else None


def _rate(said: Said, copying: int) -> tuple[float | None, Scope | None]:
    shares = {Scope.SERVICE: max(1, copying)}
    rates = [
        (pace.requests_per_second / shares.get(scope, 1), scope)
        for scope, pace in said.scopes()
        if pace.requests_per_second is not None
    ]
    return min(rates, key=lambda found: found[0], default=(None, None))


def _rate_words(rate: float | None, scope: Scope | None, copying: int) -> str:
    if rate is None or scope is None:
        return ""
    shared = f", shared by {copying} copies" if scope is Scope.SERVICE and copying > 1 else ""
    return f"at most {plain(rate)} documents a second ({scope}{shared})"


def plain(rate: float) -> str:
    """`500`, `0.1`, `1000000`: a rate as one would type it."""
    return f"{rate:.2f}".rstrip("0").rstrip(".")


def _windows(said: Said, rate: float | None) -> tuple[int, int, str]:
    """Without the health gate, with it, and in words."""
    asked = [
        (pace.windows_in_flight, str(scope))
        for scope, pace in said.scopes()
        if pace.windows_in_flight is not None
    ]
    if rate is not None:
        asked.append((max(1, int(rate // WINDOW_RATE)), "so few documents a second are not shared"))
    planned = most, source = min(asked, key=lambda found: found[0])
    if said.health.windows is not None and said.health.windows < most:
        most, source = said.health.windows, f"health gate: {said.health.cause}"
    return planned[0], most, f"{most} window{'' if most == 1 else 's'} at once ({source})"


def _stopped(stop: Stop | None) -> str | None:
    if stop is None:
        return None
    reason = f": {stop.reason}" if stop.reason else ""
    return f"stopped by {stop.by} at {_moment(stop.at)}{reason}"


def _closed(said: Said, now: datetime) -> str | None:
    if are_open(said.schedules, now):
        return None
    opens = next_change(said.schedules, now)
    when = f"next at {_moment(opens)}" if opens else "which are never open together"
    return f"outside of the hours for copies, {_shown(said)}, {when}"


def _hours_words(said: Said, now: datetime) -> list[str]:
    if not said.schedules:
        return []
    closes = next_change(said.schedules, now)
    return [f"hours: {_shown(said)}" + (f", until {_moment(closes)}" if closes else "")]


def _late_words(said: Said, until: datetime) -> str:
    return f"the hours, {_shown(said)}, are over: it goes on until {_moment(until)} at most"


def _blind_words(health: Health) -> list[str]:
    return [f"the cluster's health is not known: {health.blind}"] if health.blind else []


def _shown(said: Said) -> str:
    return " and ".join(
        f"{', '.join(map(str, pace.hours))} ({scope})"
        for scope, pace in said.scopes()
        if pace.hours is not None
    )


def _moment(at: datetime) -> str:
    return f"{at:%Y-%m-%d %H:%M} UTC"


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
        self._even_at = max(self._even_at, self._clock()) + documents / rate
