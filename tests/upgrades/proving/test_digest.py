"""The number made of all documents: the same in any order, another one for anything else."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.elastic.answers import Document
from app.upgrades.proving.comparing import Measure
from app.upgrades.proving.full import added

EXACT = Measure(versions=True, vectors=False)
DOCUMENT = Document("1", "r", 3, b'{"a":[1,2]}')


def digest(*documents: Document, shard: int = 0, measure: Measure = EXACT) -> str:
    return added("0", documents, shard, measure)


documents = st.builds(
    Document,
    st.text(max_size=3),
    st.none() | st.text(max_size=2),
    st.integers(1, 5),
    st.binary(max_size=9),
)


@given(st.lists(documents, max_size=8), st.randoms(use_true_random=False), st.integers(0, 8))
def test_neither_order_nor_pages_matter(made: list[Document], chance: Any, cut: int) -> None:
    shuffled = list(made)
    chance.shuffle(shuffled)
    assert added(digest(*shuffled[:cut]), shuffled[cut:], 0, EXACT) == digest(*made)


@pytest.mark.parametrize(
    "other",
    [
        DOCUMENT._replace(id="2"),
        DOCUMENT._replace(routing=None),
        DOCUMENT._replace(version=4),
        DOCUMENT._replace(source=b'{"a":[2,1]}'),
    ],
    ids=["id", "routing", "version", "source"],
)
def test_another_document_makes_another_number(other: Document) -> None:
    assert digest(other) != digest(DOCUMENT)


def test_once_more_or_in_another_shard_is_not_the_same() -> None:
    assert (
        len({digest(DOCUMENT), digest(DOCUMENT, DOCUMENT), digest(), digest(DOCUMENT, shard=1)})
        == 4
    )


def test_what_need_not_be_the_same_is_left_out() -> None:
    unversioned = Measure(versions=False, vectors=False)
    other = DOCUMENT._replace(version=9)
    assert digest(other, measure=unversioned) == digest(DOCUMENT, measure=unversioned)
