"""Indices of 7.17 with a mapping type of their own, with aliases that 8.x does not take any more,
and with fields that came under another `dynamic`."""

from __future__ import annotations

from typing import Any

from tests.elasticsearch import Elastic

Body = dict[str, Any]

_N: Body = {"n": {"type": "long"}}

TYPES: dict[str, Body] = {
    "typed-doc": {"doc": {"properties": _N}},
    "typed-as-keyword": {"dynamic": {"dynamic": "strict", "properties": _N}},
    "typed-as-properties": {"properties": {"_meta": {"a": 1}, "properties": _N}},
    "typed-dotted": {"a.b": {"properties": _N, "dynamic_templates": []}},
    "typed-größe": {"日本 größe": {"properties": _N}},
    "typed-starred": {"t*": {"_routing": {"required": True}, "properties": _N}},
    "typed-source-on": {"source": {"_source": {"enabled": True}, "properties": _N}},
}
"""By index name: mappings under a type, with documents of it."""

TYPED_REFUSED: dict[str, tuple[Body, str]] = {
    "typed-sourceless": ({"doc": {"_source": {"enabled": False}, "properties": _N}}, "disabled"),
    "typed-excludes": ({"a.b": {"_source": {"excludes": ["x"]}}}, "leaves fields out"),
    "typed-includes": ({"properties": {"_source": {"includes": ["n"]}}}, "leaves fields out"),
}
"""By index name: mappings whose documents cannot be copied, and a word of why."""


def make_typed(es: Elastic) -> list[str]:
    """Creates them, an empty one, one with fields and no documents, and a closed one."""
    for name, mappings in TYPES.items():
        es.put(f"/{name}?include_type_name=true", {"mappings": mappings})
        es.bulk(name, [{"n": n} for n in range(5)], routing="r")
    es.put("/typed-empty?include_type_name=true", {"mappings": {"doc": {}}})
    es.put("/typed-unfilled?include_type_name=true", {"mappings": {"doc": {"properties": _N}}})
    for n in range(3):  # typed by its first document
        es.put(f"/typed-closed/book/{n}?refresh=true", {"n": n, "text": "a"})
    es.post("/typed-closed/_close")
    return [*TYPES, "typed-empty", "typed-unfilled", "typed-closed"]


def make_typed_refused(es: Elastic) -> list[str]:
    for name, (mappings, _) in TYPED_REFUSED.items():
        es.put(f"/{name}?include_type_name=true", {"mappings": mappings})
        es.bulk(name, [{"n": 1, "x": 2}])
    return list(TYPED_REFUSED)


def make_other_dynamic(es: Elastic) -> list[str]:
    """Three documents each with fields that came under `dynamic: false`, which is another now."""
    inner: Body = {
        "plain": {"dynamic": "false", "properties": {"deep": {"properties": _N}}},
        "rows": {"type": "nested", "dynamic": "false", "include_in_root": True, "properties": _N},
    }
    for now in ("strict", "true", "runtime"):
        name = f"dynamic-{now}"
        es.put(f"/{name}", {"mappings": {"dynamic": "false", "properties": {**inner, **_N}}})
        odd = {"odd": {"x": 1}, "plain": {"o": "a", "deep": {"n": 1, "o": 2}}}
        es.bulk(name, [{"n": n, **odd, "rows": [{"n": 1, "o": [2]}]} for n in range(3)])
        rows = {"type": "nested", "include_in_root": True, "dynamic": now}
        plain = {"type": "object", "dynamic": now}
        es.put(f"/{name}/_mapping", {"dynamic": now, "properties": {"plain": plain, "rows": rows}})
    return [f"dynamic-{now}" for now in ("strict", "true", "runtime")]


_MATCH: Body = {"query": "1", "cutoff_frequency": 0.1}
_BOX: Body = {"top_left": [0, 1], "bottom_right": [1, 0]}
FILTERS: dict[str, Body] = {
    "by-common": {"common": {"t": {"query": "a"}}},
    "by-type": {"bool": {"must": [{"term": {"n": 1}}, {"type": {"value": "_doc"}}]}},
    "by-cutoff": {"match": {"n": _MATCH}},
    "by-box": {"geo_bounding_box": {"type": "memory", "place": _BOX}},
}
"""By the name of an alias: filters that 7.17 parses and 8.x does not."""


def make_filtered(es: Elastic) -> list[str]:
    """An index for each filter, with an alias that is well beside it; the last one is closed."""
    properties: Body = {"t": {"type": "text"}, "place": {"type": "geo_point"}, **_N}
    for alias, query in FILTERS.items():
        aliases: Body = {alias: {"filter": query}, f"well-{alias}": {"filter": {"term": {"n": 1}}}}
        es.put(f"/filtered-{alias}", {"mappings": {"properties": properties}, "aliases": aliases})
        es.bulk(f"filtered-{alias}", [{"n": n} for n in range(3)])
    names = [f"filtered-{alias}" for alias in FILTERS]
    es.post(f"/{names[-1]}/_close")
    return names


def make_filtered_by_type(es: Elastic) -> list[str]:
    """Two that show documents by their mapping type, one by a field that is called so."""
    by_type: dict[str, Body] = {
        "by-field": {"terms": {"_type": ["doc"]}},
        "by-query": {"bool": {"should": {"type": {"value": "doc"}}}},
        "by-namesake": {"term": {"type": {"value": "doc"}}},
    }
    mappings: Body = {"doc": {"properties": {"type": {"type": "keyword"}}}}
    for alias, query in by_type.items():
        body = {"mappings": mappings, "aliases": {alias: {"filter": query}}}
        es.put(f"/typed-{alias}?include_type_name=true", body)
        es.bulk(f"typed-{alias}", [{"type": "doc"}])
    return [f"typed-{alias}" for alias in by_type]
