"""Windows: any boundaries divide a shard completely and without overlap."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.windows import (
    CopyStep,
    Window,
    WindowState,
    cut,
    cuts_needed,
    fraction_done,
    in_turn,
    opaque_id,
    opaque_prefix,
    window_for,
)

NUMBERS = st.integers(min_value=-5, max_value=60)
BOUNDARIES = st.lists(NUMBERS, max_size=12)
DOCUMENTS = st.integers(min_value=0, max_value=10_000)


def holds(window: Window, number: int) -> bool:
    above = window.from_seq_no is None or number >= window.from_seq_no
    return above and (window.to_seq_no is None or number < window.to_seq_no)


@given(BOUNDARIES, DOCUMENTS, st.integers(-100, 200))
def test_every_sequence_number_lies_in_exactly_one_window(
    boundaries: list[int], documents: int, number: int
) -> None:
    windows = cut(0, 0, documents, boundaries)
    assert len([w for w in windows if holds(w, number)]) == 1
    for edge in boundaries:
        assert len([w for w in windows if holds(w, edge)]) == 1


@given(BOUNDARIES, DOCUMENTS)
def test_the_ends_are_open_and_no_window_is_empty(boundaries: list[int], documents: int) -> None:
    windows = cut(0, 0, documents, boundaries)
    assert windows[0].from_seq_no is None
    assert windows[-1].to_seq_no is None
    assert len(windows) == len(set(boundaries)) + 1
    for window in windows:
        if window.from_seq_no is not None and window.to_seq_no is not None:
            assert window.from_seq_no < window.to_seq_no


@given(BOUNDARIES, DOCUMENTS, st.integers(0, 9), st.integers(0, 50))
def test_documents_sum_up_and_numbers_go_on(
    boundaries: list[int], documents: int, shard: int, first: int
) -> None:
    windows = cut(shard, first, documents, boundaries)
    assert sum(w.documents for w in windows) == documents
    assert max(w.documents for w in windows) - min(w.documents for w in windows) <= 1
    assert [w.number for w in windows] == list(range(first, first + len(windows)))
    assert {w.shard for w in windows} == {shard}
    assert {w.state for w in windows} == {WindowState.PLANNED}


@given(DOCUMENTS, st.integers(1, 10_000))
def test_windows_are_as_few_as_their_size_allows(documents: int, per_window: int) -> None:
    windows = cuts_needed(documents, per_window) + 1
    assert windows * per_window >= documents
    assert windows == 1 or (windows - 1) * per_window < documents


@st.composite
def in_progress(draw: st.DrawFn) -> list[Window]:
    windows = cut(0, 0, draw(DOCUMENTS), draw(BOUNDARIES))
    return [
        w.model_copy(
            update={
                "state": draw(st.sampled_from(WindowState)),
                "seen": draw(st.integers(0, 20_000)),
            }
        )
        for w in windows
    ]


@given(in_progress())
def test_progress_is_between_0_and_1(windows: list[Window]) -> None:
    assert 0.0 <= fraction_done(windows) <= 1.0


@given(in_progress())
def test_progress_is_1_when_all_windows_are_done_and_grows_with_each(
    windows: list[Window],
) -> None:
    so_far = fraction_done(windows)
    for n, window in enumerate(windows):
        windows[n] = window.model_copy(update={"state": WindowState.DONE})
        assert fraction_done(windows) >= so_far
        so_far = fraction_done(windows)
    assert so_far == 1.0


def test_progress_of_half_the_documents_is_a_half() -> None:
    first, second = cut(0, 0, 10, [5])
    assert fraction_done([first, second]) == 0.0
    assert fraction_done([first.model_copy(update={"seen": 5}), second]) == 0.5
    assert fraction_done([first.model_copy(update={"state": WindowState.DONE}), second]) == 0.5


def test_without_documents_there_is_nothing_left_to_do() -> None:
    assert fraction_done([]) == 1.0
    assert fraction_done(cut(0, 0, 0, [])) == 1.0


def test_each_attempt_of_a_window_has_its_own_opaque_id() -> None:
    (window,) = cut(0, 7, 1, [])
    again = window.model_copy(update={"attempt": 2})
    assert opaque_id("op", window) == "rq:op:7:1"
    assert opaque_id("op", again) == "rq:op:7:2"
    assert opaque_id("op", again).startswith(opaque_prefix("op"))
    assert not opaque_id("op2", window).startswith(opaque_prefix("op"))


def test_windows_that_run_again_lighter_come_down_to_single_documents() -> None:
    (window,) = cut(0, 0, 5_000, [], batch=2_000)
    batches: list[int] = []
    while window.batch > 1:
        window = window.lighter()
        batches.append(window.batch)
    assert batches == [250, 31, 3, 1]
    assert window.lighter().batch == 1


def test_windows_that_run_again_lighter_begin_with_what_they_really_took() -> None:
    (window,) = cut(0, 0, 40, [], batch=2_000)
    assert window.lighter().batch == 5
    assert window.lighter(2, least=100).batch == 40  # as few as they are, a queue is not helped
    (paced,) = (window.model_copy(update={"paced": 16}),)
    assert paced.lighter().batch == 2


def test_windows_are_bounded_by_the_disk_and_by_what_their_documents_weigh() -> None:
    assert window_for(1_000_000, 100_000_000, 500_000) == 500_000
    assert window_for(1_000_000, 1_000_000_000, 500_000) == 250_000
    assert window_for(1_000_000, 4_000_000_000, 500_000, json=400_000_000_000) == 5_000
    assert window_for(0, 0, 500_000) == 500_000
    assert window_for(7, 1_000_000_000, 500) == 1  # whole documents
    assert window_for(1, 1_000_000_000, 500) == 1  # at least one, however heavy it is
    assert window_for(10, 1, 500, json=0) == 500


@pytest.mark.parametrize(
    ("documents", "per_window", "least", "cuts"),
    [
        (0, 100, 1, 0),
        (100, 100, 1, 0),
        (101, 100, 1, 1),
        (300, 100, 1, 2),
        (60_000, 500_000, 4, 2),  # three that are still worth a task
        (80_000, 500_000, 4, 3),
        (800_000, 500_000, 4, 3),
        (39_999, 500_000, 4, 0),
        (40_000, 500_000, 4, 1),
        (10_000_000, 500_000, 4, 19),  # more are needed than are wanted at least
    ],
)
def test_a_shard_is_cut_into_as_many_as_are_needed_or_wanted(
    documents: int, per_window: int, least: int, cuts: int
) -> None:
    assert cuts_needed(documents, per_window, least) == cuts


def test_a_shard_is_not_cut_further_than_its_size_wants_unless_somebody_asks() -> None:
    assert cuts_needed(1_000_000, 1_000_000) == 0


def test_windows_take_batches_of_a_thousand_unless_somebody_says_otherwise() -> None:
    assert {window.batch for window in cut(0, 0, 10, [5])} == {1_000}
    assert {window.batch for window in cut(0, 0, 10, [5], 7)} == {7}


def test_the_first_windows_take_the_documents_that_are_over() -> None:
    assert [window.documents for window in cut(0, 0, 11, [1, 2, 3])] == [3, 3, 3, 2]


def test_shards_take_turns() -> None:
    windows = [*cut(1, 0, 9, [3, 6]), *cut(0, 3, 9, [5]), *cut(2, 5, 9, [])]
    assert [(w.shard, w.number) for w in in_turn(windows)] == [
        (0, 3),
        (1, 0),
        (2, 5),
        (0, 4),
        (1, 1),
        (1, 2),
    ]
    assert in_turn([]) == []


def test_a_window_that_runs_again_keeps_its_range_and_forgets_its_task() -> None:
    (window,) = cut(2, 7, 40, [], batch=500)
    ran = window.model_copy(
        update={
            "state": WindowState.RUNNING,
            "attempt": 3,
            "failures": 2,
            "task_id": "node:1",
            "task_started": 5,
            "paced": 16,
            "rate": 4.0,
            "seen": 30,
            "started_at": datetime(2026, 1, 1, tzinfo=UTC),
            "ended_at": datetime(2026, 1, 2, tzinfo=UTC),
        }
    )
    kept = {"failures": 2, "started_at": ran.started_at}
    assert ran.to_run_again() == window.model_copy(update={"attempt": 4, **kept})


def test_what_is_done_counts_whole_and_what_runs_no_more_than_it_has() -> None:
    first, second = cut(0, 0, 10, [5])
    assert fraction_done([first.model_copy(update={"seen": 99}), second]) == 0.5
    done = first.model_copy(update={"state": WindowState.DONE, "seen": 1})
    assert fraction_done([done, second.model_copy(update={"seen": 2})]) == 0.7


def window(number: int, seen: int = 0, attempt: int = 1, *, done: bool = False) -> Window:
    state = WindowState.DONE if done else WindowState.RUNNING
    return Window(
        number=number,
        shard=0,
        from_seq_no=None,
        to_seq_no=None,
        documents=100,
        state=state,
        seen=seen,
        attempt=attempt,
    )


def test_a_step_of_a_copy_is_what_has_come_since_the_save_before() -> None:
    before = [window(1, 40), window(2, 100, done=True), window(3)]
    saved = [window(1, 100, done=True), window(3, 7)]
    assert CopyStep.between(before, saved) == CopyStep(documents=67, done=1, again=0)
    assert CopyStep.between(before, before) == CopyStep(0, 0, 0)
    assert CopyStep.between(before, []) == CopyStep(0, 0, 0)


def test_a_window_that_runs_again_is_counted_once_and_its_documents_anew() -> None:
    lost = window(1, 40)
    again = lost.to_run_again()
    assert CopyStep.between([lost], [again]) == CopyStep(documents=0, done=0, again=1)
    assert CopyStep.between([again], [window(1, 60, 2)]) == CopyStep(60, 0, 0)
    assert CopyStep.between([window(1, 60, 2)], [window(1, 50, 2)]) == CopyStep(0, 0, 0)


def test_windows_that_nobody_knew_count_whole_and_are_no_retries() -> None:
    saved = [window(4, 5), window(5, 9, done=True), window(6, 0, attempt=2)]
    assert CopyStep.between([window(1)], saved) == CopyStep(documents=14, done=1, again=0)
