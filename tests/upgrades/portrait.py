"""What an index is to its users, taken before and after a reindex to be compared."""

from __future__ import annotations

from typing import Any, NamedTuple

from tests.elasticsearch import Elastic

_OWN = (
    "index.creation_date",
    "index.number_of_routing_shards",
    "index.provided_name",
    "index.uuid",
    "index.verified_before_close",
    "index.verified_read_only",
    "index.version.created",
)
"""What every index has for itself; the number of routing shards is compared as a number."""


class Contents(NamedTuple):
    id: str
    routing: str | None
    version: int
    source: Any


def contents(es: Elastic, index: str) -> list[Contents]:
    """Every document with its version, in order of `_id` and routing (up to 10,000)."""
    es.request("POST", f"/{index}/_refresh")
    answer = es.post(f"/{index}/_search", {"size": 10_000, "version": True})
    assert answer["_shards"]["failed"] == 0
    found = [
        Contents(hit["_id"], hit.get("_routing"), hit["_version"], hit["_source"])
        for hit in answer["hits"]["hits"]
    ]
    return sorted(found, key=lambda document: (document.id, document.routing or ""))


def as_found(es: Elastic, index: str) -> dict[str, Any]:
    """Everything the cluster state has about that very index, its UUID included.

    Left out is what Elasticsearch notes for itself: that it verified a closed or blocked index.
    """
    answer = es.get(f"/_cluster/state/metadata/{index}?flat_settings=true&expand_wildcards=all")
    ((name, entry),) = answer["metadata"]["indices"].items()
    settings = dict(entry["settings"])
    settings.pop("index.verified_before_close", None)
    if settings.keys() & {"index.blocks.write", "index.blocks.read_only"}:
        settings.pop("index.verified_read_only", None)
    return {
        **settings,
        "name": name,
        "state": entry["state"],
        "mappings": entry["mappings"],
        "aliases": sorted(entry["aliases"]),
        "routing shards": entry["routing_num_shards"],
    }


def made_anew(es: Elastic, index: str) -> dict[str, Any]:
    """What an index and its rewritten copy must have in common; aliases are compared apart."""
    apart = {*_OWN, "name", "aliases"}
    found = as_found(es, index)
    found["mappings"] = list(found["mappings"].values()) or [{}]  # whatever their type is called
    return {key: value for key, value in found.items() if key not in apart}
