"""What a mark in the cluster means to a database."""

from __future__ import annotations

import pytest

from app.domain.ownership import Finding, Mark, Ownership, judge

OWN = Mark(instance="ours", term=6, writer="w6")
NEVER = Mark(instance="ours", term=0, writer="")


def of(instance: str, term: int, writer: str = "x") -> Mark:
    return Mark(instance=instance, term=term, writer=writer)


@pytest.mark.parametrize(
    ("seen", "finding"),
    [
        (None, Finding.FREE),
        (OWN, Finding.OWN),
        (of("ours", 5), Finding.FREE),
        (of("ours", 6), Finding.NEWER),
        (of("ours", 7), Finding.NEWER),
        (of("another", 1), Finding.OTHER),
        (of("another", 9), Finding.OTHER),
    ],
)
def test_a_mark_is_judged_by_instance_term_and_writer(seen: Mark | None, finding: Finding) -> None:
    assert judge(Ownership(own=OWN), seen) is finding


def test_a_database_that_has_never_worked_is_stopped_by_its_own_marks_alone() -> None:
    assert judge(Ownership(own=NEVER), of("another", 9)) is Finding.NEW
    assert judge(Ownership(own=NEVER), of("ours", 1)) is Finding.NEWER


def test_only_the_very_mark_that_was_adopted_is_overwritten() -> None:
    adopted = of("another", 9)
    known = Ownership(own=OWN, adopted=adopted)
    assert judge(known, adopted) is Finding.FREE
    assert judge(known, of("another", 10)) is Finding.OTHER
    assert judge(known, of("another", 9, "y")) is Finding.OTHER


@pytest.mark.parametrize(
    "found",
    [
        {},
        {"instance": "a", "term": "7"},
        {"instance": "a", "term": "seven", "writer": "w"},
        {"instance": "a", "term": "0", "writer": "w"},
        {"instance": "", "term": "7", "writer": "w"},
        {"instance": {"deeper": "a"}, "term": "7", "writer": "w"},
    ],
)
def test_what_is_no_whole_mark_is_none(found: dict[str, object]) -> None:
    assert Mark.read(found) is None


def test_a_mark_is_read_as_elasticsearch_has_it_all_texts() -> None:
    assert Mark.read({"instance": "a", "term": "7", "writer": "w"}) == of("a", 7, "w")
