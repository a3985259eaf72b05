"""Step 50: positive proof that the target holds every document, before anything is removed."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import UTC, datetime

from app.domain.errors import ClusterBusy, DocumentsDiffer, Failure
from app.domain.operation import Changes, Done, Hold, Note, Operation, Outcome, Proof, Step, Work
from app.domain.windows import opaque_prefix
from app.elastic.answers import IndexState, Looked
from app.elastic.cluster import Cluster
from app.reindex.privileges import refuse_restriction
from app.reindex.steps.identity import blocked_source_in, target_in
from app.reindex.steps.target import differences


async def prove(work: Work, cluster: Cluster) -> Outcome:
    """Compares both indices whole. Anything in doubt is a hold, anything different a failure.

    A target deleted in mid-copy is made again by the running `_reindex` with dynamic mappings, and
    all counts agree (7.17, 8.19, 9.4): so identity, settings and mappings are compared as well.
    """
    operation = work.operation
    running, looked = await asyncio.gather(
        cluster.copies_running(opaque_prefix(operation.id)),
        cluster.look(operation.index_name, operation.new_index_name, mappings=True),
    )
    if running:
        return Hold("a copy task of this operation is still running", retry_after=0.2)
    if await cluster.security_on():  # fields hidden since the start would be missed by no count
        await refuse_restriction(operation.index_name, cluster)
    source, target = blocked_source_in(looked, operation), target_in(looked, operation)
    _same_make(source, target, operation)
    proof = await measure(operation, looked, cluster)
    copied = sum(window.seen for window in work.windows)
    if copied != proof.documents:
        raise DocumentsDiffer(
            f"The copy handled {copied} documents, but {operation.index_name} has "
            f"{proof.documents}. Both indices were kept: {operation.index_name} is as before."
        )
    changes: Changes = {
        "last_completed_step": Step.REINDEX_COMPLETED,
        "reindex_task_perc_complete": 1.0,
        "proof": proof,
    }
    note = Note(what="proven", index=operation.new_index_name, after=proof.model_dump(mode="json"))
    return Done(changes, notes=[note])


def _same_make(source: IndexState, target: IndexState, operation: Operation) -> None:
    """Raises `Failure` where settings or mappings are not those the target was made with.

    Fields that the copy itself added are allowed: documents that were indexed while `dynamic` was
    off can bring some.
    """
    changed = [
        fault
        for fault in differences(source, target, operation.mode)
        if not fault.endswith("was added")
    ]
    if target.stamp != operation.id and operation.proof is None:  # taken off after the first proof
        changed.append("our stamp")
    if changed:
        raise Failure(
            "target_changed",
            f"Settings or mappings of {source.name} or {target.name} were changed during the "
            f"reindex: {', '.join(changed[:5])}. Post the index again.",
        )


async def measure(operation: Operation, looked: Looked, cluster: Cluster) -> Proof:
    """Counts both sides by a search and by Lucene.

    Raises `ClusterBusy` where not every primary answered, `Failure` where the source went on,
    `DocumentsDiffer` where they differ.
    `_stats` is not filtered by document-level security and counts nested children; `_count` is
    what users see.
    """
    names = (operation.index_name, operation.new_index_name)
    source, target = await asyncio.gather(*(_count(looked[name], cluster) for name in names))
    if source.seq_nos != operation.source_seq_nos:  # before the counts, which then differ, too
        raise Failure(
            "source_changed",
            f"{names[0]} was written to during the copy although it was blocked; "
            "the copy was dropped. Post the index again.",
        )
    if (source.documents, source.lucene) != (target.documents, target.lucene):
        raise DocumentsDiffer(
            f"{names[0]} has {source.documents} documents ({source.lucene} with nested ones), "
            f"{names[1]} has {target.documents} ({target.lucene}). Both indices were kept: "
            f"{names[0]} is as before. Look at both, then post the index again."
        )
    return Proof(
        level="count",
        documents=source.documents,
        lucene_documents=source.lucene,
        source_seq_nos=source.seq_nos,
        target_seq_nos=target.seq_nos,
        at=datetime.now(UTC),
    )


@dataclass(frozen=True)
class _Counted:
    """One side: documents as a search sees them, as Lucene has them, and where each shard ends."""

    documents: int
    lucene: int
    seq_nos: list[int]


async def _count(state: IndexState, cluster: Cluster) -> _Counted:
    refreshed = await cluster.refresh(state.index_name)
    (documents, shards), stats = await asyncio.gather(
        cluster.count(state.index_name), cluster.shard_stats(state.index_name)
    )
    whole = shards.successful == shards.total == state.shards == len(stats)
    if not whole or shards.failed or refreshed.failed or refreshed.successful < state.shards:
        raise ClusterBusy(f"not every shard of {state.name} answers, so nothing is proven yet")
    return _Counted(
        documents,
        sum(stat.documents for stat in stats.values()),
        [stats[n].max_seq_no for n in range(state.shards)],
    )
