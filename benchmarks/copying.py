"""The copy of a big index, and a whole operation on it, against `_reindex?slices=auto` by hand."""

from __future__ import annotations

import time

from benchmarks.kibana import five_calls
from benchmarks.report import Line, ratios
from benchmarks.sources import clone, fill
from benchmarks.told import copy_seconds
from benchmarks.waiting import worked_off
from tests.e2e.process import ServiceProcess
from tests.elasticsearch import Elastic


async def measure(es: Elastic, pairs: int, documents: int) -> list[Line]:
    """Seconds for one shard and for five, ours and by hand in turns, on the same source."""
    lines: list[Line] = []
    for shards, goals in ((1, ("≥ 1.3", "≥ 1.25")), (5, ("≥ 1.0", ""))):
        source = f"source-{shards}"
        fill(es, source, shards, documents)
        lines += await _compare(es, source, shards, documents, pairs, goals)
        es.delete(f"/{source}")
    return lines


async def _compare(
    es: Elastic, source: str, shards: int, documents: int, pairs: int, goals: tuple[str, str]
) -> list[Line]:
    copies: list[float] = []
    raw: list[float] = []
    whole: list[float] = []
    kibana: list[float] = []
    async with ServiceProcess({"ELASTICSEARCH_HOSTS": es.url}) as service:
        for _ in range(pairs):
            raw.append(by_hand(es, source))
            name = clone(es, source, "for-kibana")
            began = time.perf_counter()
            five_calls(es, name, task=True)
            kibana.append(time.perf_counter() - began)
            es.delete(f"/reindexed-v8-{name}")
            name = clone(es, source, "for-us")
            began = time.perf_counter()
            await service.api.post_batch(name)
            await worked_off(service)
            whole.append(time.perf_counter() - began)
            await service.api.completed(name)
            copies.append(await copy_seconds(service, name))
            es.delete(f"/reindexed-v8-{name}")
    what = f"{documents:,} documents, {shards} shard{'s' if shards > 1 else ''}"
    return [
        Line(f"{what}: copy, this service", "s", copies),
        Line(f"{what}: copy by hand, slices=auto", "s", raw),
        Line(f"{what}: by hand / this service", "ratio", ratios(raw, copies), goals[0]),
        Line(f"{what}: whole operation, this service", "s", whole),
        Line(f"{what}: Kibana's sequence by hand", "s", kibana),
        Line(f"{what}: Kibana's / this service", "ratio", ratios(kibana, whole), goals[1]),
    ]


def by_hand(es: Elastic, source: str) -> float:
    """One `_reindex?slices=auto` into a target with the settings that ours has."""
    es.put(f"/{source}/_settings", {"index.blocks.write": True})
    override = {"index.number_of_replicas": 0, "index.refresh_interval": -1}
    es.post(f"/_create_from/{source}/by-hand", {"settings_override": override})
    body = {"source": {"index": source}, "dest": {"index": "by-hand"}}
    began = time.perf_counter()
    answer = es.post("/_reindex?slices=auto&wait_for_completion=false", body)
    while not (task := es.get(f"/_tasks/{answer['task']}"))["completed"]:
        time.sleep(0.05)
    seconds = time.perf_counter() - began
    assert not task["response"]["failures"], task
    es.delete("/by-hand")
    return seconds
