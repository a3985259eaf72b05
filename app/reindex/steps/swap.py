"""Step 60: one guarded call moves the old name and every alias to the target."""

from __future__ import annotations

import asyncio
from typing import Any

from app.domain.errors import ClusterRefused, Failure
from app.domain.operation import Again, Changes, Done, Hold, Operation, Outcome, Step, Work
from app.elastic.answers import Looked
from app.elastic.cluster import Cluster
from app.reindex.steps.identity import (
    blocked_source_in,
    is_swapped,
    named,
    target_in,
)

_SWAPPED: Changes = {"last_completed_step": Step.ALIAS_CREATED}


async def swap(work: Work, cluster: Cluster) -> Outcome:
    """Looks where the old name is now, and swaps only if it still is the source we proved.

    A hold of hours may lie between proof and swap: UUIDs, block, sequence numbers and aliases are
    read again, with the marker on the target already, and whatever changed is proven again first.
    """
    operation = work.operation
    looked = await cluster.look(operation.index_name, operation.new_index_name)
    if is_swapped(looked, operation):
        return Done(_SWAPPED)
    _both(looked, operation)
    if operation.keeps_source:
        return await _move(operation, cluster)
    if operation.marker not in looked[operation.new_index_name].aliases:  # somebody took it off
        await cluster.put_marker(operation.new_index_name, operation.marker)
        looked = await cluster.look(operation.index_name, operation.new_index_name)
        _both(looked, operation)
    if operation.marker not in looked[operation.new_index_name].aliases:
        return Hold(f"the marker of {operation.new_index_name} is not in the cluster state yet")
    proven, aliases = await asyncio.gather(
        _as_proven(operation, cluster), _aliases(operation, looked, cluster)
    )
    if not proven:
        return Again({"last_completed_step": Step.REINDEX_STARTED})
    return await _swap(operation, aliases, cluster)


async def _swap(
    operation: Operation, aliases: dict[str, dict[str, Any]], cluster: Cluster
) -> Outcome:
    """The call itself. Refused or not, the cluster is asked what became of it."""
    try:
        await cluster.remove_guarded(
            operation.index_name, operation.new_index_name, operation.marker, aliases
        )
    except ClusterRefused:
        looked = await cluster.look(operation.index_name, operation.new_index_name)
        if not is_swapped(looked, operation):
            raise
        return Done(_SWAPPED)
    looked = await cluster.look(operation.index_name, operation.new_index_name)
    if not is_swapped(looked, operation):
        return Hold("the alias swap was accepted but is not in the cluster state yet")
    return Done(_SWAPPED)


async def _move(operation: Operation, cluster: Cluster) -> Outcome:
    """The source is kept under its name: only its aliases go to the target, in one call."""
    if not await _as_proven(operation, cluster):
        return Again({"last_completed_step": Step.REINDEX_STARTED})
    present = await cluster.alias_properties(operation.index_name)
    moved = {name: present[name] for name in named(present)}
    if not moved:
        return Done(_SWAPPED)
    await cluster.move_aliases(operation.index_name, operation.new_index_name, moved)
    return Again()


def _both(looked: Looked, operation: Operation) -> None:
    """Raises `Failure` unless source and target are the two indices we mean."""
    if operation.index_name not in looked and (holders := looked.holders(operation.index_name)):
        raise Failure(
            "name_taken",
            f"{operation.index_name} is now an alias of {', '.join(holders)}, which this operation "
            f"did not do. Nothing was touched; the copy is in {operation.new_index_name}.",
        )
    blocked_source_in(looked, operation)
    target_in(looked, operation)


async def _as_proven(operation: Operation, cluster: Cluster) -> bool:
    assert operation.proof is not None
    source, target = await asyncio.gather(
        cluster.shard_stats(operation.index_name), cluster.shard_stats(operation.new_index_name)
    )
    return [source[n].max_seq_no for n in sorted(source)] == operation.proof.source_seq_nos and [
        target[n].max_seq_no for n in sorted(target)
    ] == operation.proof.target_seq_nos


async def _aliases(
    operation: Operation, looked: Looked, cluster: Cluster
) -> dict[str, dict[str, Any]]:
    """What the target is to be called: the old name first, then every alias as it is now."""
    assert operation.source is not None
    hidden = str(operation.source.settings.get("index.hidden")) == "true"
    present = await cluster.alias_properties(operation.index_name)
    kept = {name: present[name] for name in named(present)}
    if looked[operation.index_name].uuid != operation.source.uuid:
        raise Failure("source_replaced", f"Index {operation.index_name} was replaced.")
    return {operation.index_name: {"is_hidden": hidden}, **kept}
