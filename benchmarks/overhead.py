"""What an operation costs beside waiting for Elasticsearch: its own overhead."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Engine, event

from app.elastic import connection
from app.elastic.http import Node
from app.telemetry import running_part
from benchmarks.report import Line
from tests.conditions import eventually
from tests.elasticsearch import Elastic
from tests.service import running_service

Span = tuple[float, float]


class Watched(Node):
    """A node that notes when the worker waited for an answer."""

    spans: list[Span]

    async def perform_request(self, *args: Any, **options: Any) -> Any:
        began = time.time()
        try:
            return await super().perform_request(*args, **options)
        finally:
            if running_part() == "worker":
                SPANS.append((began, time.time()))
                DONE["requests"] += 1


SPANS: list[Span] = []
DONE: Counter[str] = Counter()
"""What the worker has done: requests to Elasticsearch, SQL statements, commits."""


@contextmanager
def _counted() -> Generator[None]:
    """Counts what the worker does in the database."""

    def statement(*_: Any) -> None:
        DONE["SQL statements"] += running_part() == "worker"

    def commit(_: Any) -> None:
        DONE["commits"] += running_part() == "worker"

    event.listen(Engine, "before_cursor_execute", statement)
    event.listen(Engine, "commit", commit)
    try:
        yield
    finally:
        event.remove(Engine, "before_cursor_execute", statement)
        event.remove(Engine, "commit", commit)


async def measure(es: Elastic, database_url: str, count: int) -> list[Line]:
    """Milliseconds of each operation in which no request of the worker was on its way."""
    original, connection.Node = connection.Node, Watched  # pyright: ignore[reportPrivateImportUsage]
    try:
        with _counted():
            return await _measure(es, database_url, count)
    finally:
        connection.Node = original  # pyright: ignore[reportPrivateImportUsage]


async def _measure(es: Elastic, database_url: str, count: int) -> list[Line]:
    names = [f"overhead-{number:03}" for number in range(count)]
    for name in names:
        es.put(f"/{name}", {"settings": {"number_of_replicas": 0}})
        es.put(f"/{name}/_doc/1?refresh=true", {"n": 1})
    async with running_service(es.url, database_url) as service:
        await service.post_batch(names[0])
        await service.completed(names[0])
        DONE.clear()
        await service.post_batch(*names[1:])

        async def worked_off() -> bool:
            return not await service.parts.store.operations.live_names()

        await eventually(worked_off, "the queue is worked off", 300, pause=1.0)
        done = {what: number / (count - 1) for what, number in DONE.items()}
        await service.completed(*names)
        own: list[float] = []
        for name in names[count // 10 :]:  # the first ones warm up
            operation = await service.parts.reading.operation(name)
            assert operation.started_at is not None
            assert operation.ended_at is not None
            began, ended = operation.started_at / 1000, operation.ended_at.timestamp()
            own.append(1000 * (ended - began - _covered(began, ended)))
    return [
        Line("own overhead of an operation (p50 is the median)", "ms", own, "p50 ≤ 20"),
        *(Line(f"{what} of an operation", what, [number]) for what, number in done.items()),
    ]


def _covered(began: float, ended: float) -> float:
    """Seconds between `began` and `ended` in which at least one request was on its way."""
    covered, until = 0.0, began
    for start, stop in sorted(SPANS):
        start, stop = max(start, until), min(stop, ended)
        if stop > start:
            covered += stop - start
            until = stop
    return covered
