"""Lifecycle management around a copy; the test servers lack the module, so this is all of it."""

from __future__ import annotations

from typing import Any

import pytest

from app.domain.index_settings import copied, lifecycle_settings, origination_date

CREATED = {"index.creation_date": "1500"}
ROLLED: dict[str, Any] = {"a": {"time": 1700, "met_conditions": {}}, "b": {"time": 1800}}


@pytest.mark.parametrize(
    ("settings", "rollovers", "date"),
    [
        (CREATED, {}, "1500"),
        (CREATED, ROLLED, "1800"),
        ({**CREATED, "index.lifecycle.origination_date": "1200"}, ROLLED, "1200"),
        ({**CREATED, "index.lifecycle.origination_date": "-1"}, {}, "1500"),
        ({}, {}, None),
    ],
)
def test_the_age_counts_from_what_is_set_or_the_rollover_or_the_creation(
    settings: dict[str, Any], rollovers: dict[str, Any], date: str | None
) -> None:
    assert origination_date(settings, rollovers) == date


def test_the_policy_comes_back_after_the_swap_with_the_age_of_the_source() -> None:
    settings = {**CREATED, "index.lifecycle.name": "thirty-days"}
    assert lifecycle_settings(settings, {}) == {
        "index.lifecycle.name": "thirty-days",
        "index.lifecycle.origination_date": "1500",
    }


def test_an_index_without_a_policy_gets_nothing() -> None:
    assert lifecycle_settings(CREATED, ROLLED) == {}


def test_the_policy_is_off_during_the_copy_and_a_rolled_over_index_stays_so() -> None:
    settings = {
        "index.lifecycle.name": "thirty-days",
        "index.lifecycle.rollover_alias": "logs",
        "index.lifecycle.indexing_complete": "true",
    }
    assert copied(settings) == {
        "index.lifecycle.rollover_alias": "logs",
        "index.lifecycle.indexing_complete": "true",
    }
