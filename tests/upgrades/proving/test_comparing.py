"""Documents that are the same, and what is said of those that are not."""

from __future__ import annotations

import json
from typing import Any

import pytest

from app.domain.errors import DocumentsDiffer
from app.domain.failure import FailedDocument
from app.elastic.answers import Document
from app.upgrades.proving.comparing import Measure, document_differences, refuse_copy
from tests.upgrades.steps.indices import operation

EXACTLY = Measure(versions=True, vectors=False)


SOURCE_DIFFERS = FailedDocument(id="1", type="differs", reason="_source")


def document(identity: str = "1", source: Any = None, **more: Any) -> Document:
    text = json.dumps(source or {"n": 1}).encode()
    return Document(identity, more.get("routing"), more.get("version", 1), text)


@pytest.mark.parametrize(
    "source",
    [
        {"a": 1, "b": [1, {"c": None}]},
        {"half": "\ud800"},
        {"huge": 123456789012345678901234567890},
    ],
)
def test_the_same_documents_do_not_differ_whatever_their_order(source: dict[str, Any]) -> None:
    turned = dict(reversed(source.items()))
    left = [document("1", source), document("2")]
    assert document_differences(left, [document("2"), document("1", turned)], EXACTLY) == []


@pytest.mark.parametrize(
    ("left", "right"),
    [
        ({"n": 1}, {"n": 1.0}),
        ({"n": 1}, {"n": True}),
        ({"n": 0}, {"n": False}),
        ({"n": [1, 2]}, {"n": [2, 1]}),
        ({"n": 123456789012345678901234567890}, {"n": 123456789012345678901234567891}),
        ({"n": None}, {"m": None}),
        ({"n": "\ud800"}, {"n": "\ud801"}),
    ],
)
def test_what_python_takes_for_equal_is_not(left: Any, right: Any) -> None:
    faults = document_differences([document("1", left)], [document("1", right)], EXACTLY)
    assert faults == [SOURCE_DIFFERS]


def test_what_differs_is_said() -> None:
    left = [
        document("a", routing="x"),
        document("b", version=3),
        document("c"),
        document("d" * 100),
    ]
    right = [document("a", routing="y"), document("b", version=4, source={"n": 2}), document("c")]
    assert document_differences(left, right, EXACTLY) == [
        FailedDocument(id="a", type="missing", reason="missing", routing="x"),
        FailedDocument(id="b", type="differs", reason="_version 3 → 4, _source"),
        FailedDocument(id="d" * 100, type="missing", reason="missing"),
    ]
    others = document_differences(left, right, Measure(versions=False, vectors=False))
    assert FailedDocument(id="b", type="differs", reason="_source") in others


def test_vectors_that_are_kept_apart_may_be_rounded_and_nothing_else() -> None:
    with_vectors = Measure(versions=True, vectors=True)
    left = {"n": 1, "f": 1.5, "deep": [{"v": [1.5000001, 1.0, 2.0]}]}
    rounded = {"n": 1, "f": 1.5, "deep": [{"v": [1.5, 1.0, 2.0]}]}
    others: list[Any] = [
        {"n": 1, "f": 1.5000001, "deep": [{"v": [1.5, 1.0, 2.0]}]},
        {"n": 1, "f": 1.5, "deep": [{"v": [1.5, 1.0, 2.001]}]},
        {"n": 1, "f": 1.5, "deep": [{"v": [1.5, 1.0]}]},
        {"n": 1, "f": 1.5, "deep": [{"v": [1.5, 1.0, 2]}]},
        {"n": 1, "f": 1.5, "deep": []},
        {"n": 1, "f": 1.5},
    ]
    assert document_differences([document("1", left)], [document("1", rounded)], with_vectors) == []
    assert document_differences([document("1", left)], [document("1", rounded)], EXACTLY) != []
    for other in others:
        assert (
            document_differences([document("1", left)], [document("1", other)], with_vectors) != []
        )


@pytest.mark.parametrize(
    ("left", "right"),
    [
        ({"v": [1.5]}, {"v": 1.5}),
        ({"v": 1.5}, {"v": [1.5]}),
        ({"v": ["a"]}, {"v": {"a": 1}}),
        ({"v": {"a": 1}}, {"v": ["a"]}),
        ({"v": {"a": 1}}, {"v": 1}),
        ({"v": [1.5, "a"]}, {"v": [1.5, "b"]}),
    ],
)
def test_a_vector_is_nothing_but_a_list_of_numbers(left: Any, right: Any) -> None:
    for one, other in ((left, right), (right, left)):
        faults = document_differences(
            [document("1", one)], [document("1", other)], Measure(versions=True, vectors=True)
        )
        assert faults == [SOURCE_DIFFERS]


@pytest.mark.parametrize(
    ("left", "right"),
    [
        (b"[" * 100_000 + b"]" * 100_000, b" " + b"[" * 100_000 + b"]" * 100_000),
        (b"1" * 5_000, b" " + b"1" * 5_000),
        (b"no JSON", b"no  JSON"),
    ],
    ids=["nested too deeply", "too many digits", "no JSON"],
)
def test_what_cannot_be_read_is_the_same_only_byte_by_byte(left: bytes, right: bytes) -> None:
    one, other = document()._replace(source=left), document()._replace(source=right)
    assert document_differences([one], [one], EXACTLY) == []
    assert document_differences([one], [other], EXACTLY) == [SOURCE_DIFFERS]


@pytest.mark.parametrize(
    ("missing", "differ", "said"),
    [
        (1, 0, "1 is missing"),
        (12, 0, "12 are missing"),
        (0, 1, "1 differs"),
        (2, 3, "2 are missing and 3 differ"),
    ],
)
def test_a_refusal_says_how_many_and_has_the_first_ten_apart(
    missing: int, differ: int, said: str
) -> None:
    kinds = ["missing"] * missing + ["differs"] * differ
    faults = [FailedDocument.of(f"id-{n}", kind, "why") for n, kind in enumerate(kinds)]
    with pytest.raises(DocumentsDiffer) as error:
        refuse_copy(operation(), faults)
    assert error.value.message == (
        "Documents in reindexed-v8-old are not as in old, though their number is the same: of "
        f"those that were compared {said}. Both indices were kept: old is as before. Look at both, "
        "then post the index again."
    )
    assert error.value.documents == tuple(faults[:10])
    assert sum(error.value.counts.values()) == missing + differ


def test_nothing_is_refused_where_nothing_differs() -> None:
    refuse_copy(operation(), [])
