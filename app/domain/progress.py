"""How far a copy is, how fast it goes, and when it will be done."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from app.domain import clock

FRESH_SECONDS = 5.0
"""Progress is saved at least this often while a copy runs; an older one has come to a stop."""
RECENT_SECONDS = 10.0
"""The speed of now is that of these last seconds."""
LEAST_FRACTION = 0.01
"""Below it there is no estimate: it would be a guess."""
LEAST_DOUBT, MOST_DOUBT = 0.05, 0.35
"""How far an estimate may be off, in the end and in the beginning, beyond what the speeds of now
and of the whole copy differ."""


@dataclass(frozen=True)
class Stretch:
    """A window that is being copied (`ended_at` None), or was a moment ago."""

    seen: int
    started_at: datetime
    ended_at: datetime | None


@dataclass(frozen=True)
class CopyFigures:
    """The windows of one operation, added up.

    `documents` and `done` count as the plan does (nested children too), `seen` counts what tasks
    have handled. `shown`: documents by the fraction that was shown, which may be more where windows
    run again. `ended_at`: of the last window, None while one is not done. `primary_bytes`: of
    the source on disk, 0 where that is not known; `bytes_done` of them, in step with the documents.
    """

    windows: int
    windows_done: int
    documents: int
    done: int
    seen: int
    started_at: datetime | None
    ended_at: datetime | None
    primary_bytes: int = 0
    bytes_done: int = 0
    shown: int = 0
    recent: Sequence[Stretch] = ()

    @property
    def at_least(self) -> int:
        """Documents to be shown as done: never fewer than before."""
        return max(self.done, self.shown)

    def as_of_now(self) -> CopyFigures:
        """With its times as the clock would have shown them, had it always been set as now."""
        recent = [
            replace(one, started_at=clock.as_of_now(one.started_at), ended_at=_seen(one.ended_at))
            for one in self.recent
        ]
        return replace(
            self, started_at=_seen(self.started_at), ended_at=_seen(self.ended_at), recent=recent
        )


def _seen(then: datetime | None) -> datetime | None:
    return clock.as_of_now(then) if then else None


NOTHING_TO_COPY = CopyFigures(0, 0, 0, 0, 0, None, None)


@dataclass(frozen=True)
class Progress:
    """`fraction`: 0 to 1. Speeds in documents a second, None where nothing is measured (yet).

    `bytes_total` and `bytes_done`: as in `CopyFigures`. `remaining_seconds`: most likely;
    `remaining`: between these.
    """

    fraction: float
    documents_done: int
    documents_total: int
    bytes_done: int
    bytes_total: int
    windows_done: int
    windows_total: int
    speed: float | None
    overall_speed: float | None
    remaining_seconds: float | None
    remaining: tuple[float, float] | None


def progress_of(
    figures: CopyFigures, fraction: float, saved_at: datetime, now: datetime, *, moving: bool
) -> Progress:
    """What `figures`, as they were at `saved_at`, say at `now`.

    `overall_speed` includes all pauses. `fraction` is what was shown before: it never goes back.
    Where the copy does not move (`moving`: it waits, or has ended) there is neither a speed now
    nor an estimate.
    """
    measured_at = saved_at if (now - saved_at).total_seconds() < FRESH_SECONDS else now
    overall = _rate(figures.seen, figures.started_at, figures.ended_at or measured_at)
    speed = _recent_rate(figures.recent, measured_at) if moving else None
    left = _left(figures)
    known = moving and figures.done >= figures.documents * LEAST_FRACTION
    return Progress(
        fraction=fraction,
        documents_done=figures.at_least,
        documents_total=figures.documents,
        bytes_done=figures.bytes_done,
        bytes_total=figures.primary_bytes,
        windows_done=figures.windows_done,
        windows_total=figures.windows,
        speed=speed,
        overall_speed=overall,
        remaining_seconds=_remaining(left, speed or overall) if known else None,
        remaining=_range(left, _doubt(figures), speed, overall) if known else None,
    )


def _left(figures: CopyFigures) -> float:
    """Documents that tasks have still to handle: of the planned ones, as many as so far."""
    left = max(figures.documents - figures.done, 0)
    return left * min(1.0, figures.seen / figures.done) if figures.done else left


def _rate(documents: float, since: datetime | None, until: datetime) -> float | None:
    seconds = (until - since).total_seconds() if since else 0.0
    return documents / seconds if seconds > 0 else None


def _recent_rate(stretches: Sequence[Stretch], until: datetime) -> float | None:
    """Over the last `RECENT_SECONDS`, as if each window had been copied at an even speed."""
    since = until - timedelta(seconds=RECENT_SECONDS)
    documents = 0.0
    for stretch in stretches:
        end = stretch.ended_at or until
        whole = (end - stretch.started_at).total_seconds()
        inside = (min(end, until) - max(stretch.started_at, since)).total_seconds()
        if whole > 0 and inside > 0:
            documents += stretch.seen * inside / whole
    started = min((stretch.started_at for stretch in stretches), default=None)
    return _rate(documents, max(started, since) if started else None, until)


def _remaining(left: float, speed: float | None) -> float | None:
    return left / speed if speed else None


def _doubt(figures: CopyFigures) -> float:
    """The more the less is done."""
    share = 1 - figures.done / figures.documents if figures.documents else 0.0
    return LEAST_DOUBT + (MOST_DOUBT - LEAST_DOUBT) * min(max(share, 0.0), 1.0)


def _range(
    left: float, doubt: float, speed: float | None, overall: float | None
) -> tuple[float, float] | None:
    """As fast and as slow as was seen so far, with that doubt."""
    speeds = [seen for seen in (speed, overall) if seen]
    if not speeds:
        return None
    return left / max(speeds) * (1 - doubt), left / min(speeds) * (1 + doubt)


def with_more(copy: CopyFigures, documents: int, primary_bytes: int) -> CopyFigures:
    """A copy and what is not begun yet."""
    return replace(
        copy,
        documents=copy.documents + documents,
        primary_bytes=copy.primary_bytes + primary_bytes,
        ended_at=None if documents else copy.ended_at,
    )
