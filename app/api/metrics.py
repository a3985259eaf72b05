"""`/metrics`: what was counted and what is the case now, in the formats of Prometheus."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Iterable, Iterator, Mapping
from importlib.metadata import version
from typing import Any, cast

from fastapi import APIRouter, Request, Response
from prometheus_client import Metric
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4, generate_latest
from prometheus_client.openmetrics import exposition as openmetrics

from app.api.access import VIEWER, AllSites, Caller
from app.api.documenting import plain_answer
from app.api.door import METRICS
from app.domain.holds import HoldCause
from app.jobs.worker import WorkerState
from app.sites.figures import SiteFigures, WorkFigures
from app.telemetry import PREFIX

router = APIRouter(tags=["Health"])

TEXT = CONTENT_TYPE_PLAIN_0_0_4
OPENMETRICS = openmetrics.CONTENT_TYPE_LATEST
_LINES = """\
# HELP reindex_queue_lease_held 1 where this service has the worker role
# TYPE reindex_queue_lease_held gauge
reindex_queue_lease_held{cluster="default"} 1.0
"""
EXAMPLES = {
    "text/plain": _LINES,
    "application/openmetrics-text": f"{_LINES}# EOF\n",
}


class Families:
    """What the library's encoders take in the place of a registry."""

    def __init__(self, families: Iterable[Metric]) -> None:
        self._families = families

    def collect(self) -> Iterable[Metric]:
        return self._families


@router.get(
    METRICS,
    summary="Get the metrics",
    operation_id="metrics",
    dependencies=VIEWER,
    response_class=Response,
    responses=plain_answer("Every metric", EXAMPLES),
)
async def get_metrics(request: Request, sites: AllSites, caller: Caller) -> Response:
    """In Prometheus' text format, or as OpenMetrics where `Accept` asks for that.

    200 also while database or Elasticsearch are away; gauges say so. Besides the viewer's login the
    token of `SERVER_METRICS_TOKEN` will do, as `Authorization: Bearer`. The figures are of all that
    the service works on, so nobody is given them who is limited to some indices or clusters.
    """
    each = sites.each()
    if not all(caller.sees_all_of(name) for name in each):
        caller.require_everything()
    started = time.monotonic()
    asked = await asyncio.gather(*(site.figures.now() for site in each.values()))
    figures = dict(zip(each, asked, strict=True))
    took = time.monotonic() - started
    families = Families([*sites.instruments.registry.collect(), *gauges(figures, took)])
    if wants_openmetrics(request.headers.get("accept", "")):
        return Response(_openmetrics(families), media_type=OPENMETRICS)
    return Response(generate_latest(families), media_type=TEXT)


def _openmetrics(families: Families) -> bytes:
    return cast(Any, openmetrics).generate_latest(families)  # it has no types (0.26)


def wants_openmetrics(accept: str) -> bool:
    """True where `Accept` names it. The library's own choice fails at a version that is no number
    (0.26), and answers every version that is asked for."""
    kinds = [part.partition(";") for part in accept.lower().split(",")]
    refused = re.compile(r"q=0(\.0*)?$")
    return any(
        kind.strip() == "application/openmetrics-text"
        and not any(refused.match(one.strip()) for one in rest.split(";"))
        for kind, _, rest in kinds
    )


def gauges(figures: Mapping[str, SiteFigures], took: float) -> Iterator[Metric]:
    """What is the case now, by cluster; `took`: seconds that it took to be asked for."""
    yield _gauge("build_info", "1, with the release", [((version("reindex-queue"),), 1)], "version")
    yield _gauge("scrape_seconds", "How long these figures took to be put together", [((), took)])
    yield from _of_services(figures)
    yield from _of_work({name: one.work for name, one in figures.items() if one.work})


def _of_services(figures: Mapping[str, SiteFigures]) -> Iterator[Metric]:
    sites = figures.items()
    lease = [((name,), one.worker.at_work) for name, one in sites]
    yield _gauge("lease_held", "1 where this service has the worker role", lease, "cluster")
    states = [
        ((name, state.value), one.worker.state is state)
        for name, one in sites
        for state in WorkerState
    ]
    yield _gauge("worker", "1 for the state that the worker is in", states, "cluster", "state")
    database = [((name,), one.database) for name, one in sites]
    yield _gauge("database_up", "1 where the database does its work", database, "cluster")
    answers = [((name,), one.elasticsearch) for name, one in sites]
    yield _gauge("elasticsearch_up", "1 where Elasticsearch answers", answers, "cluster")


def _of_work(work: Mapping[str, WorkFigures]) -> Iterator[Metric]:
    """Nothing of a cluster for which another service has the worker role."""
    of = work.items()
    jobs = [
        ((name, kind, state.value), number)
        for name, one in of
        for (kind, state), number in one.jobs.items()
    ]
    yield _gauge("jobs", "Jobs, by kind and state", jobs, "cluster", "kind", "state")
    holding = [
        ((name, cause.value), one.holding.get(cause, 0)) for name, one in of for cause in HoldCause
    ]
    words = "Jobs in hand that wait for something outside, by cause"
    yield _gauge("jobs_holding", words, holding, "cluster", "cause")
    speeds = [((name,), one.speed) for name, one in of]
    yield _gauge("copy_documents_per_second", "The speed of all copies now", speeds, "cluster")
    blocked = [((name,), len(one.blocked_since)) for name, one in of]
    words = "Indices that take no writes because of a job"
    yield _gauge("indices_blocked", words, blocked, "cluster")
    since = [((name,), one.blocked_since[0].timestamp()) for name, one in of if one.blocked_since]
    words = "Since when the one of them that is blocked longest is; nothing where none is"
    yield _gauge("indices_blocked_since_timestamp_seconds", words, since, "cluster")
    closed = [((name,), one.closed) for name, one in of]
    words = "1 while nothing begins: all is stopped, or it is outside of the hours"
    yield _gauge("closed", words, closed, "cluster")
    events = [((name,), one.last_event) for name, one in of]
    yield _gauge("last_event_number", "The number of the newest event", events, "cluster")


def _gauge(
    name: str, words: str, samples: Iterable[tuple[tuple[str, ...], float]], *labels: str
) -> Metric:
    """`samples`: the values of the labels, and that of the metric."""
    family = GaugeMetricFamily(f"{PREFIX}_{name}", words, labels=labels)
    for values, value in samples:
        family.add_metric(values, value)
    return family
