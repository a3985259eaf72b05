"""The name of a kept copy."""

from __future__ import annotations

from uuid import uuid4

from hypothesis import given
from hypothesis import strategies as st

from app.domain.errors import InvalidIndexName
from app.domain.names import MAX_BYTES, IndexName
from app.domain.operation import kept_name


def test_it_says_of_what_and_of_whom_it_is() -> None:
    operation = "1a2b3c4d5e6f708192a3b4c5d6e7f809"
    assert kept_name(IndexName("logs-2019"), operation) == "kept-logs-2019-1a2b3c4d"
    assert kept_name(IndexName(".secret"), operation) == ".kept-secret-1a2b3c4d"


@given(st.text(min_size=1, max_size=255))
def test_every_index_name_has_one_that_is_an_index_name(text: str) -> None:
    try:
        name = IndexName(text)
    except InvalidIndexName:
        return
    operation = uuid4().hex
    kept = kept_name(name, operation)
    assert len(kept.encode()) <= MAX_BYTES
    assert kept.endswith(operation[:8])
    assert kept.startswith(".") == name.startswith(".")
