"""What an operation costs beside waiting for Elasticsearch: its own overhead."""

from __future__ import annotations

import time
from typing import Any

from app.elastic import connection
from app.elastic.node import Node
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


SPANS: list[Span] = []


async def measure(es: Elastic, database_url: str, count: int) -> list[Line]:
    """Milliseconds of each operation in which no request of the worker was on its way."""
    original, connection.Node = connection.Node, Watched  # pyright: ignore[reportPrivateImportUsage]
    try:
        return await _measure(es, database_url, count)
    finally:
        connection.Node = original  # pyright: ignore[reportPrivateImportUsage]


async def _measure(es: Elastic, database_url: str, count: int) -> list[Line]:
    names = [f"overhead-{number:03}" for number in range(count)]
    for name in names:
        es.put(f"/{name}", {"settings": {"number_of_replicas": 0}})
        es.put(f"/{name}/_doc/1?refresh=true", {"n": 1})
    async with running_service(es.url, database_url) as service:
        await service.post_batch(*names)

        async def worked_off() -> bool:
            return not await service.parts.store.operations.live_names()

        await eventually(worked_off, "the queue is worked off", 300, pause=1.0)
        await service.completed(*names)
        own: list[float] = []
        for name in names[count // 10 :]:  # the first ones warm up
            operation = await service.parts.reading.operation(name)
            assert operation.started_at is not None
            assert operation.ended_at is not None
            began, ended = operation.started_at / 1000, operation.ended_at.timestamp()
            own.append(1000 * (ended - began - _covered(began, ended)))
    return [Line("own overhead of an operation (p50 is the median)", "ms", own, "p50 ≤ 20")]


def _covered(began: float, ended: float) -> float:
    """Seconds between `began` and `ended` in which at least one request was on its way."""
    covered, until = 0.0, began
    for start, stop in sorted(SPANS):
        start, stop = max(start, until), min(stop, ended)
        if stop > start:
            covered += stop - start
            until = stop
    return covered
