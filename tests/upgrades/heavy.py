"""Documents that are small on disk and large as JSON, as log lines are."""

from __future__ import annotations

import gzip
import json
from collections.abc import Sequence
from typing import Any

import httpx

from tests.conditions import until
from tests.elasticsearch import Elastic

BULK_BYTES = 8_000_000
LINE = "2019-03-04T10:11:12,345 [INFO ] [o.e.c.m.MetadataCreateIndexService] creating index"
NOT_PARSED = {"dynamic": False, "properties": {"message": {"type": "object", "enabled": False}}}
"""So that they are indexed as fast as can be."""


def lines(size: int) -> str:
    """So many bytes of log lines."""
    return (LINE * (size // len(LINE) + 1))[:size]


def heavy(es: Elastic, index: str, sizes: Sequence[int], **settings: Any) -> None:
    """Fills a new index with documents of these bytes, in that order; ids are `0`, `1`, …"""
    es.put(f"/{index}", {"mappings": NOT_PARSED, "settings": settings})
    documents = {size: json.dumps({"message": lines(size)}) for size in set(sizes)}
    with httpx.Client(base_url=es.url, timeout=60, trust_env=False) as client:
        bulk: list[str] = []
        for number, size in enumerate(sizes):
            bulk += [json.dumps({"index": {"_id": str(number)}}), documents[size]]
            following = sizes[number + 1] if number + 1 < len(sizes) else BULK_BYTES
            if sum(map(len, bulk)) + following > BULK_BYTES:
                _send(client, index, bulk)
                bulk = []
    es.post(f"/{index}/_refresh")


def _send(client: httpx.Client, index: str, bulk: Sequence[str]) -> None:
    body = gzip.compress(("\n".join(bulk) + "\n").encode(), 1)
    headers = {"content-type": "application/x-ndjson", "content-encoding": "gzip"}

    def taken() -> bool:
        answer = client.post(f"/{index}/_bulk", content=body, headers=headers)
        assert answer.status_code in (200, 429), answer.text[:2_000]
        return answer.status_code == 200 and not answer.json()["errors"]

    until(taken, "the node takes the documents")
