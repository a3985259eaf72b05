"""How thoroughly a copy is proven where nobody has said so."""

from __future__ import annotations

import pytest

from app.domain.operation import FULL_UP_TO, FullUpTo, ProofLevel, Proving, Side


@pytest.mark.parametrize(
    ("documents", "size", "possible", "level"),
    [
        (0, 0, True, ProofLevel.FULL),
        (100_000, 256 * 2**20, True, ProofLevel.FULL),
        (100_001, 1, True, ProofLevel.SAMPLE),
        (1, 256 * 2**20 + 1, True, ProofLevel.SAMPLE),
        (1, 1, False, ProofLevel.SAMPLE),
    ],
)
def test_every_document_is_compared_where_that_costs_little(
    documents: int, size: int, possible: bool, level: ProofLevel
) -> None:
    assert FULL_UP_TO.choose(documents, size, possible=possible) is level


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("100000, 256mb", FULL_UP_TO),
        ("5_000,1.5gb", FullUpTo(5_000, 3 * 2**29)),
        ("0, 0", FullUpTo(0, 0)),
    ],
)
def test_the_limit_is_documents_and_a_size(text: str, wanted: FullUpTo) -> None:
    assert FullUpTo.parse(text) == wanted


@pytest.mark.parametrize("text", ["", "100000", "many, 1gb", "1, big", "-1, 1mb", "1, -1mb"])
def test_anything_else_is_none(text: str) -> None:
    with pytest.raises(ValueError, match=r"invalid|convert|-1"):
        FullUpTo.parse(text)


def test_every_document_can_be_compared_unless_somebody_says_otherwise() -> None:
    assert FULL_UP_TO.choose(1, 1) is ProofLevel.FULL


def test_the_limit_is_said_as_people_write_it() -> None:
    assert str(FULL_UP_TO) == "100,000 documents and 256mb"


HALF_WAY = Proving(
    documents=10,
    target_seq_nos=[4, 6],
    source=Side(shard=1, from_seq_no=3, documents=7, digest="ab"),
    target=Side(shard=1, from_seq_no=2, documents=4, digest="cd"),
    page_documents=50,
)


def test_a_comparison_one_by_one_begins_anew_and_keeps_what_is_known() -> None:
    assert HALF_WAY.begun_one_by_one() == Proving(
        documents=10, target_seq_nos=[4, 6], one_by_one=True, page_documents=50
    )


def test_both_sides_count_half_where_both_are_read() -> None:
    assert HALF_WAY.compared == 5
    assert HALF_WAY.model_copy(update={"one_by_one": True}).compared == 7
