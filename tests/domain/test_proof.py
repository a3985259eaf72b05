"""How thoroughly a copy is proven where nobody has said so."""

from __future__ import annotations

import pytest

from app.domain.proof import FULL_UP_TO, FullUpTo, ProofLevel


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
