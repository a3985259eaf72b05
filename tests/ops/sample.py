"""A scrape with a sample of every metric, made up without any server."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from prometheus_client import Metric, generate_latest

from app.api.metrics import Families, gauges
from app.domain.holds import HoldCause
from app.domain.job import State
from app.domain.windows import CopyStep
from app.jobs.worker import WorkerReport, WorkerState
from app.sites.figures import SiteFigures, WorkFigures
from app.telemetry import Meters, RequestOutcome

REPORT = WorkerReport(WorkerState.IDLE, (), None)


def working(cluster: str = "default") -> dict[str, SiteFigures]:
    """Those of the service with the worker role."""
    work = WorkFigures(
        jobs={("rewrite", state): 1 for state in State},
        holding={HoldCause.DISK_SPACE: 1},
        speed=100.0,
        blocked_since=[datetime(2026, 1, 1, tzinfo=UTC)],
        closed=False,
        last_event=7,
    )
    return {cluster: SiteFigures(REPORT, database=True, elasticsearch=True, work=work)}


def counted() -> Meters:
    """Meters that have counted everything once."""
    meters = Meters()
    meters.expect(["rewrite"])
    meters.asked("GET", RequestOutcome.OK, 0.1)
    meters.copied(CopyStep(1, 1, 1), 1.0)
    meters.finished("rewrite", "copy", 1.0)
    meters.holds(HoldCause.DISK_SPACE)
    meters.saved(0.01)
    meters.instruments.told("default", 0.5)
    return meters


def families() -> list[Metric]:
    return [*counted().instruments.registry.collect(), *gauges(working(), 0.1)]


def exposition() -> bytes:
    return generate_latest(Families(families()))


@dataclass(frozen=True)
class Described:
    """A metric as people name it; `samples`: the names that expressions use."""

    name: str
    type: str
    labels: frozenset[str]
    samples: Sequence[str]


def metrics() -> dict[str, Described]:
    """Every metric by its name."""
    found: dict[str, Described] = {}
    for family in families():
        name = f"{family.name}_total" if family.type == "counter" else family.name
        labels = frozenset(label for one in family.samples for label in one.labels if label != "le")
        samples = sorted({one.name for one in family.samples})
        assert name not in found
        found[name] = Described(name, family.type, labels, samples)
    return found
