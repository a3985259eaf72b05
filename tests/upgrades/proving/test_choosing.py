"""The level of a proof that nobody has asked for, and what is said of it."""

from __future__ import annotations

import pytest

from app.domain.operation import FullUpTo, ProofLevel
from app.upgrades.steps.prove import chosen_proof
from tests.upgrades.steps.indices import source

UP_TO = FullUpTo(documents=100, size=2_048)
LARGE = (
    "sample: the index has more than 100 documents and 2kb. Full would read both indices through "
    "once, which takes about half as long as the copy"
)


@pytest.mark.parametrize(
    ("documents", "size", "searchable", "level", "said"),
    [
        (
            100,
            2_048,
            True,
            ProofLevel.FULL,
            "full: the index has no more than 100 documents and 2kb",
        ),
        (101, 2_048, True, ProofLevel.SAMPLE, LARGE),
        (100, 2_049, True, ProofLevel.SAMPLE, LARGE),
        (
            1,
            1,
            False,
            ProofLevel.SAMPLE,
            "sample: it has no sequence numbers by which all documents could be read",
        ),
    ],
)
def test_the_level_is_said_with_its_reason(
    documents: int, size: int, searchable: bool, level: ProofLevel, said: str
) -> None:
    recorded = source(searchable_seq_nos=searchable)
    assert chosen_proof(recorded, documents, size, UP_TO) == (level, said)
