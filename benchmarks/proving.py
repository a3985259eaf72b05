"""What a proof of every document costs beside the copy."""

from __future__ import annotations

from benchmarks.report import Line, ratios
from benchmarks.sources import clone, fill
from benchmarks.told import copied, seconds, told
from benchmarks.waiting import worked_off
from tests.e2e.process import ServiceProcess
from tests.elasticsearch import Elastic


async def measure(es: Elastic, runs: int, documents: int) -> list[Line]:
    """Seconds of the copy alone, and until every document is compared, of the same operation."""
    fill(es, "source", 1, documents)
    copies: list[float] = []
    both: list[float] = []
    async with ServiceProcess({"ELASTICSEARCH_HOSTS": es.url}) as service:
        for _ in range(runs):
            name = clone(es, "source", "proven")
            body = {"indices": [{"index": name}], "proof": "full"}
            answer = await service.client.post("/api/v1/batches", json=body)
            assert answer.json()["operations"], answer.text
            await worked_off(service)
            await service.api.completed(name)
            operation = await told(service, name)
            began, ended = copied(operation)
            (proven,) = [e["at"] for e in operation["events"] if e["what"] == "proven"]
            copies.append(ended - began)
            both.append(seconds(proven) - began)
            es.delete(f"/reindexed-v8-{name}")
    what = f"{documents:,} documents, 1 shard"
    return [
        Line(f"{what}: copy", "s", copies),
        Line(f"{what}: copy and full proof", "s", both),
        Line(f"{what}: copy and full proof / copy", "ratio", ratios(both, copies), "≤ 1.6"),
    ]
