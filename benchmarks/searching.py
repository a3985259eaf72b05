"""How a second client's searches fare while an index is copied."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Mapping

import httpx

from benchmarks.copying import by_hand
from benchmarks.report import Line
from benchmarks.sources import WORDS, clone, fill
from benchmarks.waiting import worked_off
from tests.e2e.process import ServiceProcess
from tests.elasticsearch import Elastic

SEARCHED = 100_000
"""Documents of the index that is searched."""
EVERY = 0.05
QUIET_SECONDS = 20.0
GATES: Mapping[str, Mapping[str, str]] = {
    "off": {"REINDEX_HEALTH_GATE": "false"},
    "on": {},
    "on with a search probe": {
        "REINDEX_SEARCH_PROBE": "searched",
        "REINDEX_SEARCH_PROBE_SECONDS": "0.02",
        "REINDEX_HEALTH_SECONDS": "1",
    },
}


class Searcher:
    """Searches in a thread, one after the other; `p95()` in milliseconds since the start."""

    def __init__(self, url: str, index: str) -> None:
        self._client = httpx.Client(base_url=url, timeout=60, trust_env=False)
        self._index = index
        self._times: list[float] = []
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> Searcher:
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._stop.set()
        self._thread.join()
        self._client.close()

    def p95(self) -> float:
        times = sorted(self._times)
        return 1000 * times[int(len(times) * 0.95) - 1]

    def _run(self) -> None:
        number = 0
        while not self._stop.wait(EVERY):
            number += 1
            query = {
                "query": {"match": {"message": WORDS[number % len(WORDS)]}},
                "aggs": {"hosts": {"terms": {"field": "host.keyword"}}},
            }
            began = time.perf_counter()
            answer = self._client.post(f"/{self._index}/_search?request_cache=false", json=query)
            self._times.append(time.perf_counter() - began)
            assert answer.status_code == 200, answer.text


async def measure(es: Elastic, runs: int, documents: int) -> list[Line]:
    """The 95th percentile of a search, in milliseconds: at rest, and beside each kind of copy."""
    fill(es, "searched", 1, SEARCHED)
    fill(es, "source", 1, documents)
    found: dict[str, list[float]] = {}
    for _ in range(runs):
        with Searcher(es.url, "searched") as searcher:
            await asyncio.sleep(QUIET_SECONDS)
        found.setdefault("at rest", []).append(searcher.p95())
        with Searcher(es.url, "searched") as searcher:
            await asyncio.to_thread(by_hand, es, "source")
        found.setdefault("beside _reindex?slices=auto", []).append(searcher.p95())
        for what, environment in GATES.items():
            p95 = await _beside_us(es, environment)
            found.setdefault(f"beside this service, gate {what}", []).append(p95)
    return [Line(f"search p95 {what}", "ms", times) for what, times in found.items()]


async def _beside_us(es: Elastic, environment: Mapping[str, str]) -> float:
    name = clone(es, "source", "copied")
    async with ServiceProcess({"ELASTICSEARCH_HOSTS": es.url, **environment}) as service:
        with Searcher(es.url, "searched") as searcher:
            await service.api.post_batch(name)
            await worked_off(service)
        await service.api.completed(name)
    es.delete(f"/reindexed-v8-{name}")
    return searcher.p95()
