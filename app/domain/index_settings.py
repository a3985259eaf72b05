"""Index settings: what the target gets while it is filled, and what must match the source."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, cast

Tree = Mapping[str, Any]

STAMP = "index.routing.allocation.exclude.reindex_queue_operation"
"""Proves a target ours while it is filled. Any attribute name may be set and taken away again
(measured on 7.17, 8.19 and 9.4); no node has this attribute, so nothing is excluded."""

WHILE_COPYING: dict[str, str] = {
    "index.number_of_replicas": "0",
    "index.refresh_interval": "-1",
    "index.default_pipeline": "_none",
    "index.final_pipeline": "_none",
    "index.translog.durability": "request",
    "index.auto_expand_replicas": "false",
    "index.hidden": "true",
}
"""Pipelines are switched off by name, not by null: a template could bring them back. The translog
is synced with every request, so that a window once done survives a killed node."""

RESTORED = tuple(key for key in WHILE_COPYING if key != "index.hidden")
"""Given back to the target before the swap; `index.hidden` only after it."""

BLOCKS = (
    "index.blocks.write",
    "index.blocks.read_only",
    "index.blocks.read",
    "index.blocks.metadata",
    "index.blocks.read_only_allow_delete",
)

_PRIVATE = frozenset(
    {
        "index.creation_date",
        "index.history.uuid",
        "index.number_of_routing_shards",
        "index.provided_name",
        "index.uuid",
        "index.verified_before_close",
        "index.verified_read_only",
        "index.version.created",
        "index.version.upgraded",
        STAMP,
    }
)
_PRIVATE_PREFIXES = ("index.blocks.", "index.resize.source.", "index.shrink.source.")


def blocks_on(flat: Mapping[str, Any]) -> dict[str, str]:
    """The `index.blocks.*` that are on."""
    return {key: "true" for key in BLOCKS if str(flat.get(key)) == "true"}


def to_restore(flat: Mapping[str, Any]) -> dict[str, str | None]:
    """The source's own value of every setting that the copy overrides; None where it has none."""
    return {key: flat.get(key) for key in (*RESTORED, "index.hidden")}


def _comparable(flat: Mapping[str, Any]) -> dict[str, Any]:
    return {
        key: value
        for key, value in flat.items()
        if key not in _PRIVATE
        and key not in WHILE_COPYING
        and not key.startswith(_PRIVATE_PREFIXES)
    }


def differing_settings(source: Mapping[str, Any], target: Mapping[str, Any]) -> list[str]:
    """What a target has otherwise than its source, beyond what the copy itself needs, in words."""
    wanted, found = _comparable(source), _comparable(target)
    return [
        f"{key} ({wanted.get(key, 'not set')} → {found.get(key, 'not set')})"
        for key in sorted(wanted.keys() | found.keys())
        if wanted.get(key) != found.get(key)
    ]


def missing_mappings(source: Mapping[str, Any], target: Mapping[str, Any]) -> list[str]:
    """Dotted paths of the source's mappings that the target lacks or has otherwise."""
    return [*_absent(source, target), *_changed(source, target)]


def added_mappings(source: Mapping[str, Any], target: Mapping[str, Any]) -> list[str]:
    """Dotted paths in the target's mappings that the source does not have (a template's)."""
    return list(_absent(target, source))


def _absent(left: Mapping[str, Any], right: Mapping[str, Any], prefix: str = "") -> Iterator[str]:
    for key, value in left.items():
        if key not in right:
            yield prefix + key
        elif isinstance(value, Mapping) and isinstance(right[key], Mapping):
            yield from _absent(cast(Tree, value), right[key], f"{prefix}{key}.")


def _changed(left: Mapping[str, Any], right: Mapping[str, Any], prefix: str = "") -> Iterator[str]:
    for key in left.keys() & right.keys():
        if isinstance(left[key], Mapping) and isinstance(right[key], Mapping):
            yield from _changed(left[key], right[key], f"{prefix}{key}.")
        elif left[key] != right[key]:
            yield prefix + key
