"""One guarded call moves the old name and every alias to the target; before it, the source may
be kept."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

from app.copying.tasks import end_returned
from app.domain import clock, index_settings
from app.domain.errors import ClusterRefused, Failure
from app.domain.events import EventKind, Note
from app.domain.holds import HoldCause
from app.domain.operation import Changes, Kept, Operation
from app.elastic.answers import IndexState, Looked
from app.elastic.cluster import Cluster
from app.jobs.phases import Again, Done, Hold, Outcome, Work
from app.upgrades.steps.guard import kept_note, remove_own
from app.upgrades.steps.identity import both_in, is_swapped, named, observe
from app.upgrades.steps.positions import TO_THE_CLONE, TO_THE_PROOF


def swapped(work: Work[Operation]) -> Changes:
    """What is saved once the swap is seen to be done: the time of the kept copy begins."""
    changes: Changes = {"writes_blocked_since": None}
    if work.job.kept:
        changes["kept_until"] = clock.now() + timedelta(days=work.limits.keep_days)
    return changes


async def keep(work: Work[Operation], cluster: Cluster) -> Outcome:
    """Clones the source and proves the clone, which is recorded by its UUID.

    Raises `Failure` where the clone's name is taken or the clone is not whole.
    """
    operation, kept = work.job, work.job.kept
    assert kept is not None
    looked = await observe(operation.pair, cluster)
    if is_swapped(looked, operation):
        return Done()
    both_in(looked, operation)
    state = looked.get(kept.name)
    if state is None:
        await _clone(kept, looked, operation, cluster)
        return Again({"kept": Kept(name=kept.name)})
    if is_kept(looked, operation):
        return Done()
    if state.stamp != operation.id:
        raise _taken(kept)
    return await _prove(kept, state, operation, cluster)


def is_kept(looked: Looked, operation: Operation) -> bool:
    """True where the clone that was proven is there, seen by its UUID, and takes no writes."""
    kept = operation.kept
    state = looked.get(kept.name) if kept else None
    return (
        state is not None and kept is not None and kept.uuid == state.uuid and state.write_blocked
    )


async def _clone(kept: Kept, looked: Looked, operation: Operation, cluster: Cluster) -> None:
    if looked.holders(kept.name):
        raise _taken(kept)
    settings: dict[str, str | None] = {**index_settings.KEPT, index_settings.STAMP: operation.id}
    found = looked[operation.source_name].settings
    # a policy would shrink, move or delete the copy
    settings |= {
        key: None for key in (index_settings.POLICY, index_settings.ALLOCATION) if key in found
    }
    await cluster.indices.clone(operation.source_name, kept.name, settings)


def _taken(kept: Kept) -> Failure:
    return Failure(
        "kept_name_taken",
        f"The old index cannot be kept: {kept.name} exists and was not made by this operation. "
        "Remove or rename it, then post the index again.",
    )


async def _prove(kept: Kept, state: IndexState, operation: Operation, cluster: Cluster) -> Outcome:
    """Started whole, with every document, and blocked once more: the clone inherits the block, but
    not that it was verified, without which the next major does not open it (8.19, 9.4)."""
    assert operation.proof is not None
    stats = await cluster.shards.stats(kept.name)
    if len(stats) < state.shards:
        return Hold(HoldCause.SHARDS_AWAY, f"the kept copy {kept.name} is not started yet", 0.1)
    (documents, shards), _ = await asyncio.gather(
        cluster.documents.count(kept.name), cluster.indices.block_writes(kept.name)
    )
    if shards.failed or shards.successful < state.shards:
        return Hold(
            HoldCause.SHARDS_AWAY, f"not every shard of the kept copy {kept.name} answers", 0.1
        )
    lucene = sum(shard.documents for shard in stats.values())
    if (documents, lucene) != (operation.proof.documents, operation.proof.lucene_documents):
        raise Failure(
            "kept_copy_differs",
            f"The kept copy {kept.name} has {documents} documents and {operation.source_name} has "
            f"{operation.proof.documents}, so nothing was swapped. Post the index again.",
        )
    seq_nos = [stats[n].max_seq_no for n in range(state.shards)]
    made = Kept(name=kept.name, uuid=state.uuid, seq_nos=seq_nos)
    note = Note(what=EventKind.OLD_INDEX_KEPT, index=kept.name, after={"documents": documents})
    return Done({"kept": made}, notes=[note])


async def drop_kept(work: Work[Operation], cluster: Cluster) -> Outcome:
    """Removes the kept copy on the way back, guarded by the intact source."""
    operation = work.job
    kept = operation.kept
    if kept is None or operation.source is None:
        return Done()
    if hold := await remove_own(operation.pair, kept.name, kept.uuid, cluster):
        return hold
    state = (looked := await observe(operation.pair, cluster)).get(kept.name)
    if state is None or not (state.uuid == kept.uuid or state.stamp == operation.id):
        return Done({"kept": Kept(name=kept.name)})
    source = looked.get(operation.source_name)
    if source is not None and source.uuid == operation.source.uuid:
        return Hold(HoldCause.NOT_SEEN, f"the kept copy {kept.name} is still there")
    return Done(notes=[kept_note(operation.pair, kept.name)])


async def swap(work: Work[Operation], cluster: Cluster) -> Outcome:
    """Looks where the old name is now, and swaps only if it still is the source we proved.

    A hold of hours may lie between proof and swap: UUIDs, block, sequence numbers and aliases are
    read again, with the marker on the target already, and whatever changed is proven again first.
    """
    operation = work.job
    looked = await observe(operation.pair, cluster)
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
        looked = await observe(operation.pair, cluster)
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
        looked = await observe(operation.pair, cluster)
        if not is_swapped(looked, operation):
            raise
        return Done(swapped(work))
    looked = await observe(operation.pair, cluster)
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
