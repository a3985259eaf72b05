"""Indices of every kind that an old cluster may have, made on whatever server is given."""

from __future__ import annotations

from typing import Any

from tests.elasticsearch import Elastic

LONG = "l" * (255 - len("reindexed-v8-"))
"""The longest name whose target is still a name."""


def make_all(es: Elastic) -> list[str]:
    """Creates them and answers their names."""
    for make in (_plain, _related, _routed, _tuned, _states, _aliased, _named):
        make(es)
    return sorted(es.indices())


def _plain(es: Elastic) -> None:
    es.put("/empty")
    es.put("/plain", {"settings": {"refresh_interval": "-1"}})
    es.bulk("plain", [{"text": f"document {n}", "n": n} for n in range(500)])
    for n in range(0, 500, 7):  # gaps in the sequence numbers
        es.post(f"/plain/_update/{n}", {"doc": {"again": True}})
    for n in range(0, 500, 11):
        es.delete(f"/plain/_doc/{n}")
    es.put("/big")
    es.bulk("big", [{"text": "x" * 300_000, "n": n} for n in range(20)])


def _related(es: Elastic) -> None:
    es.put("/nested", {"mappings": {"properties": {"parts": {"type": "nested"}}}})
    es.bulk("nested", [{"parts": [{"a": n}, {"a": n + 1}]} for n in range(30)])
    join = {"type": "join", "relations": {"question": "answer"}}
    es.put("/joined", {"mappings": {"properties": {"kind": join}}})
    es.bulk("joined", [{"kind": "question", "n": n} for n in range(10)])
    for n in range(10):
        child = {"kind": {"name": "answer", "parent": str(n)}}
        es.put(f"/joined/_doc/a{n}?routing={n}", child)


def _routed(es: Elastic) -> None:
    es.put(
        "/routed",
        {
            "settings": {"number_of_shards": 3, "number_of_routing_shards": 6},
            "mappings": {"_routing": {"required": True}},
        },
    )
    for n in range(40):
        es.put(f"/routed/_doc/{n % 20}?routing=r{n}", {"n": n})


def _tuned(es: Elastic) -> None:
    analysis = {
        "filter": {"short": {"type": "length", "min": 2}},
        "analyzer": {"own": {"tokenizer": "standard", "filter": ["lowercase", "short"]}},
    }
    es.put(
        "/analysed",
        {
            "settings": {"analysis": analysis},
            "mappings": {"properties": {"t": {"type": "text", "analyzer": "own"}}},
        },
    )
    es.bulk("analysed", [{"t": f"A Word {n}"} for n in range(20)])
    es.put(
        "/sorted",
        {
            "settings": {"index.sort.field": "n", "index.sort.order": "desc"},
            "mappings": {"properties": {"n": {"type": "integer"}}},
        },
    )
    es.bulk("sorted", [{"n": n} for n in range(50)])
    strict: dict[str, Any] = {
        "dynamic": "strict",
        "_meta": {"owner": "somebody"},
        "properties": {"n": {"type": "long"}, "k": {"type": "keyword", "ignore_above": 9}},
    }
    es.put("/strict", {"mappings": strict})
    es.bulk("strict", [{"n": n, "k": str(n)} for n in range(20)])


def _states(es: Elastic) -> None:
    for name in ("closed", "hidden", "blocked", "read_only"):
        hidden = {"index.hidden": True} if name == "hidden" else {}
        es.put(f"/{name}", {"settings": hidden})
        es.bulk(name, [{"n": n} for n in range(10)])
    es.post("/closed/_close")
    es.put("/blocked/_settings", {"index.blocks.write": True})
    es.put("/read_only/_settings", {"index.blocks.read_only": True})


def _aliased(es: Elastic) -> None:
    aliases = {
        "everything": {},
        "some": {"filter": {"range": {"n": {"lt": 5}}}},
        "with-routing": {"index_routing": "1", "search_routing": "1,2"},
        "unseen": {"is_hidden": True},
        "written": {"is_write_index": True},
    }
    es.put("/aliased", {"aliases": aliases})
    es.bulk("aliased", [{"n": n} for n in range(10)])


def _named(es: Elastic) -> None:
    for name in (LONG, "größe-日本語", ".dotted", "reindexed-v7-once"):
        es.put(f"/{name}")
        es.bulk(name, [{"n": n} for n in range(3)])
