"""What `_cluster/allocation/explain` says of a primary that no node takes, in words."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, cast

from app.domain.texts import capped
from app.elastic.answers import mapping

MOST_NODES = 3
MOST_OF_AN_EXPLANATION = 250

_IN_A_MOMENT = ("yes", "throttled", "awaiting_info", "allocation_delayed")
"""One that waits for its turn, or for a node that has only just left."""


def in_words(answer: Mapping[str, Any]) -> str | None:
    """None where it is assigned, or will be. Raises `LookupError`, `TypeError`, `ValueError`."""
    if answer.get("current_state") != "unassigned":
        return None
    if str(answer.get("can_allocate")) in _IN_A_MOMENT:
        return None
    nodes = [
        mapping(node) for node in cast(list[Any], answer.get("node_allocation_decisions") or [])
    ]
    told = [f"{node.get('node_name')}: {reason}" for node in nodes for reason in _refusals(node)]
    if not told:
        general = str(answer.get("allocate_explanation") or "Elasticsearch does not say why")
        return capped(general, MOST_OF_AN_EXPLANATION)
    more = f"; and {len(nodes) - MOST_NODES} nodes more" if len(nodes) > MOST_NODES else ""
    return "; ".join(told[:MOST_NODES]) + more


def _refusals(node: Mapping[str, Any]) -> Iterator[str]:
    """What speaks against a node first: the decider's name, and its sentence."""
    for decider in cast(list[Any], node.get("deciders") or []):
        entry = mapping(decider)
        if entry.get("decision") == "NO":
            why = capped(str(entry.get("explanation")), MOST_OF_AN_EXPLANATION)
            yield f"{entry.get('decider')}: {why}"
            return
