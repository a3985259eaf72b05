"""What kind of index it is, and why some cannot be reindexed this way. Pure: facts in, word out."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, cast

from app.domain.errors import (
    AlreadyReindexed,
    IndexNotFound,
    NotAnIndex,
    Refused,
    TargetTaken,
    WrongKind,
)
from app.domain.names import IndexName
from app.elastic.answers import IndexState, Looked

MODES = ("standard", "lookup", "logsdb", "time_series")
"""What `settings.mode` may be (Kibana 9.x)."""


def refusal(
    name: IndexName,
    looked: Looked,
    streams: dict[str, list[str]],
    earlier: dict[str, str],
) -> Refused | None:
    """Why `name` is not taken, or None.

    `streams`: data streams and their backing indices; `earlier`: where completed operations of
    ours have put which index.
    """
    if name in streams:
        return WrongKind(
            "data_stream",
            f"{name} is a data stream, not an index. Migrate it with POST _migration/reindex "
            '{"mode":"upgrade","source":{"index":"…"}} (8.18 and newer).',
        )
    state = looked.get(name)
    if state is None:
        return _not_there(name, looked, earlier)
    owner = next((stream for stream, indices in streams.items() if name in indices), None)
    if owner:
        return WrongKind(
            "backing_index",
            f"{name} belongs to the data stream {owner} and cannot be replaced by an alias. "
            f"Migrate the data stream with POST _migration/reindex (8.18 and newer).",
        )
    return _of_kind(state)


def _not_there(name: IndexName, looked: Looked, earlier: dict[str, str]) -> Refused:
    holders = looked.holders(name)
    if holders and earlier.get(name) in holders:
        return AlreadyReindexed(name, earlier[name])
    return NotAnIndex(name, holders) if holders else IndexNotFound(name)


def _of_kind(state: IndexState) -> Refused | None:
    """Why an index of this kind is not taken."""
    name, settings = state.name, state.settings
    if state.system:
        return WrongKind(
            "system_index",
            f"{name} is a system index. Elasticsearch migrates those itself: "
            "POST _migration/system_features.",
        )
    if str(settings.get("index.xpack.ccr.following_index")) == "true":
        return WrongKind(
            "ccr_follower",
            f"{name} follows an index of another cluster. Reindex the leader there, or make this "
            f"an ordinary index first: POST {name}/_ccr/pause_follow, close it, "
            f"POST {name}/_ccr/unfollow, open it.",
        )
    if settings.get("index.store.type") == "snapshot":
        return WrongKind(
            "searchable_snapshot",
            f"{name} is a searchable snapshot, which cannot be reindexed in place. "
            "Restore the snapshot as an ordinary index and reindex that.",
        )
    if str(settings.get("index.frozen")) == "true":
        return WrongKind(
            "frozen",
            f"{name} is frozen, and a copy passes over frozen indices. Thaw it first: "
            f"POST {name}/_unfreeze (before 9.0).",
        )
    return _source_fault(state)


def _source_fault(state: IndexState) -> Refused | None:
    """Documents are copied from `_source`: what is not in it would be lost silently."""
    source = cast(dict[str, Any], state.mappings.get("_source", {}))
    off = str(source.get("enabled", True)).lower() == "false" or source.get("mode") == "disabled"
    if off:
        return WrongKind(
            "source_disabled",
            f"{state.name} has _source disabled, so its documents cannot be copied. "
            "Fill a new index from where the data came from.",
        )
    if source.get("includes") or source.get("excludes"):
        return WrongKind(
            "source_filtered",
            f"{state.name} leaves fields out of _source (includes or excludes): they would be "
            "lost in the copy. Fill a new index from where the data came from.",
        )
    return None


def target_refusal(
    name: IndexName, target: IndexName, looked: Looked, leftovers: Collection[str]
) -> Refused | None:
    """Why `target` cannot be made, or None. `leftovers`: UUIDs of targets that we may remove."""
    if name == target:
        return TargetTaken(f"The new index {target} must have another name than its source.")
    state = looked.get(target)
    if state is not None and state.uuid not in leftovers:
        return TargetTaken(f"The index {target} already exists. Please try again.")
    if state is None and (holders := looked.holders(target)):
        return TargetTaken(
            f"The target's name {target} is an alias of {', '.join(holders)}. "
            "Rename or remove that alias."
        )
    return None


def mode_refusal(mode: str | None, state: IndexState) -> Refused | None:
    """Why an index cannot get `mode`: what Elasticsearch would say half-way."""
    if mode is None or mode == "standard":
        return None
    if mode == "lookup" and state.shards != 1:
        return WrongKind(
            "mode",
            f"index.mode lookup needs exactly one shard, but {state.name} has {state.shards}.",
        )
    if mode == "time_series" and not state.settings.get("index.routing_path"):
        return WrongKind(
            "mode",
            f"index.mode time_series needs index.routing_path, which {state.name} does not have.",
        )
    return None
