"""The health gate: from the cluster's vitals to how many windows may be copied at once. Pure.

More by one after calm looks, half as many when the cluster is strained, none when it is critical.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import IntEnum

from app.domain.formatting import same_but_figures
from app.domain.names import IndexName
from app.domain.pace import WELL, ClusterHealth
from app.elastic.answers import NodeVitals, Vitals

CALM_LOOKS = 2
"""So many looks without a cause before there is one window more."""
MOST_CAUSES = 3


class Level(IntEnum):
    CALM = 0
    STRAINED = 1
    CRITICAL = 2


@dataclass(frozen=True)
class GateVerdict:
    level: Level
    cause: str = ""


Finding = tuple[Level, str]


@dataclass(frozen=True)
class _Gauge:
    """A share of what a node has, with the thresholds from which it is strained, and critical.

    Not among them is the parent breaker: it counts garbage, too, and is at 99 % for moments while a
    copy runs on a heap of 512 MB (8.19), which the next collection mends. That it trips is told.
    """

    read: Callable[[NodeVitals], float | None]
    strained: float
    critical: float
    words: str


GAUGES = (
    _Gauge(lambda node: node.heap, 0.85, 0.95, "heap of {name} is {share:.0%} full"),
    _Gauge(lambda node: node.pressure, 0.70, 0.90, "indexing pressure of {name} is at {share:.0%}"),
)

COUNTERS: tuple[tuple[Callable[[NodeVitals], int | None], str], ...] = (
    (lambda node: node.write_rejections, "{name} rejected {more} writes"),
    (lambda node: node.search_rejections, "{name} rejected {more} searches"),
    (lambda node: node.pressure_rejections, "{name} rejected {more} requests for their size"),
    (lambda node: node.breaker_trips, "the memory breaker of {name} tripped"),
)
"""What has grown since the last look is a strain."""

BUSY_CPU, MANY_SEARCHES = 0.90, 10
"""A strain only where searches wait as well, at two looks: a copy alone may take a small machine
whole, and its own searches wait for a moment now and then."""
PENDING_STRAINED, PENDING_CRITICAL = 50, 1_000
"""Pending tasks of the master."""
WAITED_STRAINED, WAITED_CRITICAL = 10.0, 60.0
"""Seconds that the oldest of them waits."""


@dataclass(frozen=True)
class Probe:
    """A search that is measured at each look: of which `index` or alias, and the `seconds` from
    which it is slow. Slow at two looks in a row is a strain: one search may just be unlucky."""

    index: IndexName
    seconds: float


def judge_health(before: Vitals | None, now: Vitals, probe: Probe | None = None) -> GateVerdict:
    """What `now` says, and what has grown since `before`; what is not told is no cause."""
    found = [*_findings(before, now), *_of_probe(before, now, probe)]
    findings = sorted(found, key=lambda finding: -finding[0])
    if not findings:
        return GateVerdict(Level.CALM)
    level = findings[0][0]
    causes = [cause for found, cause in findings if found is level]
    more = f" and {len(causes) - MOST_CAUSES} more" if len(causes) > MOST_CAUSES else ""
    return GateVerdict(level, ", ".join(causes[:MOST_CAUSES]) + more)


def _findings(before: Vitals | None, now: Vitals) -> Iterator[Finding]:
    yield from _of_cluster(now)
    for node_id, node in now.nodes.items():
        yield from _of_gauges(node)
        earlier = before.nodes.get(node_id) if before else None
        if earlier:
            yield from _of_counters(earlier, node)
        if earlier and _is_busy(earlier) and _is_busy(node):
            text = f"CPU of {node.name} is at {node.cpu:.0%} and searches wait"
            yield Level.STRAINED, text


def _is_busy(node: NodeVitals) -> bool:
    return (node.cpu or 0.0) >= BUSY_CPU and (node.searches_waiting or 0) >= MANY_SEARCHES


def _of_cluster(now: Vitals) -> Iterator[Finding]:
    """Red is never critical: an index that nobody misses may have been broken for years."""
    if now.status == "red":
        yield Level.STRAINED, "the cluster is red"
    yield from _above(now.pending, PENDING_STRAINED, PENDING_CRITICAL, "{:.0f} cluster tasks wait")
    words = "the oldest cluster task waits for {:.0f} s"
    yield from _above(now.waited, WAITED_STRAINED, WAITED_CRITICAL, words)


def _of_probe(before: Vitals | None, now: Vitals, probe: Probe | None) -> Iterator[Finding]:
    if probe is None or before is None or now.searched is None:
        return
    if min(before.searched or 0.0, now.searched) >= probe.seconds:
        yield Level.STRAINED, f"the search probe takes {now.searched:.2g} s"


def _of_gauges(node: NodeVitals) -> Iterator[Finding]:
    for gauge in GAUGES:
        share = gauge.read(node)
        words = gauge.words.format(name=node.name, share=share or 0.0)
        yield from _above(share, gauge.strained, gauge.critical, words)


def _of_counters(before: NodeVitals, now: NodeVitals) -> Iterator[Finding]:
    for read, words in COUNTERS:
        more = (read(now) or 0) - (read(before) or 0)
        if read(before) is not None and more > 0:
            yield Level.STRAINED, words.format(name=now.name, more=more)


def _above(value: float | None, strained: float, critical: float, words: str) -> Iterator[Finding]:
    if value is not None and value >= strained:
        level = Level.CRITICAL if value >= critical else Level.STRAINED
        yield level, words.format(value)


@dataclass(frozen=True)
class Gate:
    """What the looks so far have come to; `calm` counts those without a cause in a row, `seen` are
    the last vitals."""

    health: ClusterHealth = WELL
    calm: int = 0
    seen: Vitals | None = None

    def look(self, vitals: Vitals, most: int, now: datetime, probe: Probe | None = None) -> Gate:
        """`most`: windows at once that the pace allows; there is nothing to limit above it."""
        verdict = judge_health(self.seen, vitals, probe)
        calm = self.calm + 1 if verdict.level is Level.CALM else 0
        windows = _windows(self.health.windows, verdict.level, most, calm)
        if windows == self.health.windows:
            cause = self.health.cause
            if verdict.level > Level.CALM and not same_but_figures(verdict.cause, cause):
                cause = verdict.cause
            seen_again = self.health.model_copy(update={"blind": None, "cause": cause})
            return replace(self, health=seen_again, calm=calm, seen=vitals)
        health = ClusterHealth()
        if windows is not None:
            cause = verdict.cause or _recovering(self.health.cause)
            health = ClusterHealth(windows=windows, cause=cause, since=now)
        return Gate(health, seen=vitals)

    def after_a_pause(self) -> Gate:
        """What has grown meanwhile says nothing of now."""
        return replace(self, calm=0, seen=None)

    def blinded(self, reason: str) -> Gate:
        """The look failed: what is known stays."""
        return replace(self, health=self.health.model_copy(update={"blind": reason}))


def _windows(limit: int | None, level: Level, most: int, calm: int) -> int | None:
    """Additive increase, multiplicative decrease; None where it limits nothing any more."""
    current = most if limit is None else min(limit, most)
    if level is Level.CRITICAL:
        return 0
    if level is Level.STRAINED:
        return max(1, current // 2)
    if limit is None or calm < CALM_LOOKS:
        return limit
    return None if limit + 1 >= most else limit + 1


def _recovering(cause: str) -> str:
    """On the way up the cause is that of the last decrease."""
    return cause if cause.startswith("recovering") else f"recovering: {cause}"


def sentence(before: ClusterHealth, after: ClusterHealth) -> Sequence[str]:
    """What is worth an event: that the limit changed and why, that nothing was seen, that it was.

    Empty where nothing changed.
    """
    found: list[str] = []
    plural = "" if after.windows == 1 else "s"
    limit = "no limit" if after.windows is None else f"{after.windows} window{plural} at once"
    if before.windows == after.windows and before.cause != after.cause:
        found.append(f"still {limit}: {after.cause}")
    if before.windows != after.windows:
        found.append(f"{limit}: {after.cause}" if after.cause else f"{limit}: the cluster is calm")
    if after.blind and not before.blind:
        found.append(f"a look at the cluster failed and changes no limit: {after.blind}")
    if before.blind and not after.blind:
        found.append("looks at the cluster succeed again")
    return found
