"""How far a copy is, how fast it goes, and when it will be done."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

FRESH_SECONDS = 5.0
"""Progress is saved at least this often while a copy runs; an older one has come to a stop."""
LEAST_FRACTION = 0.01
"""Below it there is no estimate: it would be a guess."""


@dataclass(frozen=True)
class InFlight:
    """A window that is being copied now."""

    seen: int
    started_at: datetime


@dataclass(frozen=True)
class CopyFigures:
    """The windows of one operation, added up.

    `documents` and `done` count as the plan does (nested children too), `seen` counts what tasks
    have handled. `ended_at`: of the last window, None while one is not done.
    """

    windows: int
    windows_done: int
    documents: int
    done: int
    seen: int
    started_at: datetime | None
    ended_at: datetime | None
    in_flight: Sequence[InFlight] = ()


@dataclass(frozen=True)
class Progress:
    """`fraction`: 0 to 1. Speeds in documents a second, None where nothing is measured (yet)."""

    fraction: float
    documents_done: int
    documents_total: int
    windows_done: int
    windows_total: int
    speed: float | None
    overall_speed: float | None
    remaining: timedelta | None


def progress_of(
    figures: CopyFigures, fraction: float, saved_at: datetime, now: datetime, *, moving: bool
) -> Progress:
    """What `figures`, as they were at `saved_at`, say at `now`.

    `speed` is that of the windows in flight, each since its start; `overall_speed` includes all
    pauses. `fraction` is what was shown before: it never goes back. Where the copy does not move
    (`moving`: it waits, or has ended) there is neither a speed now nor an estimate.
    """
    measured_at = saved_at if (now - saved_at).total_seconds() < FRESH_SECONDS else now
    overall = _rate(figures.seen, figures.started_at, figures.ended_at or measured_at)
    rates = [_rate(window.seen, window.started_at, measured_at) for window in figures.in_flight]
    speed = sum(rate or 0.0 for rate in rates) if rates and moving else None
    left = max(figures.documents - figures.done, 0)
    return Progress(
        fraction=fraction,
        documents_done=figures.done,
        documents_total=figures.documents,
        windows_done=figures.windows_done,
        windows_total=figures.windows,
        speed=speed,
        overall_speed=overall,
        remaining=_remaining(left, speed or overall, fraction) if moving else None,
    )


def _rate(documents: int, since: datetime | None, until: datetime) -> float | None:
    seconds = (until - since).total_seconds() if since else 0.0
    return documents / seconds if seconds > 0 else None


def _remaining(left: int, speed: float | None, fraction: float) -> timedelta | None:
    if not speed or fraction < LEAST_FRACTION:
        return None
    return timedelta(seconds=left / speed)
