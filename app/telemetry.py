"""Logs and meters: one line an event, with a stable name for programs and values beside it; and
what is counted for `/metrics`, where it happens."""

from __future__ import annotations

import asyncio
import logging
import sys
import time
from collections.abc import Iterable, Sequence
from contextlib import suppress
from enum import StrEnum
from typing import Any

import structlog
from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    ProcessCollector,
    disable_created_metrics,
)
from structlog.typing import EventDict

from app.domain.formatting import printable
from app.domain.holds import HoldCause
from app.domain.job import ENDED_STATES, State
from app.domain.windows import CopyStep
from app.redaction import redactor


def configure(*, json: bool, level: str) -> None:
    """Once, at start: structlog's own lines and the standard library's come out alike."""
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    renderer: Any = (
        structlog.processors.JSONRenderer()
        if json
        else structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())
    )
    harmless = [] if json else [_printable]
    handler = _Lines(sys.stderr)
    handler.setFormatter(
        _WithoutSecrets(
            foreign_pre_chain=shared,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                *harmless,
                structlog.processors.format_exc_info,
                _without_secrets,
                renderer,
            ],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    for noisy in ("alembic", "uvicorn.access", "asyncio", "httpx"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
    logging.getLogger("elastic_transport").setLevel(logging.CRITICAL)  # its errors become ours


class _WithoutSecrets(structlog.stdlib.ProcessorFormatter):
    """Looks once more at the line as it is written, for what a renderer has made of a value."""

    def format(self, record: logging.LogRecord) -> str:
        return redactor.line(super().format(record))


class _Lines(logging.StreamHandler[Any]):
    """A line that cannot be written is told by the kind of its error: the standard library would
    print its values as they are."""

    def handleError(self, record: logging.LogRecord) -> None:
        error = sys.exc_info()[0]
        kind = error.__name__ if error else "error"
        with suppress(Exception):
            self.stream.write(f"A line of the log from {record.name} is lost: {kind}\n")


def _without_secrets(_logger: Any, _method: str, values: EventDict) -> EventDict:
    return redactor.values(values)


def _printable(_logger: Any, _method: str, values: EventDict) -> EventDict:
    """A name of an index may have line breaks and what steers a terminal."""
    return {
        key: printable(value) if isinstance(value, str) else value for key, value in values.items()
    }


def mark_as(part: str) -> None:
    """Names the part of the service that runs in this task, and in all that it starts."""
    structlog.contextvars.bind_contextvars(part=part)


def running_part() -> str | None:
    """The part in which the caller runs, as `mark_as` has named it."""
    return structlog.contextvars.get_contextvars().get("part")


def logger(name: str) -> structlog.stdlib.BoundLogger:
    return structlog.stdlib.get_logger(name)


PREFIX = "reindex_queue"
VERBS = ("GET", "HEAD", "POST", "PUT", "DELETE")
LOOP_SECONDS = 1.0
"""How often it is looked how late the event loop is."""
_OF_A_PHASE = (0.1, 0.3, 1, 3, 10, 30, 60, 300, 900, 3_600, 14_400, 43_200)
_OF_A_CALL = (0.005, 0.02, 0.1, 0.5, 2, 10, 30, 90)
_OF_THE_LOOP = (0.005, 0.02, 0.1, 0.5, 2, 10)
"""Seconds: upper ends of the buckets of histograms."""

disable_created_metrics()  # the library's times of creation would double the number of series


class RequestOutcome(StrEnum):
    """What became of a request to Elasticsearch."""

    OK = "ok"
    NOT_FOUND = "not_found"
    """404: many a look asks whether something is there."""
    BUSY = "busy"
    """429."""
    REFUSED = "refused"
    """Any other 4xx."""
    FAILED = "failed"
    """5xx."""
    FOREIGN = "foreign"
    """Something before Elasticsearch has answered: a redirect, or no product header."""
    TOO_LARGE = "too_large"
    TIMEOUT = "timeout"
    CUT = "cut"
    """The connection was closed in the place of an answer."""
    NO_CONNECTION = "no_connection"
    GIVEN_UP = "given_up"
    """Whoever asked does not wait any more."""

    @classmethod
    def of_status(cls, status: int) -> RequestOutcome:
        """That of an answer with this HTTP status."""
        if status < 300:
            return cls.OK
        if status < 400:
            return cls.FOREIGN
        if status >= 500:
            return cls.FAILED
        return {404: cls.NOT_FOUND, 429: cls.BUSY}.get(status, cls.REFUSED)


class Instruments:
    """All that one process counts, in a registry of its own: whatever else uses the library in this
    process is not shown.

    Every label but `cluster`, which is of the settings, has values of a closed list: no name of an
    index, and no text of an answer, ever becomes one.
    """

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        self.requests = self._counter(
            "elasticsearch_requests",
            "Requests that were sent to Elasticsearch, by method and outcome",
            "verb",
            "outcome",
        )
        self.request_seconds = self._histogram(
            "elasticsearch_request_seconds",
            "How long Elasticsearch took to answer, or to be given up",
            _OF_A_CALL,
            "verb",
        )
        self.documents = self._counter("documents_copied", "Documents that copy tasks have handled")
        self.bytes = self._counter("bytes_copied", "Their share of the source's primaries on disk")
        self.windows = self._counter("windows_done", "Windows of copies that are done")
        self.retries = self._counter("windows_retried", "Windows that have to run once more")
        self.phases = self._histogram(
            "phase_seconds",
            "How long phases took, what they waited for included",
            _OF_A_PHASE,
            "kind",
            "phase",
        )
        self.holds = self._counter("holds", "Holds that began, by cause", "cause")
        self.ended = self._counter(
            "jobs_ended", "Jobs that the worker of this service has ended", "kind", "state"
        )
        self.saves = self._histogram(
            "save_seconds", "How long the database took to save a step of a job", _OF_A_CALL
        )
        self.event_lag = self._histogram(
            "event_lag_seconds",
            "How old events were when streams were given them",
            _OF_A_CALL,
        )
        self.event_streams = Gauge(
            f"{PREFIX}_event_streams", "Streams of events that are open", registry=self.registry
        )
        self.loop_lag = Histogram(
            f"{PREFIX}_event_loop_lag_seconds",
            "How late the event loop was, looked at once a second",
            buckets=_OF_THE_LOOP,
            registry=self.registry,
        )

    def expect_events(self, clusters: Iterable[str]) -> None:
        """Shows these clusters before they have an event."""
        for cluster in clusters:
            self.event_lag.labels(cluster)

    def told(self, cluster: str, seconds: float) -> None:
        """Streams were given an event of that age. Its time is of the clock of whoever wrote it."""
        self.event_lag.labels(cluster).observe(max(0.0, seconds))

    def _counter(self, name: str, words: str, *labels: str) -> Counter:
        return Counter(f"{PREFIX}_{name}", words, ("cluster", *labels), registry=self.registry)

    def _histogram(
        self, name: str, words: str, buckets: Sequence[float], *labels: str
    ) -> Histogram:
        return Histogram(
            f"{PREFIX}_{name}",
            words,
            ("cluster", *labels),
            buckets=buckets,
            registry=self.registry,
        )

    async def watch_the_loop(self) -> None:
        """Until it is cancelled."""
        while True:
            wanted = time.monotonic() + LOOP_SECONDS
            await asyncio.sleep(LOOP_SECONDS)
            self.loop_lag.observe(max(0.0, time.monotonic() - wanted))


class Meters:
    """What is counted about one cluster, where it happens. A call takes a few microseconds."""

    def __init__(self, cluster: str = "default", instruments: Instruments | None = None) -> None:
        self._cluster = cluster
        self.instruments = instruments or Instruments()
        self._documents = self.instruments.documents.labels(cluster)
        self._bytes = self.instruments.bytes.labels(cluster)
        self._windows = self.instruments.windows.labels(cluster)
        self._retries = self.instruments.retries.labels(cluster)
        self._saves = self.instruments.saves.labels(cluster)
        for cause in HoldCause:
            self.instruments.holds.labels(cluster, cause.value)

    def expect(self, kinds: Iterable[str]) -> None:
        """Shows what was not counted yet as 0: Prometheus takes a counter that is first seen at 1
        for one that has not grown."""
        for kind in kinds:
            for state in ENDED_STATES:
                self.instruments.ended.labels(self._cluster, kind, state.value)

    def asked(self, method: str, outcome: RequestOutcome, seconds: float) -> None:
        """A request to Elasticsearch has ended, after `seconds`."""
        verb = method if method in VERBS else "other"
        self.instruments.requests.labels(self._cluster, verb, outcome.value).inc()
        self.instruments.request_seconds.labels(self._cluster, verb).observe(seconds)

    def copied(self, step: CopyStep, bytes_a_document: float) -> None:
        """What a save of windows says that was copied since the save before."""
        self._documents.inc(step.documents)
        self._bytes.inc(step.documents * bytes_a_document)
        self._windows.inc(step.done)
        self._retries.inc(step.again)

    def finished(self, kind: str, phase: str, seconds: float) -> None:
        """A phase is finished. Both names are of the code: those of the kinds and their routes."""
        self.instruments.phases.labels(self._cluster, kind, phase).observe(seconds)

    def holds(self, cause: HoldCause) -> None:
        """A job began to wait for something outside."""
        self.instruments.holds.labels(self._cluster, cause.value).inc()

    def ended(self, kind: str, state: State) -> None:
        self.instruments.ended.labels(self._cluster, kind, state.value).inc()

    def saved(self, seconds: float) -> None:
        self._saves.observe(seconds)
