"""How long a reindex will take, judged by those that are done."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

TELLING_SECONDS = 1.0
"""A shorter copy says nothing of the speed: most of it is waiting for the master."""
DOUBT = 1.3
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
        return Span(0.0, slowest * DOUBT) if documents <= largest.documents else None
    spans = [_at_speed(documents, [m.documents / m.copy_seconds for m in telling])]
    sized = [m.primary_bytes / m.copy_seconds for m in telling if m.primary_bytes]
    if sized and primary_bytes:
        spans.append(_at_speed(primary_bytes, sized))
    return Span(min(span.low for span in spans), max(span.high for span in spans))


def _at_speed(amount: int, speeds: Sequence[float]) -> Span:
    speed = _spread(speeds)
    return Span(amount / speed.high / DOUBT, amount / speed.low * DOUBT)


def _spread(values: Iterable[float]) -> Span:
    """Where eight in ten lie: one that waited for hours does not spoil it."""
    found = sorted(max(value, 0.0) for value in values)
    tenth = len(found) // 10
    return Span(found[tenth], found[-1 - tenth])
