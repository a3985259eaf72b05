"""Positive proof that the target holds every document, before anything is removed."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace

from app.copying.tasks import forget, look_for, may_write
from app.domain import clock
from app.domain.errors import AnswerTooLarge, ClusterBusy, DocumentsDiffer, Failure
from app.domain.events import EventKind, Note
from app.domain.holds import HoldCause
from app.domain.operation import Changes, FullUpTo, Operation, Proof, ProofLevel, Proving, Source
from app.domain.weights import BATCH_BYTES
from app.elastic.answers import Document, IndexState, Looked, Shards, ShardStats
from app.elastic.cluster import Cluster
from app.elastic.connection import REMEMBERED_SECONDS
from app.elastic.documents import EVERYTHING
from app.jobs.phases import Again, Done, Hold, Outcome, Work
from app.upgrades.privileges import refuse_restriction
from app.upgrades.proving.comparing import (
    PAGE_DOCUMENTS,
    Pages,
    comparable,
    compare_sample,
    document_differences,
    hidden_vectors,
    refuse_copy,
    sums_up,
)
from app.upgrades.proving.full import Comparison
from app.upgrades.steps.identity import blocked_source_in, observe, target_in
from app.upgrades.steps.target import target_differences


def chosen_proof(
    source: Source, documents: int, size: int, up_to: FullUpTo
) -> tuple[ProofLevel, str]:
    """The level, and what is said of it. `documents` count nested ones; `size` in bytes."""
    possible = source.searchable_seq_nos
    level = up_to.choose(documents, size, possible=possible)
    if level is ProofLevel.FULL:
        return level, f"full: the index has no more than {up_to}"
    if not possible:
        return level, "sample: it has no sequence numbers by which all documents could be read"
    return level, (
        f"sample: the index has more than {up_to}. Full would read both indices through once, "
        "which takes about half as long as the copy"
    )


@dataclass(frozen=True)
class Counted:
    """One side: documents as a search sees them, and its primaries by number.

    `page`: the documents themselves where they were asked for, none otherwise.
    """

    documents: int
    shards: dict[int, ShardStats]
    page: list[Document]

    @property
    def lucene(self) -> int:
        return sum(shard.documents for shard in self.shards.values())

    @property
    def seq_nos(self) -> list[int]:
        """Where each shard ends."""
        return [self.shards[n].max_seq_no for n in sorted(self.shards)]


@dataclass(frozen=True)
class BothCounted:
    """Both sides, which have the same number of documents, and the proof of that."""

    source: Counted
    target: Counted
    proof: Proof


async def count_both(
    operation: Operation, looked: Looked, cluster: Cluster, *, most: int = 0, vectors: bool = False
) -> BothCounted:
    """Counts both sides; with their documents where there are at most `most`.

    Raises `ClusterBusy` where not every primary answered, `Failure` where the source went on,
    `DocumentsDiffer` where they differ.
    `_stats` is not filtered by document-level security and counts nested children; `_count` is
    what users see.
    """
    names = (operation.source_name, operation.new_index_name)
    source, target = await asyncio.gather(
        *(_count(looked[name], cluster, most, vectors) for name in names)
    )
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
    proof = Proof(
        level=ProofLevel.COUNT,
        documents=source.documents,
        lucene_documents=source.lucene,
        source_seq_nos=source.seq_nos,
        target_seq_nos=target.seq_nos,
        at=clock.now(),
    )
    return BothCounted(source, target, proof)


async def _count(state: IndexState, cluster: Cluster, most: int, vectors: bool) -> Counted:
    refreshed = await cluster.indices.refresh(state.index_name)
    (documents, shards, page), stats = await asyncio.gather(
        _documents(state, cluster, most, vectors), cluster.shards.stats(state.index_name)
    )
    whole = shards.successful == shards.total == state.shards == len(stats)
    if not whole or shards.failed or refreshed.failed or refreshed.successful < state.shards:
        raise ClusterBusy(f"not every shard of {state.name} answers, so nothing is proven yet")
    return Counted(documents, stats, page)


async def _documents(
    state: IndexState, cluster: Cluster, most: int, vectors: bool
) -> tuple[int, Shards, list[Document]]:
    """One search in place of the count: for a small index it costs nothing."""
    if not most:
        return *await cluster.documents.count(state.index_name), []
    found = await cluster.documents.find(state.index_name, EVERYTHING, most, with_vectors=vectors)
    return found.total, found.shards, found.page


MOST_AT_ONCE = 1_000
"""Up to so many documents are compared all, by the search that counts them."""


async def prove(work: Work[Operation], cluster: Cluster) -> Outcome:
    """Compares both indices whole. Anything in doubt is a hold, anything different a failure.

    A target deleted in mid-copy is made again by the running `_reindex` with dynamic mappings, and
    all counts agree (7.17, 8.19, 9.4): so identity, settings and mappings are compared as well.
    """
    operation = work.job
    found, looked = await asyncio.gather(
        look_for(operation, work.windows, cluster), observe(operation.pair, cluster, mappings=True)
    )
    if reason := await may_write(work, found, cluster):
        return Hold(HoldCause.TASK_RUNNING, reason, retry_after=0.2)
    outcome = await _compare(work, looked, cluster)
    return replace(outcome, changes={**forget(operation, found.away), **outcome.changes})


async def _compare(work: Work[Operation], looked: Looked, cluster: Cluster) -> Outcome:
    operation = work.job
    # fields hidden since the start would be missed by no count
    if await cluster.security.is_on(REMEMBERED_SECONDS):
        await refuse_restriction(operation.source_name, cluster)
    source, target = blocked_source_in(looked, operation.pair), target_in(looked, operation.pair)
    same_make(source, target, operation)
    level = operation.proof_level if comparable(operation, source) else ProofLevel.COUNT
    vectors = level is not ProofLevel.COUNT and await hidden_vectors(source, cluster)
    most = 0 if level is ProofLevel.COUNT else all_at_once(work)
    pages = Pages(work, cluster, vectors=vectors)
    if most and (proven := await _at_once(work, looked, pages, cluster, level, most, vectors)):
        return proven
    if level is ProofLevel.FULL:
        one_by_one = not sums_up(source, target, vectors=vectors)
        return await _go_on(work, looked, pages, cluster, one_by_one)
    measured = await _measure(work, looked, cluster)
    compared = 0
    if level is ProofLevel.SAMPLE and measured.proof.documents:
        compared = await compare_sample(work, measured.source.shards, pages)
    return proof_done(operation, measured.proof, level, compared)


async def _at_once(
    work: Work[Operation],
    looked: Looked,
    pages: Pages,
    cluster: Cluster,
    level: ProofLevel,
    most: int,
    vectors: bool,
) -> Done | None:
    """All documents of a small index, in one answer of each side; None where that is too large."""
    try:
        measured = await _measure(work, looked, cluster, most, vectors)
    except AnswerTooLarge:
        return None
    both = measured.source.page, measured.target.page
    refuse_copy(work.job, document_differences(*both, pages.measure))
    return proof_done(work.job, measured.proof, level, measured.proof.documents)


async def _go_on(
    work: Work[Operation], looked: Looked, pages: Pages, cluster: Cluster, one_by_one: bool
) -> Outcome:
    """A turn of a full comparison: counted before the first, and again after the last."""
    operation, before = work.job, work.job.proving
    if before is None:
        proof = (await _measure(work, looked, cluster)).proof
        before = Proving(documents=proof.documents, target_seq_nos=proof.target_seq_nos)
        await cluster.indices.refresh(
            operation.new_index_name
        )  # what came while it was counted is seen
    if one_by_one and not before.one_by_one:
        before = before.begun_one_by_one()
    comparison = Comparison(work, pages)
    proving = await comparison.go_on(before)
    if pages.most < (proving.page_documents or PAGE_DOCUMENTS):
        proving = proving.model_copy(update={"page_documents": pages.most})
    if proving.one_by_one and not before.one_by_one:
        text = "the sums of both sides differ, so each document is looked for"
        note = Note(
            what=EventKind.PROOF_GOES_ON_ONE_BY_ONE, index=operation.new_index_name, text=text
        )
        return Again({"proving": proving}, notes=[note])
    if not comparison.is_over(proving):
        return Again({"proving": proving})
    proof = (await _measure(work, looked, cluster)).proof
    if proof.target_seq_nos != proving.target_seq_nos:
        text = f"{operation.new_index_name} was written to while it was compared"
        note = Note(what=EventKind.PROOF_BEGINS_ANEW, index=operation.new_index_name, text=text)
        return Again({"proving": None}, notes=[note])
    if proving.compared != proof.documents:
        raise DocumentsDiffer(
            f"Of the {proof.documents} documents of {operation.source_name} {proving.compared} "
            f"could be compared. Both indices were kept: {operation.source_name} is as before."
        )
    return proof_done(operation, proof, ProofLevel.FULL, proving.compared)


async def _measure(
    work: Work[Operation], looked: Looked, cluster: Cluster, most: int = 0, vectors: bool = False
) -> BothCounted:
    """Both sides counted, and the source against what the windows have handled."""
    operation = work.job
    measured = await count_both(operation, looked, cluster, most=most, vectors=vectors)
    copied = sum(window.seen for window in work.windows)
    if copied != measured.proof.documents:
        raise DocumentsDiffer(
            f"The copy handled {copied} documents, but {operation.source_name} has "
            f"{measured.proof.documents}. Both indices were kept: {operation.source_name} is as "
            "before."
        )
    return measured


def all_at_once(work: Work[Operation]) -> int:
    """How many documents one search of each side brings, 0 where that would be too much."""
    source = work.job.source
    assert source is not None
    documents = sum(window.seen for window in work.windows)
    size = sum(window.documents * BATCH_BYTES // window.batch for window in work.windows)
    small = documents <= min(MOST_AT_ONCE, source.result_window) and size <= 2 * BATCH_BYTES
    return documents if small else 0


def proof_done(operation: Operation, counted: Proof, level: ProofLevel, compared: int) -> Done:
    proof = counted.model_copy(update={"level": level, "compared": compared})
    changes: Changes = {
        "proving": None,
        "proof": proof,
    }
    note = Note(
        what=EventKind.PROVEN, index=operation.new_index_name, after=proof.model_dump(mode="json")
    )
    return Done(changes, notes=[note])


def same_make(source: IndexState, target: IndexState, operation: Operation) -> None:
    """Raises `Failure` where settings or mappings are not those the target was made with."""
    changed = target_differences(source, target, operation.mode)
    if changed and all(fault.endswith("was added") for fault in changed):
        raise Failure(
            "fields_added",
            f"Documents of {source.name} have fields that its mapping does not list, and "
            f"{target.name} has got them: {', '.join(changed[:5])}. Where the mapping says nothing "
            f'of dynamic, say it: PUT {source.name}/_mapping {{"dynamic": true}} changes nothing '
            "but that these fields stay out of a copy; then post the index again.",
        )
    if target.stamp != operation.id and operation.proof is None:  # taken off after the first proof
        changed.append("our stamp")
    if changed:
        raise Failure(
            "target_changed",
            f"Settings or mappings of {source.name} or {target.name} were changed during the "
            f"reindex: {', '.join(changed[:5])}. Post the index again.",
        )
