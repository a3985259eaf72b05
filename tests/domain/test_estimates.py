"""Estimates are made of what was measured, and of nothing else."""

from __future__ import annotations

import pytest

from app.domain.compatibility import Fate, because, fate
from app.domain.progress import UNCERTAINTY, Measured, Span, estimate, total


def done(documents: int, copy: float, *, size: int = 0, around: float = 0.5) -> Measured:
    return Measured(documents, size, copy, copy + around, copy + around + 0.25)


def test_without_a_measured_operation_nothing_is_known() -> None:
    assert estimate(10, 10, []) is None


def test_small_copies_tell_how_long_small_ones_take_and_nothing_of_large_ones() -> None:
    history = [done(5, 0.1), done(100, 0.2)]
    found = estimate(100, 0, history)
    assert found is not None
    assert found.blocked.low == pytest.approx(0.5)
    assert found.blocked.high == pytest.approx(0.2 * UNCERTAINTY + 0.5)
    assert found.duration.low == pytest.approx(0.75)
    assert estimate(101, 0, history) is None


def test_a_measured_speed_is_doubted_both_ways() -> None:
    found = estimate(2_000, 0, [done(1_000, 10), done(1, 0.1)])
    assert found is not None
    assert found.blocked == Span(20 / UNCERTAINTY + 0.5, 20 * UNCERTAINTY + 0.5)


def test_documents_of_another_size_widen_the_span() -> None:
    history = [done(1_000, 10, size=1_000)]
    alike = estimate(1_000, 1_000, history)
    larger = estimate(1_000, 5_000, history)
    assert alike is not None
    assert larger is not None
    assert larger.blocked.low == alike.blocked.low
    assert larger.blocked.high == pytest.approx(50 * UNCERTAINTY + 0.5)


def test_one_that_waited_for_hours_among_ten_does_not_count() -> None:
    history = [done(1_000, 10) for _ in range(9)]
    calm = estimate(1_000, 0, [*history, done(1_000, 10)])
    assert estimate(1_000, 0, [*history, done(1_000, 10_000, around=10_000)]) == calm


def test_a_batch_takes_the_sum_and_is_not_known_where_one_is_not() -> None:
    one = estimate(1_000, 0, [done(1_000, 10)])
    assert one is not None
    whole = total([one, one])
    assert whole is not None
    assert whole.duration.low == pytest.approx(2 * one.duration.low)
    assert total([one, None]) is None


@pytest.mark.parametrize(
    ("created", "major", "read_only", "found"),
    [
        (8, 8, False, Fate.OPENS),
        (7, 8, False, Fate.REFUSES),
        (7, 8, True, Fate.READ_ONLY),
        (6, 7, True, Fate.REFUSES),
        (7, 9, True, Fate.REFUSES),
        (8, 9, False, Fate.REFUSES),
        (8, 9, True, Fate.READ_ONLY),
        (9, 9, False, Fate.OPENS),
    ],
)
def test_what_the_next_major_does_with_an_index(
    created: int, major: int, read_only: bool, found: Fate
) -> None:
    assert fate(created, major, read_only=read_only) is found
    assert because(created, major, found).startswith(f"made by Elasticsearch {created}")
