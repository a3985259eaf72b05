"""One guarded call moves the old name and every alias to the target."""

from __future__ import annotations

import asyncio
from typing import Any

from app.copying.tasks import end_returned
from app.domain.errors import ClusterRefused, Failure
from app.domain.holds import HoldCause
from app.domain.operation import Operation
from app.elastic.answers import Looked
from app.elastic.cluster import Cluster
from app.jobs.phases import Again, Done, Hold, Outcome, Work
from app.upgrades.steps.identity import (
    both_in,
    is_swapped,
    look,
    named,
)
from app.upgrades.steps.keep import is_kept, swapped
from app.upgrades.steps.positions import TO_THE_CLONE, TO_THE_PROOF


async def swap(work: Work[Operation], cluster: Cluster) -> Outcome:
    """Looks where the old name is now, and swaps only if it still is the source we proved.

    A hold of hours may lie between proof and swap: UUIDs, block, sequence numbers and aliases are
    read again, with the marker on the target already, and whatever changed is proven again first.
    """
    operation = work.job
    looked = await look(operation.pair, cluster)
    if is_swapped(looked, operation):
        return Done(swapped(work))
    both_in(looked, operation)
    if await end_returned(work, cluster):
        return Again(TO_THE_PROOF, after=0.3)
    if operation.keeps_source:
        return await _move(work, looked, cluster)
    if operation.kept and not is_kept(looked, operation):
        return Again(TO_THE_CLONE)
    if operation.marker not in looked[operation.new_index_name].aliases:  # somebody took it off
        await cluster.aliases.put_marker(operation.new_index_name, operation.marker)
        looked = await look(operation.pair, cluster)
        both_in(looked, operation)
    if operation.marker not in looked[operation.new_index_name].aliases:
        return Hold(
            HoldCause.NOT_SEEN,
            f"the marker of {operation.new_index_name} is not in the cluster state yet",
        )
    proven, aliases = await asyncio.gather(
        _as_proven(operation, cluster), _aliases(operation, looked, cluster)
    )
    if not proven:
        return Again(TO_THE_PROOF)
    return await _swap(work, aliases, cluster)


async def _swap(
    work: Work[Operation], aliases: dict[str, dict[str, Any]], cluster: Cluster
) -> Outcome:
    """The call itself. Refused or not, the cluster is asked what became of it."""
    operation = work.job
    try:
        await cluster.aliases.remove_guarded(
            operation.source_name, operation.new_index_name, operation.marker, aliases
        )
    except ClusterRefused:
        looked = await look(operation.pair, cluster)
        if not is_swapped(looked, operation):
            raise
        return Done(swapped(work))
    looked = await look(operation.pair, cluster)
    if not is_swapped(looked, operation):
        return Hold(
            HoldCause.NOT_SEEN, "the alias swap was accepted but is not in the cluster state yet"
        )
    return Done(swapped(work))


async def _move(work: Work[Operation], looked: Looked, cluster: Cluster) -> Outcome:
    """The source stays under its name: only its aliases go to the target, in one guarded call."""
    operation = work.job
    if not await _as_proven(operation, cluster):
        return Again(TO_THE_PROOF)
    present = await cluster.aliases.properties(operation.source_name)
    moved = {name: present[name] for name in named(present)}
    if not moved:
        return Done(swapped(work))
    if operation.marker not in looked[operation.new_index_name].aliases:
        await cluster.aliases.put_marker(operation.new_index_name, operation.marker)
        return Again()
    await cluster.aliases.move(
        operation.source_name, operation.new_index_name, operation.marker, moved
    )
    return Again()


async def _as_proven(operation: Operation, cluster: Cluster) -> bool:
    assert operation.proof is not None
    source, target = await asyncio.gather(
        cluster.shards.stats(operation.source_name), cluster.shards.stats(operation.new_index_name)
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
    present = await cluster.aliases.properties(operation.source_name)
    kept = {name: present[name] for name in named(present)}
    if looked[operation.source_name].uuid != operation.source.uuid:
        raise Failure("source_replaced", f"Index {operation.source_name} was replaced.")
    return {operation.index_name: {"is_hidden": hidden}, **kept}
