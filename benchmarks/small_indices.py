"""Many indices of one document: the whole service against the bare calls."""

from __future__ import annotations

import time
from collections.abc import Sequence

from benchmarks.kibana import five_calls
from benchmarks.report import Line, ratios
from benchmarks.waiting import worked_off
from tests.e2e.process import ServiceProcess
from tests.elasticsearch import Elastic


async def measure(es: Elastic, pairs: int, count: int) -> list[Line]:
    """Seconds for `count` indices, ours (proof included) and the bare loop's, in turns."""
    ours: list[float] = []
    bare: list[float] = []
    async with ServiceProcess({"ELASTICSEARCH_HOSTS": es.url}) as service:
        for _ in range(pairs + 1):  # the first pair warms both up and does not count
            names = _make(es, "bare", count)
            bare.append(_bare(es, names))
            names = _make(es, "queued", count)
            ours.append(await _queued(service, names))
            _remove(es)
    return [
        Line(f"{count} one-document indices, this service", "s", ours[1:]),
        Line(f"{count} one-document indices, bare loop of Kibana's calls", "s", bare[1:]),
        Line("this service / bare loop", "ratio", ratios(ours[1:], bare[1:]), "≤ 1.15"),
    ]


def _make(es: Elastic, prefix: str, count: int) -> list[str]:
    names = [f"{prefix}-{number:04}" for number in range(count)]
    for name in names:
        es.put(f"/{name}", {"settings": {"number_of_replicas": 0}})
        es.put(f"/{name}/_doc/1?refresh=true", {"n": 1})
    return names


def _bare(es: Elastic, names: Sequence[str]) -> float:
    began = time.perf_counter()
    for name in names:
        five_calls(es, name)
    return time.perf_counter() - began


async def _queued(service: ServiceProcess, names: Sequence[str]) -> float:
    began = time.perf_counter()
    answer = await service.api.post_batch(*names)
    assert not answer["errors"], answer["errors"]
    await worked_off(service)
    seconds = time.perf_counter() - began
    await service.api.completed(*names)
    return seconds


def _remove(es: Elastic) -> None:
    for name in sorted(es.indices()):
        es.delete(f"/{name}")
