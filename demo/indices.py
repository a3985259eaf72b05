"""The indices of the demo: made on 7.17, and looked at afterwards on 9.4."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import httpx

from tests.elasticsearch import Elastic

LARGE = "logs-2019"
LARGE_DOCUMENTS = 200_000
BULK = 10_000
LEVELS = ("info", "info", "info", "warn", "error")


@dataclass(frozen=True)
class Seen:
    """What people have in an index: its documents and the names it is found by."""

    documents: int
    aliases: tuple[str, ...]
    closed: bool


def make_all(es: Elastic) -> list[str]:
    """Creates them and answers their names, in the order in which they are posted."""
    one = {"number_of_replicas": 0}
    es.put("/customers", {"settings": one, "mappings": _nested("addresses")})
    es.bulk("customers", [{"name": f"c{n}", "addresses": [{"no": n}]} for n in range(500)])
    aliases: dict[str, Any] = {
        "orders": {"is_write_index": True},
        "orders-big": {"filter": {"range": {"total": {"gte": 500}}}},
        "orders-eu": {"index_routing": "eu", "search_routing": "eu"},
    }
    es.put("/orders-v1", {"settings": {**one, "number_of_shards": 3}, "aliases": aliases})
    es.bulk("orders-v1", [{"total": n, "paid": n % 3 == 0} for n in range(1000)])
    es.put("/archive-2016", {"settings": one, "aliases": {"archive": {}}})
    es.bulk("archive-2016", [{"n": n} for n in range(300)])
    es.post("/archive-2016/_close")
    es.put("/bestände", {"settings": one})
    es.bulk("bestände", [{"stück": n} for n in range(50)])
    es.put("/empty", {"settings": one})
    es.put(f"/{LARGE}", {"settings": {**one, "refresh_interval": "-1"}, "aliases": {"logs": {}}})
    _fill(es.url, LARGE, LARGE_DOCUMENTS)
    es.put(f"/{LARGE}/_settings", {"refresh_interval": None})
    es.post(f"/{LARGE}/_refresh")
    return ["customers", "orders-v1", "archive-2016", "bestände", "empty", LARGE]


def look(es: Elastic, names: list[str]) -> dict[str, Seen]:
    """Every one of them, a closed one opened for the moment; its own name is no alias of it."""
    return {name: _look(es, name) for name in names}


def _look(es: Elastic, name: str) -> Seen:
    closed = es.is_closed(name)
    if closed:
        es.post(f"/{name}/_open?wait_for_active_shards=1")
    es.get(f"/_cluster/health/{name}?wait_for_status=yellow&timeout=60s")
    count = es.get(f"/{name}/_count")["count"]
    aliases = tuple(sorted(es.aliases(name).keys() - {name}))
    if closed:
        es.post(f"/{name}/_close")
    return Seen(count, aliases, closed)


def created_by(es: Elastic, name: str) -> int:
    """The major version that the index behind that name was created by."""
    return int(es.settings(name)["index.version.created"]) // 1_000_000


def _nested(field: str) -> dict[str, Any]:
    return {"properties": {field: {"type": "nested"}}}


def _fill(url: str, index: str, documents: int) -> None:
    headers = {"content-type": "application/x-ndjson"}
    with httpx.Client(base_url=url, timeout=120, trust_env=False) as client:
        for first in range(0, documents, BULK):
            body = "".join(_lines(first, BULK))
            answer = client.post(f"/{index}/_bulk", content=body, headers=headers)
            assert not answer.json()["errors"], answer.text[:500]


def _lines(first: int, count: int) -> Iterator[str]:
    for number in range(first, first + count):
        document = {
            "at": 1_546_300_800_000 + number * 157_000,
            "level": LEVELS[number % len(LEVELS)],
            "host": f"web-{number % 23:02}",
            "message": f"request {number} served in {number * 7 % 997} ms",
        }
        yield '{"index":{}}\n' + json.dumps(document) + "\n"
