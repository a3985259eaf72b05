"""Does an operation cost more, the longer the history in the store is?"""

from __future__ import annotations

import sqlite3
import time
from pathlib import Path

from benchmarks.queueing import fill
from benchmarks.report import Line, ratios
from benchmarks.waiting import worked_off
from tests.e2e.process import ServiceProcess
from tests.elasticsearch import Elastic

SHORT, LONG = 100, 100_000
ENDED = (
    "UPDATE job SET status = 1, position = 'finish', last_completed_step = 60,"
    " started_at = queued_at,"
    " ended_at = created_at"
)


async def measure(es: Elastic, folder: Path, pairs: int, count: int) -> list[Line]:
    """Seconds an index with 100 and with 100,000 ended operations in the store, in turns."""
    files = {rows: folder / f"history-{rows}.db" for rows in (SHORT, LONG)}
    for rows, file in files.items():
        await fill(f"sqlite:///{file}", rows)
        with sqlite3.connect(file) as database:
            database.execute(ENDED)
        database.close()
    seconds: dict[int, list[float]] = {SHORT: [], LONG: []}
    for _ in range(pairs):
        for rows, file in files.items():
            seconds[rows].append(await _run(es, file, count))
    longer = ratios(seconds[LONG], seconds[SHORT])
    return [
        Line(f"an index with {SHORT} rows in the store", "s", seconds[SHORT]),
        Line(f"an index with {LONG:,} rows in the store", "s", seconds[LONG]),
        Line("long history / short history", "ratio", longer, "≤ 1.1"),
    ]


async def _run(es: Elastic, file: Path, count: int) -> float:
    names = [f"history-{number:03}" for number in range(count)]
    for name in names:
        es.put(f"/{name}", {"settings": {"number_of_replicas": 0}})
        es.put(f"/{name}/_doc/1?refresh=true", {"n": 1})
    environment = {"ELASTICSEARCH_HOSTS": es.url, "DATABASE_URL": f"sqlite:///{file}"}
    async with ServiceProcess(environment) as service:
        began = time.perf_counter()
        await service.api.post_batch(*names)
        await worked_off(service)
        seconds = time.perf_counter() - began
        await service.api.completed(*names)
    for name in names:
        es.delete(f"/reindexed-v8-{name}")
    return seconds / count
