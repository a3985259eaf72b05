"""What a proof says, and when documents are compared all at once; without a server."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from app.copying.limit import Allowance
from app.domain.errors import Failure
from app.domain.events import EventKind, Note
from app.domain.operation import Operation, Proof, ProofLevel
from app.domain.pace import UNLIMITED
from app.domain.weights import BATCH_BYTES
from app.domain.windows import Window
from app.elastic.answers import IndexState
from app.jobs.phases import Limits, Work
from app.upgrades.steps.prove import MOST_AT_ONCE, all_at_once, proof_done, same_make
from tests.upgrades.steps.indices import (
    ID,
    SOURCE_UUID,
    TARGET,
    TARGET_UUID,
    index,
    operation,
    source,
)

COUNTED = Proof(
    level=ProofLevel.COUNT,
    documents=9,
    lucene_documents=9,
    source_seq_nos=[8],
    target_seq_nos=[8],
    at=datetime(2026, 11, 30, tzinfo=UTC),
)
OLD = index("old", SOURCE_UUID)
STAMPED = index(TARGET, TARGET_UUID, routing__allocation__exclude__reindex_queue_operation=ID)
TEXT = {"type": "text"}


def window(seen: int, documents: int = 0, batch: int = 1_000) -> Window:
    return Window(
        number=0,
        shard=0,
        from_seq_no=None,
        to_seq_no=None,
        documents=documents,
        batch=batch,
        seen=seen,
    )


@pytest.mark.parametrize(
    ("windows", "result_window", "at_once"),
    [
        ([], 10_000, 0),
        ([window(MOST_AT_ONCE)], 10_000, MOST_AT_ONCE),
        ([window(MOST_AT_ONCE + 1)], 10_000, 0),
        ([window(600), window(400)], 10_000, 1_000),
        ([window(600), window(401)], 10_000, 0),
        ([window(50)], 50, 50),  # a search of the source brings no more
        ([window(51)], 50, 0),
        # the size is judged by how many documents a batch was given
        ([window(9, documents=200, batch=100)], 10_000, 9),
        ([window(9, documents=201, batch=100)], 10_000, 0),
        ([window(9, 100, 100), window(9, 100, 100)], 10_000, 18),
        ([window(9, 100, 100), window(9, 101, 100)], 10_000, 0),
    ],
)
def test_a_small_index_is_compared_at_once(
    windows: list[Window], result_window: int, at_once: int
) -> None:
    assert BATCH_BYTES == 10_000_000
    job = operation(source=source(result_window=result_window))
    assert (
        all_at_once(Work(job, tuple(windows), Limits(), False, UNLIMITED, Allowance())) == at_once
    )


def test_what_was_proven_is_saved_and_told() -> None:
    proof = COUNTED.model_copy(update={"level": ProofLevel.SAMPLE, "compared": 4})
    done = proof_done(operation(), COUNTED, ProofLevel.SAMPLE, 4)
    assert done.changes == {"proving": None, "proof": proof}
    assert done.notes == [
        Note(what=EventKind.PROVEN, index=TARGET, after=proof.model_dump(mode="json"))
    ]
    assert isinstance(done.notes[0].after["at"], str)


# --- settings and mappings


def with_fields(state: IndexState, *names: str) -> IndexState:
    return replace(state, mappings={"properties": dict.fromkeys(["z", *names], TEXT)})


def refused(found: IndexState, made: IndexState, asked: Operation) -> tuple[str, str]:
    with pytest.raises(Failure) as error:
        same_make(found, made, asked)
    return error.value.code, error.value.message


def test_a_target_as_it_was_made_is_let_through() -> None:
    same_make(OLD, STAMPED, operation())
    same_make(OLD, index(TARGET, TARGET_UUID), operation(proof=COUNTED))


@pytest.mark.parametrize(
    "stamp", [{}, {"routing__allocation__exclude__reindex_queue_operation": "f"}]
)
def test_a_target_without_our_stamp_is_not_proven(stamp: dict[str, Any]) -> None:
    assert refused(OLD, index(TARGET, TARGET_UUID, **stamp), operation()) == (
        "target_changed",
        f"Settings or mappings of old or {TARGET} were changed during the reindex: our stamp. "
        "Post the index again.",
    )


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ("a", "mapping properties.a is missing"),
        ("abcdef", ", ".join(f"mapping properties.{name} is missing" for name in "abcde")),
    ],
)
def test_a_mapping_that_was_changed_is_named(fields: str, named: str) -> None:
    assert refused(with_fields(OLD, *fields), with_fields(STAMPED), operation()) == (
        "target_changed",
        f"Settings or mappings of old or {TARGET} were changed during the reindex: {named}. "
        "Post the index again.",
    )


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ("a", "mapping properties.a was added"),
        ("abcdef", ", ".join(f"mapping properties.{name} was added" for name in "abcde")),
    ],
)
def test_fields_that_documents_have_added_are_named_with_the_remedy(
    fields: str, named: str
) -> None:
    assert refused(with_fields(OLD), with_fields(STAMPED, *fields), operation()) == (
        "fields_added",
        f"Documents of old have fields that its mapping does not list, and {TARGET} has got them: "
        f"{named}. Where the mapping says nothing of dynamic, say it: "
        'PUT old/_mapping {"dynamic": true} changes nothing but that these fields stay out of a '
        "copy; then post the index again.",
    )


def test_fields_that_were_added_beside_another_change_are_a_change() -> None:
    code, _ = refused(with_fields(OLD, "a"), with_fields(STAMPED, "b"), operation())
    assert code == "target_changed"


def test_another_mode_may_add_fields_of_its_own() -> None:
    same_make(OLD, with_fields(STAMPED, "a"), operation(mode="logsdb"))
