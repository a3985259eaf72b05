"""Is this still the index we mean? Names are re-used, UUIDs are not."""

from __future__ import annotations

import re
from collections.abc import Iterable

from app.domain.errors import Failure
from app.domain.operation import Operation
from app.domain.pair import Pair
from app.elastic.answers import IndexState, Looked
from app.elastic.cluster import ClusterView

MARKERS = ".rq-"
"""What every marker alias begins with (`Pair.marker`)."""

_MARKER = re.compile(re.escape(MARKERS) + "([0-9a-f]{32})")


async def observe(pair: Pair, cluster: ClusterView, *, mappings: bool = False) -> Looked:
    """Source, target and kept copy, and what else has the name that was asked for."""
    return await cluster.indices.look(*pair.names, mappings=mappings)


def name_in_place(looked: Looked, operation: Operation) -> None:
    """Raises `Failure` where the name that the target is to get has gone to something else."""
    name = operation.index_name
    holders = [name] if name in looked else looked.holders(name)
    if holders and holders != [operation.source_name]:
        raise Failure(
            "name_taken",
            f"{name} is now an alias of {operation.reach.shown(holders)}, which this operation did "
            "not do. "
            f"Nothing was touched; the copy is in {operation.new_index_name}.",
        )
    if not holders and operation.concrete_name:
        raise Failure(
            "name_gone",
            f"{name} was an alias of {operation.concrete_name} and is not any more. "
            "Put it back, then post it again.",
        )


def source_in(looked: Looked, pair: Pair) -> IndexState:
    """The source as it is now. Raises `Failure` where it is gone or another index has its name."""
    name = pair.source_name
    state = looked.get(name)
    if state is None:
        holders = looked.holders(name)
        now = f" Its name is now an alias of {pair.reach.shown(holders)}." if holders else ""
        raise Failure("source_missing", f"Index {name} does not exist.{now}")
    if pair.source_uuid and state.uuid != pair.source_uuid:
        raise Failure(
            "source_replaced",
            f"Index {name} was deleted and made again since the operation began. "
            "Nothing was done to the new one; post it again to reindex it.",
        )
    return state


def blocked_source_in(looked: Looked, pair: Pair) -> IndexState:
    """The source, which must still be open and refuse writes. Raises `Failure`."""
    state = source_in(looked, pair)
    if state.closed:
        raise Failure(
            "source_closed",
            f"Somebody closed {pair.source_name} during the reindex, so it cannot be read. "
            "Open it, then post it again.",
        )
    if not state.write_blocked:
        raise Failure(
            "write_block_lifted",
            f"Somebody lifted the write block of {pair.source_name} during the reindex, so "
            "the copy may be incomplete. Post the index again.",
        )
    return state


def target_in(looked: Looked, pair: Pair) -> IndexState:
    """The target, which must be the very index this operation made. Raises `Failure`."""
    name = pair.target_name
    state = looked.get(name)
    if state is None:
        raise Failure("target_missing", f"The target {name} was deleted during the reindex.")
    if state.uuid != pair.target_uuid:
        raise Failure(
            "target_replaced",
            f"The target {name} was deleted during the reindex, and another index has its name "
            "now: somebody made it, or a copy task that was still writing. It was left alone. "
            "Remove or rename it, then post the index again.",
        )
    return state


def both_in(looked: Looked, operation: Operation) -> None:
    """Raises `Failure` unless source and target are the two indices we mean, the source blocked."""
    name_in_place(looked, operation)
    blocked_source_in(looked, operation.pair)
    target_in(looked, operation.pair)


def is_swapped(looked: Looked, operation: Operation) -> bool:
    """True where the names are on our target already, seen by UUID.

    The source is gone and its name is an alias of the target; where the source is kept, the
    aliases are on the target (before the swap it has none but our marker) and not on the source.
    """
    target = looked.get(operation.new_index_name)
    if operation.source is None or target is None or target.uuid != operation.target_uuid:
        return False
    if operation.keeps_source:
        source = looked.get(operation.source_name)
        left = named(source.aliases) if source else []
        return bool(named(target.aliases)) and not left
    gone = all(state.uuid != operation.source.uuid for state in looked.values())
    return gone and operation.new_index_name in looked.holders(operation.index_name)


async def is_whole(state: IndexState, cluster: ClusterView) -> bool:
    """Every primary of it is there now, so that it may be the one that stays."""
    return await cluster.shards.active_primaries(state.index_name) >= state.shards


def named(aliases: Iterable[str]) -> list[str]:
    """The aliases that are not our markers."""
    return [alias for alias in aliases if not _MARKER.fullmatch(alias)]


def marked_by(aliases: Iterable[str]) -> dict[str, str]:
    """Our markers among the aliases, and the operation that each belongs to."""
    found = [_MARKER.fullmatch(alias) for alias in aliases]
    return {match[0]: match[1] for match in found if match}
