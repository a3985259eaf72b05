"""The service's memory while it copies an index in very many windows."""

from __future__ import annotations

import asyncio
import time

from benchmarks.queueing import resident
from benchmarks.report import Line
from benchmarks.sources import clone, fill
from benchmarks.told import told
from tests.e2e.process import ServiceProcess
from tests.elasticsearch import Elastic

WINDOWS, DOCUMENTS = 2_000, 100
PAUSE, LONGEST = 0.25, 3600.0


async def measure(es: Elastic) -> list[Line]:
    """Megabytes above the idle process, looked at several times a second: all, and each quarter."""
    fill(es, "source", 1, WINDOWS * DOCUMENTS)
    name = clone(es, "source", "many-windows")
    environment = {
        "ELASTICSEARCH_HOSTS": es.url,
        "REINDEX_WINDOW_DOCUMENTS": str(DOCUMENTS),
        "REINDEX_SYNCHRONOUS_DOCUMENTS": "0",
    }
    async with ServiceProcess(environment) as service:
        await service.api.queue()
        idle = resident(service.pid)
        await service.api.post_batch(name)
        seen: list[float] = []
        deadline = time.monotonic() + LONGEST
        while await service.api.queue():
            assert time.monotonic() < deadline, "the copy does not end"
            await asyncio.sleep(PAUSE)
            seen.append(resident(service.pid) - idle)
        await service.api.completed(name)
        windows = len((await told(service, name))["windows"])
    quarter = len(seen) // 4
    lines = [Line(f"memory above the idle process, {windows:,} windows", "MB", seen, "≤ 40")]
    for number in range(4):
        part = seen[number * quarter : (number + 1) * quarter]
        lines.append(Line(f"the same, quarter {number + 1} of the time", "MB", part))
    return lines
