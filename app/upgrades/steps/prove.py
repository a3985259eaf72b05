"""Positive proof that the target holds every document, before anything is removed."""

from __future__ import annotations

import asyncio
from dataclasses import replace

from app.copying.tasks import forget, look_for, may_write
from app.domain.errors import AnswerTooLarge, DocumentsDiffer, Failure
from app.domain.events import EventKind, Note
from app.domain.holds import HoldCause
from app.domain.operation import Changes, Operation, Proof
from app.domain.proof import ProofLevel, Proving
from app.domain.weights import BATCH_BYTES
from app.elastic.answers import IndexState, Looked
from app.elastic.cluster import Cluster
from app.elastic.connection import REMEMBERED_SECONDS
from app.jobs.phases import Again, Done, Hold, Outcome, Work
from app.upgrades.privileges import refuse_restriction
from app.upgrades.proving.comparing import differences as differing_documents
from app.upgrades.proving.comparing import refuse
from app.upgrades.proving.counting import Measured, measure
from app.upgrades.proving.full import Comparison
from app.upgrades.proving.pages import PAGE_DOCUMENTS, Pages, comparable, hidden_vectors, sums_up
from app.upgrades.proving.sample import compare_sample
from app.upgrades.steps.identity import blocked_source_in, look, target_in
from app.upgrades.steps.target import differences

MOST_AT_ONCE = 1_000
"""Up to so many documents are compared all, by the search that counts them."""


async def prove(work: Work[Operation], cluster: Cluster) -> Outcome:
    """Compares both indices whole. Anything in doubt is a hold, anything different a failure.

    A target deleted in mid-copy is made again by the running `_reindex` with dynamic mappings, and
    all counts agree (7.17, 8.19, 9.4): so identity, settings and mappings are compared as well.
    """
    operation = work.job
    found, looked = await asyncio.gather(
        look_for(operation, work.windows, cluster), look(operation.pair, cluster, mappings=True)
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
    _same_make(source, target, operation)
    level = operation.proof_level if comparable(operation, source) else ProofLevel.COUNT
    vectors = level is not ProofLevel.COUNT and await hidden_vectors(source, cluster)
    most = 0 if level is ProofLevel.COUNT else _all_at_once(work)
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
    return _proven(operation, measured.proof, level, compared)


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
    refuse(work.job, differing_documents(*both, pages.measure))
    return _proven(work.job, measured.proof, level, measured.proof.documents)


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
    return _proven(operation, proof, ProofLevel.FULL, proving.compared)


async def _measure(
    work: Work[Operation], looked: Looked, cluster: Cluster, most: int = 0, vectors: bool = False
) -> Measured:
    """Both sides counted, and the source against what the windows have handled."""
    operation = work.job
    measured = await measure(operation, looked, cluster, most=most, vectors=vectors)
    copied = sum(window.seen for window in work.windows)
    if copied != measured.proof.documents:
        raise DocumentsDiffer(
            f"The copy handled {copied} documents, but {operation.source_name} has "
            f"{measured.proof.documents}. Both indices were kept: {operation.source_name} is as "
            "before."
        )
    return measured


def _all_at_once(work: Work[Operation]) -> int:
    """How many documents one search of each side brings, 0 where that would be too much."""
    source = work.job.source
    assert source is not None
    documents = sum(window.seen for window in work.windows)
    size = sum(window.documents * BATCH_BYTES // window.batch for window in work.windows)
    small = documents <= min(MOST_AT_ONCE, source.result_window) and size <= 2 * BATCH_BYTES
    return documents if small else 0


def _proven(operation: Operation, counted: Proof, level: ProofLevel, compared: int) -> Done:
    proof = counted.model_copy(update={"level": level, "compared": compared})
    changes: Changes = {
        "proving": None,
        "proof": proof,
    }
    note = Note(
        what=EventKind.PROVEN, index=operation.new_index_name, after=proof.model_dump(mode="json")
    )
    return Done(changes, notes=[note])


def _same_make(source: IndexState, target: IndexState, operation: Operation) -> None:
    """Raises `Failure` where settings or mappings are not those the target was made with."""
    changed = differences(source, target, operation.mode)
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
