"""Indices as only 7.17 makes them: 8.x opens them, but refuses or trims another one like it."""

from __future__ import annotations

from typing import Any

from tests.elasticsearch import Elastic

Body = dict[str, Any]


def _field(name: str, **properties: Any) -> Body:
    return {"mappings": {"properties": {name: properties}}}


def _template(**mapping: Any) -> Body:
    template = {"match_mapping_type": "string", "mapping": mapping}
    return {"mappings": {"dynamic_templates": [{"odd": template}]}}


def _analysis(part: str, kind: str) -> Body:
    own = {"own": {"type": kind, "min_gram": 2, "max_gram": 3}}
    chain = {"tokenizer": "own"} if part == "tokenizer" else {"tokenizer": "standard", part: "own"}
    return {"settings": {"analysis": {part: own, "analyzer": {"own": chain}}}}


_INNER = {"middle": {"type": "keyword", "fields": {"deep": {"type": "keyword"}}}}

DROPPED: dict[str, str] = {
    "index.force_memory_term_dictionary": "true",
    "index.indexing.slowlog.level": "info",
    "index.max_adjacency_matrix_filters": "50",
    "index.search.slowlog.level": "info",
    "index.soft_deletes.enabled": "true",
    "index.translog.retention.age": "6h",
}
"""Settings that do nothing on 8.x and that a new index cannot have."""

REFUSED: dict[str, tuple[Body, list[str]]] = {
    "boosted": (
        {**_field("title", type="text", boost=2), "settings": DROPPED},
        ["boost", "title"],
    ),
    "camel-dates": (_field("day", type="date", format="basicDate"), ["format", "day", "basicDate"]),
    "no-field-names": ({"mappings": {"_field_names": {"enabled": False}}}, ["_field_names"]),
    "chained": (_field("outer", type="keyword", fields=_INNER), ["multi-field", "middle"]),
    "unknown-type": (_template(type="none-of-these"), ["dynamic template [odd]"]),
    "unknown-parameter": (_template(type="keyword", odder=1), ["dynamic template [odd]", "odder"]),
    "n-grams": (_analysis("filter", "nGram"), ["nGram", "filter"]),
    "edge-n-grams": (_analysis("filter", "edgeNGram"), ["edgeNGram", "filter"]),
    "n-gram-tokens": (_analysis("tokenizer", "nGram"), ["nGram", "tokenizer"]),
}
"""By name: how it is made, and the words in which 8.19 refuses another one like it."""


def make_refused(es: Elastic) -> list[str]:
    """Creates them with four documents each, and answers their names."""
    for name, (body, _) in REFUSED.items():
        es.put(f"/{name}", body)
        es.bulk(name, [{"n": n} for n in range(4)])
    return list(REFUSED)


def make_dropped(es: Elastic) -> str:
    """Creates an index with every setting of `DROPPED` and one that is kept; its name."""
    kept = {"index.allocation.max_retries": "7"}
    es.put("/retired", {"settings": {**DROPPED, **kept}})
    es.bulk("retired", [{"n": n} for n in range(4)])
    return "retired"
