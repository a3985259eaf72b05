"""What of all that was said about the pace is in force for an operation, in words, and what a
rate leaves while documents are copied."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import datetime

from app.domain.hours import HoursEnd, are_open, last_change, next_change
from app.domain.pace import AtOnce, ClusterHealth, Limit, Said, Scope, Stop, plain


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


def in_force(said: Said, now: datetime, copying: int = 1, *, blocked: bool = False) -> Limit:
    """The tightest of all. The service's rate is for all copies, of which there are `copying`.

    `blocked`: the operation keeps its index from being written to.
    """
    rate, rate_of = said.rate(copying)
    windows = said.windows(rate)
    words = _windows_words(windows, said.health)
    is_open = are_open(said.schedules, now)
    late = said.late_until(now) if blocked and not is_open else None
    stopped = _stopped(said.stop)
    closed = stopped or (None if is_open or late else _closed(said, now))
    slow, few = _rate_words(rate, rate_of, copying), windows.now < said.usual_windows
    hours = [_late_words(said, late)] if late else _hours_words(said, now)
    others = [*hours, *_blind_words(said.health)]
    limits = [*([slow] if slow else []), *([words] if few else []), *others]
    changes = [moment for moment in (next_change(said.schedules, now), late) if moment]
    ends = said.after_hours.end is HoursEnd.GIVE_BACK
    return Limit(
        requests_per_second=rate,
        windows_in_flight=windows.now,
        windows_planned=windows.planned,
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


def _rate_words(rate: float | None, scope: Scope | None, copying: int) -> str:
    if rate is None or scope is None:
        return ""
    shared = f", shared by {copying} copies" if scope is Scope.SERVICE and copying > 1 else ""
    return f"at most {plain(rate)} documents a second ({scope}{shared})"


def _windows_words(windows: AtOnce, health: ClusterHealth) -> str:
    if windows.gated:
        source = f"health gate: {health.cause}"
    else:
        source = str(windows.by or "so few documents a second are not shared")
    return f"{windows.now} window{'' if windows.now == 1 else 's'} at once ({source})"


def _stopped(stop: Stop | None) -> str | None:
    if stop is None:
        return None
    reason = f": {stop.reason}" if stop.reason else ""
    return f"stopped by {stop.by} at {_moment(stop.at)}{reason}"


def _closed(said: Said, now: datetime) -> str:
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


def _blind_words(health: ClusterHealth) -> list[str]:
    return [f"the cluster's health is not known: {health.blind}"] if health.blind else []


def _shown(said: Said) -> str:
    return " and ".join(
        f"{', '.join(map(str, pace.hours))} ({scope})"
        for scope, pace in said.scopes()
        if pace.hours is not None
    )


def _moment(at: datetime) -> str:
    return f"{at:%Y-%m-%d %H:%M} UTC"
