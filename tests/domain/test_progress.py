"""Speed and estimate: measured, never made up."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.progress import (
    RECENT_SECONDS,
    CopyFigures,
    Progress,
    Stretch,
    progress_of,
    with_more,
)

START = datetime(2026, 1, 1, tzinfo=UTC)


def after(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def figures(**changed: Any) -> CopyFigures:
    given: dict[str, Any] = {
        "windows": 4,
        "windows_done": 1,
        "documents": 4_000,
        "done": 2_000,
        "seen": 2_000,
        "started_at": START,
        "ended_at": None,
        **changed,
    }
    return CopyFigures(**given)


def at(
    seconds: float, copy: CopyFigures, fraction: float = 0.5, *, moving: bool = True
) -> Progress:
    return progress_of(copy, fraction, after(seconds), after(seconds), moving=moving)


def test_the_speed_of_now_is_that_of_the_last_seconds_and_decides_the_estimate() -> None:
    slow = Stretch(1_000, START, after(100))  # ended long before
    ending = Stretch(1_000, after(90), after(110))  # half of it inside
    running = Stretch(500, after(105), None)
    seen = at(115, figures(recent=[slow, ending, running]))
    assert seen.speed == (0 + 250 + 500) / RECENT_SECONDS
    assert seen.overall_speed == pytest.approx(2_000 / 115)
    assert seen.remaining_seconds == pytest.approx(2_000 / 75)


def test_a_copy_that_has_just_begun_is_measured_since_its_start() -> None:
    assert at(2, figures(recent=[Stretch(100, START, None)])).speed == 50
    assert at(0, figures(recent=[Stretch(0, START, None)])).speed is None


def test_nested_documents_are_copied_with_their_roots() -> None:
    """The plan counts them, tasks do not: 200 roots with 10 children each, half of them copied."""
    nested = figures(documents=2_200, done=1_100, seen=100)
    assert at(10, nested).remaining_seconds == pytest.approx(10)


def test_without_a_speed_of_now_the_whole_copy_counts() -> None:
    idle = at(20, figures(recent=[]))
    assert (idle.speed, idle.overall_speed) == (None, 100)
    assert idle.remaining_seconds == 20


def test_below_one_percent_there_is_no_estimate() -> None:
    for begun, known in ((39, False), (40, True)):
        shown = at(20, figures(done=begun, seen=begun), begun / 4_000)
        assert (shown.remaining_seconds is not None) is known
        assert (shown.remaining is not None) is known


def test_the_estimate_lies_between_the_speed_of_now_and_that_of_the_whole() -> None:
    copy = figures(recent=[Stretch(1_000, after(90), None)])
    shown = at(100, copy)
    assert (shown.speed, shown.overall_speed, shown.remaining_seconds) == (100, 20, 20)
    assert shown.remaining is not None
    low, high = shown.remaining
    assert low == pytest.approx(20 * 0.8)
    assert high == pytest.approx(100 * 1.2)


def test_the_less_is_left_the_less_it_is_doubted() -> None:
    early = at(10, figures(done=100, seen=100)).remaining
    late = at(390, figures(done=3_900, seen=3_900)).remaining
    assert early is not None
    assert late is not None
    assert early[1] / early[0] > 1.9
    assert late[1] / late[0] < 1.2


def test_what_is_not_begun_yet_is_still_to_come() -> None:
    done = figures(done=4_000, windows_done=4, ended_at=after(5), primary_bytes=80, bytes_done=80)
    whole = with_more(done, documents=1_000, primary_bytes=10)
    assert (whole.documents, whole.done, whole.primary_bytes) == (5_000, 4_000, 90)
    assert (whole.started_at, whole.ended_at) == (START, None)
    assert with_more(done, 0, 0) == done


def test_what_does_not_move_has_neither_speed_nor_estimate() -> None:
    held = at(20, figures(recent=[Stretch(10, START, None)]), moving=False)
    assert held.speed is held.remaining_seconds is None
    assert held.overall_speed == 100


def test_a_copy_that_has_ended_is_measured_until_its_end() -> None:
    assert at(1_000, figures(ended_at=after(10)), 1, moving=False).overall_speed == 200


def test_a_worker_that_saves_nothing_any_more_gets_slower() -> None:
    copy = figures(recent=[Stretch(1_000, START, None)])
    fresh = progress_of(copy, 0.5, after(10), after(12), moving=True)
    stale = progress_of(copy, 0.5, after(10), after(100), moving=True)
    assert (fresh.speed, stale.speed) == (100, 10)


def test_an_index_without_documents_is_shown_as_it_is() -> None:
    nothing = CopyFigures(0, 0, 0, 0, 0, None, None)
    shown = at(5, nothing, 1.0)
    assert (shown.documents_total, shown.fraction) == (0, 1)
    assert shown.speed is shown.overall_speed is shown.remaining_seconds is None


@st.composite
def stretches(draw: st.DrawFn) -> Stretch:
    start, length = draw(st.floats(-100, 100)), draw(st.none() | st.floats(0, 100))
    end = None if length is None else after(start + length)
    return Stretch(draw(st.integers(0, 10**9)), after(start), end)


@given(st.lists(stretches(), max_size=5), st.floats(-10, 200), st.floats(0, 1), st.booleans())
def test_nothing_is_ever_negative(
    recent: list[Stretch], seconds: float, fraction: float, moving: bool
) -> None:
    shown = at(seconds, figures(recent=recent, done=5_000), fraction, moving=moving)
    for value in (shown.speed, shown.overall_speed):
        assert value is None or value >= 0
    assert shown.remaining_seconds is None or shown.remaining_seconds >= 0
