"""The details of a failure have a bounded size, whatever Elasticsearch says."""

from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st

from app.domain.failure import (
    MOST_BYTES,
    MOST_DOCUMENTS,
    FailedDocument,
    FailureClass,
    FailureDetails,
    counted,
)
from app.domain.formatting import capped

ANYTHING = st.text(st.characters(codec=None), max_size=50)


def details(documents: list[FailedDocument], kinds: list[str]) -> FailureDetails:
    return FailureDetails(
        kind=FailureClass.DOCUMENTS,
        step="copy",
        remedy="",
        documents=documents,
        counts=counted(kinds),
    )


@given(ANYTHING, st.integers(1, 60))
def test_a_capped_text_fits_and_can_be_stored_by_every_database(text: str, most: int) -> None:
    short = capped(text, most)
    assert len(short) <= most
    assert "\0" not in short
    short.encode()
    if len(text) <= most and text.isprintable():
        assert short == text


def test_a_text_that_was_cut_says_so() -> None:
    assert capped("abcdef", 4) == "abc…"


@given(st.lists(st.tuples(ANYTHING, ANYTHING, ANYTHING), max_size=15), st.integers(1, 4_000))
def test_details_never_take_more_than_their_bytes(
    given_documents: list[tuple[str, str, str]], times: int
) -> None:
    documents = [FailedDocument.of(a * times, b * times, c * times) for a, b, c in given_documents]
    kinds = [b * times for _, b, _ in given_documents]
    bounded = details(documents, kinds).bounded()
    assert len(json.dumps(bounded.model_dump(mode="json"))) <= MOST_BYTES
    assert len(bounded.documents) <= MOST_DOCUMENTS
    assert bounded.documents == documents[: len(bounded.documents)]
    assert FailureDetails.model_validate_json(bounded.model_dump_json()) == bounded


def test_ten_ordinary_documents_are_all_there() -> None:
    documents = [FailedDocument.of("i" * 60, "type", "r" * 9_000) for _ in range(12)]
    assert len(details(documents, []).bounded().documents) == MOST_DOCUMENTS


def test_the_most_frequent_types_are_counted_and_the_rare_ones_added_up() -> None:
    kinds = [f"t{n}" for n in range(30)] + ["often"] * 5
    counts = counted(kinds)
    assert next(iter(counts.items())) == ("often", 5)
    assert sum(counts.values()) == 35
    assert counts["other"] == 11
