"""The pure parts of the machine: pauses, and what becomes of an error where."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import product
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.domain.errors import ClusterRefused, DocumentsDiffer, Failure, NotAnswered
from app.domain.holds import HoldCause
from app.domain.names import IndexName
from app.domain.operation import (
    ENDS_AS,
    LONG_HELD,
    Again,
    Done,
    Goal,
    Hold,
    Operation,
    Status,
    Step,
    Wish,
)
from app.domain.proof import ProofLevel
from app.reindex import outcomes
from app.reindex.goals import granted
from app.reindex.ways import STEPS, WAYS, entry

NOW = datetime.now(UTC)
MOST_CRASHES = HoldCause.CRASHED.patience or 0
BOUNDED = [cause for cause in HoldCause if cause.patience is not None]
BEFORE_THE_SWAP = [step for step in Step if step < Step.ALIAS_CREATED]
REFUSED = ClusterRefused("illegal_argument_exception", "no", 400)


def operation(**changed: Any) -> Operation:
    fields: dict[str, Any] = {
        "id": "0" * 32,
        "cluster_id": "default",
        "batch_id": None,
        "caller": "test",
        "index_name": IndexName("a"),
        "new_index_name": IndexName("reindexed-v8-a"),
        "keeps_source": False,
        "delete_old_index": None,
        "mode": None,
        "status": Status.IN_PROGRESS,
        "last_completed_step": Step.CREATED,
        "single": False,
        "queued_at": 1,
        "started_at": 2,
        "goal": Goal.FINISH,
        "requested": Wish.NONE,
        "undone": 0,
        "keep_target": False,
        "aside": False,
        "unblocked": False,
        "proof_level": ProofLevel.SAMPLE,
        "forced": False,
        "given_back": 0,
        "attempts": 0,
        "crashes": 0,
        "created_at": NOW,
        "updated_at": NOW,
        "version": 0,
    }
    return Operation.model_validate({**fields, **changed})


@settings(deadline=None)
@given(st.integers(0, 10**9))
def test_pauses_grow_to_half_a_minute_and_never_beyond(attempts: int) -> None:
    full = min(30.0, 2.0 ** min(attempts, 5))
    assert full / 2 <= outcomes.backoff(attempts) <= full


def test_a_short_pause_grows_to_two_seconds_and_a_long_one_stays() -> None:
    pauses = [outcomes.growing(0.1, attempts) for attempts in range(200)]
    assert pauses[0] == 0.1
    assert pauses == sorted(pauses)
    assert pauses[-1] == outcomes.LONGEST_LOOK
    assert outcomes.growing(10, 50) == 10


def test_two_services_do_not_pause_in_step() -> None:
    assert len({outcomes.backoff(3) for _ in range(20)}) > 1


@pytest.mark.parametrize(("goal", "step"), list(product(Goal, Step)))
def test_there_is_something_to_do_for_every_goal_at_every_step(goal: Goal, step: Step) -> None:
    for undone in range(len(WAYS.get(goal, [0]))):
        found = entry(operation(goal=goal, last_completed_step=step, undone=undone))
        assert found is (STEPS[step] if goal is Goal.FINISH else WAYS[goal][undone])


@pytest.mark.parametrize("step", BEFORE_THE_SWAP)
def test_before_the_swap_a_failure_turns_back(step: Step) -> None:
    outcome = outcomes.failed(operation(last_completed_step=step), REFUSED)
    assert isinstance(outcome, Again)
    assert outcome.changes.get("goal") is Goal.FAIL
    assert outcome.changes.get("keep_target") is False
    assert outcome.changes.get("error_code") == "illegal_argument_exception"
    assert outcome.changes.get("error_message") == REFUSED.message
    assert "last_completed_step" not in outcome.changes


def test_differing_documents_keep_the_target() -> None:
    found = operation(last_completed_step=Step.REINDEX_STARTED)
    outcome = outcomes.failed(found, DocumentsDiffer("9 of 10"))
    assert outcome.changes.get("keep_target") is True


def test_after_the_swap_nothing_turns_back() -> None:
    outcome = outcomes.failed(operation(last_completed_step=Step.ALIAS_CREATED), REFUSED)
    assert isinstance(outcome, Hold)
    assert "goal" not in outcome.changes


def test_tidying_that_never_succeeds_ends_as_completed_with_a_warning() -> None:
    since = NOW - timedelta(hours=1)
    found = operation(last_completed_step=Step.ALIAS_CREATED, hold_since=since)
    outcome = outcomes.failed(found, REFUSED)
    assert isinstance(outcome, Done)
    assert outcome.changes.get("status") is Status.COMPLETED
    assert outcome.changes.get("ended_at") is not None
    assert [note.what for note in outcome.notes] == ["warning", "completed"]


@pytest.mark.parametrize(("goal", "step"), list(product([Goal.FAIL, Goal.CANCEL], Step)))
def test_a_source_that_cannot_be_given_back_is_tried_for_ever(goal: Goal, step: Step) -> None:
    last, since = len(WAYS[goal]) - 1, NOW - timedelta(hours=1)
    found = operation(
        goal=goal, last_completed_step=step, hold_since=since, undone=last, crashes=99
    )
    outcome = outcomes.failed(found, REFUSED)
    assert isinstance(outcome, Hold)
    assert outcome.cause is HoldCause.RESTORE_REFUSED


@pytest.mark.parametrize("step", BEFORE_THE_SWAP)
def test_the_third_crash_in_a_row_fails_and_deletes_nothing_that_was_copied(step: Step) -> None:
    found = operation(last_completed_step=step)
    for crashes in range(1, MOST_CRASHES):
        outcome = outcomes.crashed(found, KeyError("x"))
        assert isinstance(outcome, Hold)
        assert outcome.changes.get("crashes") == crashes
        found = found.model_copy(update={"crashes": crashes})
    outcome = outcomes.crashed(found, KeyError("x"))
    assert isinstance(outcome, Again)
    assert outcome.changes.get("goal") is Goal.FAIL
    assert outcome.changes.get("keep_target") is (step >= Step.REINDEX_STARTED)
    assert "KeyError" in str(outcome.changes.get("error_message"))


@pytest.mark.parametrize("goal", [Goal.FAIL, Goal.CANCEL])
def test_on_the_way_back_what_cannot_be_done_is_left_out_and_the_rest_is_done(goal: Goal) -> None:
    way = WAYS[goal]
    for undone, cause in product(range(len(way)), BOUNDED):
        found = operation(goal=goal, undone=undone, error_message="It failed.")
        assert cause.patience is not None
        for tries in range(1, cause.patience):
            waits = outcomes.patient(found, Hold(cause, "x" * 10_000))
            assert isinstance(waits, Hold)
            found = found.model_copy(update={"crashes": tries})
        outcome = outcomes.patient(found, Hold(cause, "It cannot be removed."))
        assert isinstance(outcome, Done)
        assert outcome.changes.get("undone") == undone + 1
        assert (outcome.changes.get("keep_target") is True) is (undone < 2)
        assert "It cannot be removed" in outcome.notes[0].text
        told = str(outcome.changes.get("error_message"))
        assert told.startswith("It failed. It cannot be removed")
        ends = undone + 1 == len(way)
        assert outcome.changes.get("status") is (ENDS_AS[goal] if ends else None)


@pytest.mark.parametrize("cause", BOUNDED)
@pytest.mark.parametrize("goal", [Goal.FINISH, Goal.PAUSE, Goal.PARK])
def test_what_nothing_outside_ends_turns_back_after_a_few_tries(
    goal: Goal, cause: HoldCause
) -> None:
    found = operation(goal=goal, last_completed_step=Step.REINDEX_STARTED)
    for tries in range(1, cause.patience or 0):
        waits = outcomes.patient(found, Hold(cause, "why"))
        assert isinstance(waits, Hold)
        assert waits.changes.get("crashes") == tries
        found = found.model_copy(update={"crashes": tries})
    outcome = outcomes.patient(found, Hold(cause, "why"))
    assert isinstance(outcome, Again)
    assert outcome.changes.get("goal") is Goal.FAIL
    assert outcome.changes.get("keep_target") is (cause is HoldCause.CRASHED)
    assert "why" in str(outcome.changes.get("error_message"))


@pytest.mark.parametrize("cause", [cause for cause in HoldCause if cause not in BOUNDED])
@pytest.mark.parametrize(("goal", "step"), list(product(Goal, Step)))
def test_what_something_outside_ends_is_waited_for_and_not_counted(
    goal: Goal, step: Step, cause: HoldCause
) -> None:
    found = operation(goal=goal, last_completed_step=step, crashes=99, attempts=99)
    hold = Hold(cause, "why")
    assert outcomes.patient(found, hold) is hold


@pytest.mark.parametrize(("answers", "bounded"), [(True, True), (False, False)])
def test_a_closed_connection_counts_only_where_others_are_answered(
    answers: bool, bounded: bool
) -> None:
    error = NotAnswered("closed")
    outcome = outcomes.troubled(operation(), error, answers=answers)
    assert isinstance(outcome, Hold)
    assert (outcome.cause.patience is not None) is bounded


def test_what_the_target_is_left_for_is_told_to_nobody_where_it_was_cancelled() -> None:
    found = operation(goal=Goal.CANCEL, undone=1, crashes=99)
    outcome = outcomes.patient(found, Hold(HoldCause.UNDO_REFUSED, "why"))
    assert "error_message" not in outcome.changes


@pytest.mark.parametrize("attempts", [0, LONG_HELD - 1, LONG_HELD])
def test_the_queue_passes_by_only_a_way_back_that_does_not_get_on(attempts: int) -> None:
    for goal in Goal:
        back = goal not in (Goal.FINISH, Goal.PAUSE)
        found = operation(goal=goal, attempts=attempts)
        assert found.gives_way is (back and attempts >= LONG_HELD)


def test_after_the_swap_a_crash_is_tried_for_a_while_and_does_not_fail_what_is_in_place() -> None:
    now = datetime.now(UTC)
    found = operation(last_completed_step=Step.ALIAS_CREATED, crashes=99, hold_since=now)
    assert isinstance(outcomes.crashed(found, RuntimeError("x" * 10_000)), Hold)
    since = now - timedelta(seconds=outcomes.FOLLOW_UP_SECONDS + 1)
    outcome = outcomes.crashed(found.model_copy(update={"hold_since": since}), RuntimeError("x"))
    assert isinstance(outcome, Done)
    assert outcome.changes.get("status") is Status.COMPLETED


@pytest.mark.parametrize("goal", [Goal.FAIL, Goal.CANCEL])
def test_the_operation_ends_with_the_last_entry_of_the_undo_list_only(goal: Goal) -> None:
    way = WAYS[goal]
    for undone in range(len(way)):
        ended = outcomes.ended(operation(goal=goal, undone=undone), Done())
        last = undone + 1 == len(way)
        assert ended.changes.get("undone") == undone + 1
        assert ended.changes.get("status") is (ENDS_AS[goal] if last else None)
        assert (ended.changes.get("ended_at") is not None) is last


@pytest.mark.parametrize(("goal", "status"), [(Goal.PAUSE, Status.PAUSED), (Goal.PARK, None)])
def test_an_operation_put_aside_has_not_ended(goal: Goal, status: Status | None) -> None:
    last = len(WAYS[goal]) - 1
    ended = outcomes.ended(
        operation(goal=goal, undone=last, last_completed_step=40), Done()
    ).changes
    assert ended.get("status") is status
    assert "ended_at" not in ended
    assert (ended.get("goal"), ended.get("undone"), ended.get("aside")) == (Goal.FINISH, 0, True)


@pytest.mark.parametrize("undone", range(3))
def test_a_rollback_is_cancelled_only_before_it_takes_hold_of_the_new_index(undone: int) -> None:
    rolling = operation(
        requested=Wish.CANCEL,
        goal=Goal.ROLL_BACK,
        last_completed_step=Step.ALIAS_CREATED,
        undone=undone,
    )
    changes, _ = granted(rolling)
    assert changes.get("status") is (Status.COMPLETED if undone == 0 else None)
    assert changes.get("goal") is (Goal.FINISH if undone == 0 else None)


FORTH = [goal for goal in Goal if goal is not Goal.ROLL_BACK]


@pytest.mark.parametrize(("wish", "goal", "step"), list(product(Wish, FORTH, Step)))
def test_a_wish_never_turns_one_back_from_its_end(wish: Wish, goal: Goal, step: Step) -> None:
    """None after the swap; on the way back none; on the way aside only a cancel."""
    changes, _ = granted(operation(requested=wish, goal=goal, last_completed_step=step))
    turned = changes.get("goal")
    late = step >= Step.ALIAS_CREATED or goal in (Goal.FAIL, Goal.CANCEL)
    if late or wish not in (Wish.CANCEL, Wish.PAUSE):
        assert turned is None
    elif wish is Wish.CANCEL:
        assert turned is Goal.CANCEL
    else:
        assert turned is (Goal.PAUSE if goal is Goal.FINISH else None)


def test_a_finished_step_forgets_earlier_attempts_and_crashes() -> None:
    ended = outcomes.ended(operation(attempts=4, crashes=2), Done())
    assert (ended.changes.get("attempts"), ended.changes.get("crashes")) == (0, 0)


def test_an_unexpected_error_is_named_as_a_fault_of_this_service() -> None:
    outcome = outcomes.crashed(operation(crashes=MOST_CRASHES - 1), Failure("x", "y"))
    assert "fault of Reindex Queue" in str(outcome.changes.get("error_message"))
