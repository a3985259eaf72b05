"""The copy of a big index, and a whole operation on it, against `_reindex?slices=auto` by hand."""

from __future__ import annotations

import json
import random
import time
from collections.abc import Iterator
from datetime import datetime

import httpx

from benchmarks.kibana import five_calls
from benchmarks.report import Line, ratios
from benchmarks.waiting import worked_off
from tests.e2e.process import ServiceProcess
from tests.elasticsearch import Elastic

WORDS = ["amber", "basalt", "cedar", "delta", "ember", "fjord", "granite", "harbor", "indigo"]
BULK = 5_000


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
            raw.append(_by_hand(es, source))
            name = _clone(es, source, "for-kibana")
            began = time.perf_counter()
            five_calls(es, name, task=True)
            kibana.append(time.perf_counter() - began)
            es.delete(f"/reindexed-v8-{name}")
            name = _clone(es, source, "for-us")
            began = time.perf_counter()
            await service.api.post_batch(name)
            await worked_off(service)
            whole.append(time.perf_counter() - began)
            await service.api.completed(name)
            copies.append(await _copy_seconds(service, name))
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


def _by_hand(es: Elastic, source: str) -> float:
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


def _clone(es: Elastic, source: str, name: str) -> str:
    """A writable clone: the same segments, so that both sides read the same."""
    es.put(f"/{source}/_settings", {"index.blocks.write": True})
    es.post(f"/{source}/_clone/{name}", {"settings": {"index.blocks.write": None}})
    es.get(f"/_cluster/health/{name}?wait_for_status=green&timeout=60s")
    return name


async def _copy_seconds(service: ServiceProcess, name: str) -> float:
    """From the first window's start to the last one's end, as the service has noted them."""
    listed = await service.client.get("/api/v1/operations", params={"index": name, "limit": 1})
    operation_id = listed.json()["operations"][0]["id"]
    shown = (await service.client.get(f"/api/v1/operations/{operation_id}")).json()
    started = [_seconds(window["startedAt"]) for window in shown["windows"]]
    ended = [_seconds(window["endedAt"]) for window in shown["windows"]]
    return max(ended) - min(started)


def _seconds(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()


def fill(es: Elastic, index: str, shards: int, documents: int) -> None:
    """Documents of about 300 bytes, the same for the same arguments, merged as they come."""
    settings = {
        "number_of_shards": shards,
        "number_of_replicas": 0,
        "refresh_interval": "-1",
        "translog.durability": "async",
    }
    es.put(f"/{index}", {"settings": settings})
    chosen = random.Random(documents)
    with httpx.Client(base_url=es.url, timeout=120, trust_env=False) as client:
        for first in range(0, documents, BULK):
            lines = "".join(_lines(chosen, first, min(BULK, documents - first)))
            headers = {"content-type": "application/x-ndjson"}
            answer = client.post(f"/{index}/_bulk", content=lines, headers=headers)
            assert not answer.json()["errors"], answer.text[:500]
    es.put(f"/{index}/_settings", {"refresh_interval": None, "translog.durability": None})
    es.post(f"/{index}/_refresh")
    es.post(f"/{index}/_flush")


def _lines(chosen: random.Random, first: int, count: int) -> Iterator[str]:
    for number in range(first, first + count):
        document = {
            "number": number,
            "at": 1_600_000_000_000 + number * 1000,
            "host": f"host-{chosen.randrange(50)}",
            "level": chosen.choice(["info", "warn", "error"]),
            "message": " ".join(chosen.choices(WORDS, k=24)),
            "bytes": chosen.randrange(100_000),
        }
        yield '{"index":{}}\n'
        yield json.dumps(document) + "\n"
