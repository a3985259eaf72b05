"""Patterns of index names: what they fit, and what is none."""

from __future__ import annotations

import re
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.errors import InvalidIndexName, OutOfReach
from app.domain.names import IndexName
from app.domain.reach import EVERYTHING, Reach, checked_pattern
from app.store.enqueueing import Wanted


@pytest.mark.parametrize(
    ("pattern", "name", "fits"),
    [
        ("logs", "logs", True),
        ("logs", "logs-1", False),
        ("logs-*", "logs-1", True),
        ("logs-*", "logs-", True),
        ("logs-*", "logs", False),
        ("logs-*", "xlogs-1", False),
        ("*-1", "logs-1", True),
        ("*-1", "logs-12", False),
        ("*", ".hidden", True),
        ("l*s-*9", "logs-2019", True),
        ("l*s-*9", "logs-2018", False),
        ("a*a", "a", False),
        ("a*a", "aa", True),
        ("ab*ba", "aba", False),
        ("*a*b*", "xbxa", False),
        ("**", "logs", True),
        ("logs-[12]", "logs-1", False),
        ("logs-[12]", "logs-[12]", True),
        ("logs-.", "logs-1", False),
        ("logs_1", "logs-1", False),
        ("logs%", "logs-1", False),
    ],
)
def test_a_star_stands_for_any_characters_and_all_else_for_itself(
    pattern: str, name: str, fits: bool
) -> None:
    assert Reach((pattern,)).covers(name) is fits


TEXT = st.text("ab*", max_size=8)


@given(TEXT, st.text("ab", max_size=12))
def test_a_pattern_fits_as_its_regular_expression_does(pattern: str, name: str) -> None:
    expression = ".*".join(re.escape(part) for part in pattern.split("*"))
    assert Reach((pattern,)).covers(name) is bool(re.fullmatch(expression, name))


def test_a_pattern_of_many_stars_takes_no_time() -> None:
    began = time.monotonic()
    assert not Reach(("*a" * 120 + "*b",)).covers("a" * 255)
    assert time.monotonic() - began < 0.5


def test_a_pair_is_covered_where_source_and_target_are() -> None:
    pair = Wanted(IndexName("logs-1"), IndexName("reindexed-v8-logs-1"))
    behind = Wanted(
        IndexName("logs-1"), IndexName("logs-2"), concrete_name=IndexName("kept-logs-1-0")
    )
    assert not Reach(("logs-*",)).covers_pair(pair)
    assert not Reach(("reindexed-*",)).covers_pair(pair)
    assert Reach(("logs-*", "reindexed-v8-logs-*")).covers_pair(pair)
    assert not Reach(("logs-*",)).covers_pair(behind)
    assert Reach(("logs-*", "kept-logs-*")).covers_pair(behind)
    assert EVERYTHING.covers_pair(pair)


def test_without_a_pattern_nothing_is_covered_and_without_a_limit_everything() -> None:
    assert not Reach(()).covers("logs")
    assert Reach(()).limited
    assert EVERYTHING.covers("logs")
    assert not EVERYTHING.limited


def test_the_first_name_beyond_reach_is_told() -> None:
    Reach(("a*",)).require("a", "ab")
    with pytest.raises(OutOfReach, match="may not work on b1"):
        Reach(("a*",)).require("a", "b1", "c")


@pytest.mark.parametrize("pattern", ["*", "logs-*", ".internal*", "a*b*c", "logs"])
def test_what_can_fit_a_name_is_a_pattern(pattern: str) -> None:
    assert checked_pattern(pattern) == pattern


@pytest.mark.parametrize("pattern", ["", "Logs-*", "a,b", "-a*", "a b", "<a>", "_all", "a?", "a/b"])
def test_what_fits_no_name_is_none(pattern: str) -> None:
    with pytest.raises(InvalidIndexName, match="fits the name of no index"):
        checked_pattern(pattern)
