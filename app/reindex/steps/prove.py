"""Step 50: positive proof that the target holds every document, before anything is removed."""

from __future__ import annotations

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
    if await cluster.copies_running(opaque_prefix(operation.id)):
        return Hold("a copy task of this operation is still running", retry_after=0.2)
    if await cluster.security_on():  # fields hidden since the start would be missed by no count
        await refuse_restriction(operation.index_name, cluster)
    looked = await cluster.look(operation.index_name, operation.new_index_name, mappings=True)
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
    sides = [looked[operation.index_name], looked[operation.new_index_name]]
    counted: list[int] = []
    lucene: list[int] = []
    seq_nos: list[list[int]] = []
    for state in sides:
        refreshed = await cluster.refresh(state.index_name)
        documents, shards = await cluster.count(state.index_name)
        stats = await cluster.shard_stats(state.index_name)
        whole = shards.successful == shards.total == state.shards == len(stats)
        if not whole or shards.failed or refreshed.failed or refreshed.successful < state.shards:
            raise ClusterBusy(f"not every shard of {state.name} answers, so nothing is proven yet")
        counted.append(documents)
        lucene.append(sum(stat.documents for stat in stats.values()))
        seq_nos.append([stats[n].max_seq_no for n in range(state.shards)])
    if seq_nos[0] != operation.source_seq_nos:  # before the counts, which then differ, too
        raise Failure(
            "source_changed",
            f"{sides[0].name} was written to during the copy although it was blocked; "
            "the copy was dropped. Post the index again.",
        )
    if counted[0] != counted[1] or lucene[0] != lucene[1]:
        raise DocumentsDiffer(
            f"{sides[0].name} has {counted[0]} documents ({lucene[0]} with nested ones), "
            f"{sides[1].name} has {counted[1]} ({lucene[1]}). Both indices were kept: "
            f"{sides[0].name} is as before. Look at both, then post the index again."
        )
    return Proof(
        level="count",
        documents=counted[0],
        lucene_documents=lucene[0],
        source_seq_nos=seq_nos[0],
        target_seq_nos=seq_nos[1],
        at=datetime.now(UTC),
    )
