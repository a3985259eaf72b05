"""Big indices to copy."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator

import httpx

from tests.elasticsearch import Elastic

WORDS = ["amber", "basalt", "cedar", "delta", "ember", "fjord", "granite", "harbor", "indigo"]
BULK = 5_000


def clone(es: Elastic, source: str, name: str) -> str:
    """A writable clone: the same segments, so that both sides read the same."""
    es.put(f"/{source}/_settings", {"index.blocks.write": True})
    settings = {"index.blocks.write": None, "index.number_of_replicas": 0}
    es.post(f"/{source}/_clone/{name}", {"settings": settings})
    es.get(f"/_cluster/health/{name}?wait_for_status=green&timeout=60s")
    return name


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
