"""How far a copy is, how fast it goes, how long others took, and when it will be done."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
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
    left: float, uncertainty: float, speed: float | None, overall: float | None
) -> tuple[float, float] | None:
    """As fast and as slow as was seen so far, with that doubt."""
    speeds = [seen for seen in (speed, overall) if seen]
    if not speeds:
        return None
    return left / max(speeds) * (1 - uncertainty), left / min(speeds) * (1 + uncertainty)


def with_more(copy: CopyFigures, documents: int, primary_bytes: int) -> CopyFigures:
    """A copy and what is not begun yet."""
    return replace(
        copy,
        documents=copy.documents + documents,
        primary_bytes=copy.primary_bytes + primary_bytes,
        ended_at=None if documents else copy.ended_at,
    )


TELLING_SECONDS = 1.0
"""A shorter copy says nothing of the speed: most of it is waiting for the master."""
UNCERTAINTY = 1.3
"""Other documents, another hour of the day: a measured speed may be off by so much."""


@dataclass(frozen=True)
class Span:
    """Seconds, or whatever is measured: between these, most likely."""

    low: float
    high: float

    def __add__(self, other: Span) -> Span:
        return Span(self.low + other.low, self.high + other.high)


NOTHING = Span(0.0, 0.0)
FULL_SHARE = Span(0.4, 1.5)
"""Of the time of a copy."""


@dataclass(frozen=True)
class Measured:
    """An operation that is done. `blocked_seconds`: from its first window to its end, in which its
    index took no writes. `primary_bytes` 0: not known."""

    documents: int
    primary_bytes: int
    copy_seconds: float
    blocked_seconds: float
    seconds: float


@dataclass(frozen=True)
class Estimate:
    """`blocked`: of that so long without writes."""

    duration: Span
    blocked: Span

    def __add__(self, other: Estimate) -> Estimate:
        return Estimate(self.duration + other.duration, self.blocked + other.blocked)


def estimate(documents: int, primary_bytes: int, measured: Sequence[Measured]) -> Estimate | None:
    """None where nothing comparable has been measured yet."""
    if not measured:
        return None
    copy = _copy(documents, primary_bytes, measured)
    if copy is None:
        return None
    around = _spread(m.blocked_seconds - m.copy_seconds for m in measured)
    before = _spread(m.seconds - m.blocked_seconds for m in measured)
    return Estimate(duration=before + copy + around, blocked=copy + around)


def full_proof(documents: int, primary_bytes: int, measured: Sequence[Measured]) -> Span | None:
    """What comparing every document takes: a share of the copy (a half: docs/benchmarks.md), and
    more where documents have to be looked for one by one. None as for `estimate`."""
    copy = _copy(documents, primary_bytes, measured) if measured else None
    return copy and Span(copy.low * FULL_SHARE.low, copy.high * FULL_SHARE.high)


def total(estimates: Iterable[Estimate | None]) -> Estimate | None:
    """One after the other; None where one of them is not known."""
    whole = Estimate(NOTHING, NOTHING)
    for one in estimates:
        if one is None:
            return None
        whole += one
    return whole


def _copy(documents: int, primary_bytes: int, measured: Sequence[Measured]) -> Span | None:
    """By documents and by bytes, whichever is slower or faster: small documents go by number, large
    ones by size."""
    telling = [m for m in measured if m.copy_seconds >= TELLING_SECONDS and m.documents]
    if not telling:
        largest = max(measured, key=lambda m: m.documents)
        slowest = max(m.copy_seconds for m in measured)
        return Span(0.0, slowest * UNCERTAINTY) if documents <= largest.documents else None
    spans = [_at_speed(documents, [m.documents / m.copy_seconds for m in telling])]
    sized = [m.primary_bytes / m.copy_seconds for m in telling if m.primary_bytes]
    if sized and primary_bytes:
        spans.append(_at_speed(primary_bytes, sized))
    return Span(min(span.low for span in spans), max(span.high for span in spans))


def _at_speed(amount: int, speeds: Sequence[float]) -> Span:
    speed = _spread(speeds)
    return Span(amount / speed.high / UNCERTAINTY, amount / speed.low * UNCERTAINTY)


def _spread(values: Iterable[float]) -> Span:
    """Where eight in ten lie: one that waited for hours does not spoil it."""
    found = sorted(max(value, 0.0) for value in values)
    tenth = len(found) // 10
    return Span(found[tenth], found[-1 - tenth])
