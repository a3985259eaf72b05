"""Long lists: how fast they are taken, shown and kept."""

from __future__ import annotations

import time
from pathlib import Path

import httpx

from app.domain.names import IndexName
from app.store.enqueueing import Wanted
from app.store.store import Store
from benchmarks.report import Line
from tests.e2e.process import ServiceProcess
from tests.elasticsearch import Elastic
from tests.service import BASE

MANY = 10_000


async def measure(es: Elastic, folder: Path, runs: int) -> list[Line]:
    posted = [await _post(es) for _ in range(runs)]
    return [
        Line("POST of 10,000 names (9,000 unknown, 1,000 real)", "s", posted, "≤ 2"),
        *await _waiting(folder),
    ]


async def _post(es: Elastic) -> float:
    """Seconds until the answer. The worker is busy with the first of them meanwhile."""
    for number in range(0, 1000):
        if es.request("HEAD", f"/posted-{number:04}").status_code == 404:
            es.put(f"/posted-{number:04}", {"settings": {"number_of_replicas": 0}})
    names = [f"unknown-{n}" for n in range(9_000)] + [f"posted-{n:04}" for n in range(1000)]
    async with ServiceProcess({"ELASTICSEARCH_HOSTS": es.url}) as service:
        began = time.perf_counter()
        answer = await service.client.post(f"{BASE}/batch", json={"indexNames": names})
        seconds = time.perf_counter() - began
        body = answer.json()
        assert len(body["enqueued"]) + len(body["errors"]) == MANY, answer.text[:500]
    return seconds


async def _waiting(folder: Path) -> list[Line]:
    """With 10,000 rows put into the store: the page of the queue, and the memory."""
    empty, full = f"sqlite:///{folder}/empty.db", f"sqlite:///{folder}/full.db"
    await fill(full, MANY)
    nowhere = "http://127.0.0.1:9"  # so that nothing is worked off
    async with ServiceProcess({"ELASTICSEARCH_HOSTS": nowhere, "DATABASE_URL": empty}) as service:
        await _page(service, 5)
        idle = resident(service.pid)
    async with ServiceProcess({"ELASTICSEARCH_HOSTS": nowhere, "DATABASE_URL": full}) as service:
        times = sorted(await _page(service, 40))
        above = resident(service.pid) - idle
    p95 = times[int(len(times) * 0.95) - 1]
    return [
        Line("GET batch/queue with 10,000 waiting, p95", "ms", [1000 * p95], "≤ 300"),
        Line("GET batch/queue with 10,000 waiting", "ms", [1000 * t for t in times]),
        Line("memory with 10,000 waiting, above the idle process", "MB", [above], "≤ 40"),
    ]


async def fill(database_url: str, rows: int) -> None:
    """Queues operations directly in the store."""
    store = await Store.open(database_url, "default", 15.0)
    wanted = [
        Wanted(IndexName(f"waiting-{n:06}"), IndexName(f"reindexed-v8-waiting-{n:06}"))
        for n in range(rows)
    ]
    await store.operations.enqueue(wanted, "benchmark")
    await store.close()


async def _page(service: ServiceProcess, times: int) -> list[float]:
    found: list[float] = []
    for _ in range(times):
        began = time.perf_counter()
        answer: httpx.Response = await service.client.get(f"{BASE}/batch/queue")
        found.append(time.perf_counter() - began)
        assert answer.status_code == 200
    return found


def resident(pid: int) -> float:
    """Megabytes of a process in memory."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024
    raise AssertionError("no VmRSS")
