"""The pure parts of the machine: pauses, and what becomes of an error where."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import product
from typing import Any, get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic.alias_generators import to_camel

from app.domain.errors import ClusterRefused, DocumentsDiffer, Failure, NotAnswered
from app.domain.holds import HoldCause
from app.domain.job import ENDS_AS, LONG_HELD, Goal, Requested, Status
from app.domain.names import IndexName
from app.domain.operation import Kept, Operation
from app.jobs import transitions
from app.jobs.phases import Again, Done, Hold, Outcome, Route, UnknownPosition, phase_of
from app.upgrades.rewrite import Rewrite
from app.wire.operations import FailedStep

NOW = datetime.now(UTC)
MOST_CRASHES = HoldCause.CRASHED.patience or 0
BOUNDED = [cause for cause in HoldCause if cause.patience is not None]
REFUSED = ClusterRefused("illegal_argument_exception", "no", 400)
KIND = Rewrite()
FORWARD = [*KIND.routes[Goal.FINISH]]
BACK = {goal: [*route] for goal, route in KIND.routes.items() if goal is not Goal.FINISH}
POSITIONS = ["", *(phase.name for phase in FORWARD[:-1])]
BEFORE_THE_SWAP = POSITIONS[: POSITIONS.index("swap")]
AFTER_THE_SWAP = "swap"


def operation(position: str = "", **changed: Any) -> Operation:
    """One that has just finished the phase `position` of the route to the end."""
    fields: dict[str, Any] = {
        "id": "0" * 32,
        "cluster_id": "default",
        "caller": "test",
        "index_name": IndexName("a"),
        "new_index_name": IndexName("reindexed-v8-a"),
        "queued_at": 1,
        "started_at": 2,
        "created_at": NOW,
        "updated_at": NOW,
    }
    for name in POSITIONS[1 : POSITIONS.index(position) + 1]:
        fields |= next(phase for phase in FORWARD if phase.name == name).finished()
    return Operation.model_validate({**fields, **changed})


def ended(found: Operation, done: Done) -> Done:
    return transitions.ended(KIND, found, phase_of(KIND, found), done)


def failed(found: Operation, error: Failure) -> Outcome:
    return transitions.failed(KIND, found, phase_of(KIND, found), error)


def crashed(found: Operation, error: Exception) -> Outcome:
    return transitions.crashed(KIND, found, phase_of(KIND, found), error)


def patient(found: Operation, hold: Hold) -> Outcome:
    return transitions.patient(KIND, found, phase_of(KIND, found), hold)


@settings(deadline=None)
@given(st.integers(0, 10**9))
def test_pauses_grow_to_half_a_minute_and_never_beyond(attempts: int) -> None:
    full = min(30.0, 2.0 ** min(attempts, 5))
    assert full / 2 <= transitions.backoff(attempts) <= full


def test_a_short_pause_grows_to_two_seconds_and_a_long_one_stays() -> None:
    pauses = [transitions.growing(0.1, attempts) for attempts in range(200)]
    assert pauses[0] == 0.1
    assert pauses == sorted(pauses)
    assert pauses[-1] == transitions.LONGEST_LOOK
    assert transitions.growing(10, 50) == 10


def test_two_services_do_not_pause_in_step() -> None:
    assert len({transitions.backoff(3) for _ in range(20)}) > 1


@pytest.mark.parametrize("goal", Goal)
def test_a_route_is_gone_through_phase_by_phase_and_then_is_over(goal: Goal) -> None:
    found = operation(goal=goal, source_writable=True, kept=Kept(name=IndexName("k")))
    names: list[str] = []
    for _ in KIND.routes[goal]:
        phase = phase_of(KIND, found)
        names.append(phase.name)
        changes = transitions.ended(KIND, found, phase, Done()).changes
        if "ended_at" in changes or changes.get("suspended") or "started_at" in changes:
            break
        found = found.model_copy(update=dict(changes))
    assert names == [phase.name for phase in KIND.routes[goal]]


def test_a_phase_that_has_nothing_to_do_is_passed_over() -> None:
    def following(position: str, **changed: Any) -> str:
        return phase_of(KIND, operation(position, **changed)).name

    assert following("prepare") == "write_block"
    assert following("prepare", source_writable=True) == "wait_to_block"
    kept = Kept(name=IndexName("k"))
    assert following("restore_settings") == "swap"
    assert following("restore_settings", kept=kept) == "keep"
    assert following("restore_settings", kept=kept, keeps_source=True) == "swap"


def test_a_position_of_another_release_is_named_and_not_guessed() -> None:
    found = operation().model_copy(update={"position": "of_the_future"})
    with pytest.raises(UnknownPosition, match="'of_the_future'"):
        phase_of(KIND, found)
    assert phase_of(KIND, found.model_copy(update={"goal": Goal.CANCEL})).name == "end_tasks"


def test_a_route_has_no_two_phases_of_one_name() -> None:
    with pytest.raises(ValueError, match="one name"):
        Route(FORWARD[0], FORWARD[0])


def test_what_is_joined_relies_on_nothing_that_is_not_saved() -> None:
    """The block needs the recorded source, the swap the proof: these are saved before it."""
    assert [phase.name for phase in FORWARD if phase.joined] == [
        "write_block",
        "create_target",
        "copy",
    ]


@pytest.mark.parametrize("position", BEFORE_THE_SWAP)
def test_before_the_swap_a_failure_turns_back(position: str) -> None:
    outcome = failed(operation(position), REFUSED)
    assert isinstance(outcome, Again)
    assert outcome.changes.get("goal") is Goal.FAIL
    assert outcome.changes.get("keep_target") is False
    assert outcome.changes.get("error_code") == "illegal_argument_exception"
    assert outcome.changes.get("error_message") == REFUSED.message
    assert not {"position", "last_completed_step"} & outcome.changes.keys()


def test_differing_documents_keep_the_target() -> None:
    found = operation("plan_copy")
    outcome = failed(found, DocumentsDiffer("9 of 10"))
    assert outcome.changes.get("keep_target") is True


def test_after_the_swap_nothing_turns_back() -> None:
    outcome = failed(operation(AFTER_THE_SWAP), REFUSED)
    assert isinstance(outcome, Hold)
    assert "goal" not in outcome.changes


def test_tidying_that_never_succeeds_ends_as_completed_with_a_warning() -> None:
    since = NOW - timedelta(hours=1)
    found = operation(AFTER_THE_SWAP, hold_since=since)
    outcome = failed(found, REFUSED)
    assert isinstance(outcome, Done)
    assert outcome.changes.get("status") is Status.COMPLETED
    assert outcome.changes.get("ended_at") is not None
    assert [note.what for note in outcome.notes] == ["warning", "completed"]


@pytest.mark.parametrize(("goal", "position"), list(product([Goal.FAIL, Goal.CANCEL], POSITIONS)))
def test_a_source_that_cannot_be_given_back_is_tried_for_ever(goal: Goal, position: str) -> None:
    before, since = BACK[goal][-2].name, NOW - timedelta(hours=1)
    found = operation(position, goal=goal, hold_since=since, position_back=before, crashes=99)
    outcome = failed(found, REFUSED)
    assert isinstance(outcome, Hold)
    assert outcome.cause is HoldCause.RESTORE_REFUSED


@pytest.mark.parametrize("position", BEFORE_THE_SWAP)
def test_the_third_crash_in_a_row_fails_and_deletes_nothing_that_was_copied(position: str) -> None:
    found = operation(position)
    for crashes in range(1, MOST_CRASHES):
        outcome = crashed(found, KeyError("x"))
        assert isinstance(outcome, Hold)
        assert outcome.changes.get("crashes") == crashes
        found = found.model_copy(update={"crashes": crashes})
    outcome = crashed(found, KeyError("x"))
    assert isinstance(outcome, Again)
    assert outcome.changes.get("goal") is Goal.FAIL
    assert outcome.changes.get("keep_target") is (
        POSITIONS.index(position) >= POSITIONS.index("plan_copy")
    )
    assert "KeyError" in str(outcome.changes.get("error_message"))


@pytest.mark.parametrize("goal", [Goal.FAIL, Goal.CANCEL])
def test_on_the_way_back_what_cannot_be_done_is_left_out_and_the_rest_is_done(goal: Goal) -> None:
    way = ["", *(phase.name for phase in BACK[goal])]
    for place, cause in product(range(len(way) - 1), BOUNDED):
        found = operation(goal=goal, position_back=way[place], error_message="It failed.")
        assert cause.patience is not None
        for tries in range(1, cause.patience):
            waits = patient(found, Hold(cause, "x" * 10_000))
            assert isinstance(waits, Hold)
            found = found.model_copy(update={"crashes": tries})
        outcome = patient(found, Hold(cause, "It cannot be removed."))
        assert isinstance(outcome, Done)
        assert outcome.changes.get("position_back") == way[place + 1]
        assert (outcome.changes.get("keep_target") is True) is (place < 2)
        assert "It cannot be removed" in outcome.notes[0].text
        told = str(outcome.changes.get("error_message"))
        assert told.startswith("It failed. It cannot be removed")
        ends = place + 2 == len(way)
        assert outcome.changes.get("status") is (ENDS_AS[goal] if ends else None)


@pytest.mark.parametrize("cause", BOUNDED)
@pytest.mark.parametrize("goal", [Goal.FINISH, Goal.PAUSE, Goal.PARK])
def test_what_nothing_outside_ends_turns_back_after_a_few_tries(
    goal: Goal, cause: HoldCause
) -> None:
    found = operation("plan_copy", goal=goal)
    for tries in range(1, cause.patience or 0):
        waits = patient(found, Hold(cause, "why"))
        assert isinstance(waits, Hold)
        assert waits.changes.get("crashes") == tries
        found = found.model_copy(update={"crashes": tries})
    outcome = patient(found, Hold(cause, "why"))
    assert isinstance(outcome, Again)
    assert outcome.changes.get("goal") is Goal.FAIL
    assert outcome.changes.get("keep_target") is (cause is HoldCause.CRASHED)
    assert "why" in str(outcome.changes.get("error_message"))


@pytest.mark.parametrize("cause", [cause for cause in HoldCause if cause not in BOUNDED])
@pytest.mark.parametrize(("goal", "position"), list(product(Goal, POSITIONS)))
def test_what_something_outside_ends_is_waited_for_and_not_counted(
    goal: Goal, position: str, cause: HoldCause
) -> None:
    found = operation("swap" if goal is Goal.ROLL_BACK else position, goal=goal)
    found = found.model_copy(update={"crashes": 99, "attempts": 99})
    hold = Hold(cause, "why")
    assert patient(found, hold) is hold


@pytest.mark.parametrize(("answers", "bounded"), [(True, True), (False, False)])
def test_a_closed_connection_counts_only_where_others_are_answered(
    answers: bool, bounded: bool
) -> None:
    error = NotAnswered("closed")
    found = operation()
    phase = phase_of(KIND, found)
    outcome = transitions.troubled(KIND, found, phase, error, answers=answers)
    assert isinstance(outcome, Hold)
    assert (outcome.cause.patience is not None) is bounded


def test_what_the_target_is_left_for_is_told_to_nobody_where_it_was_cancelled() -> None:
    found = operation(goal=Goal.CANCEL, position_back="end_tasks", crashes=99)
    outcome = patient(found, Hold(HoldCause.UNDO_REFUSED, "why"))
    assert "error_message" not in outcome.changes


@pytest.mark.parametrize("attempts", [0, LONG_HELD - 1, LONG_HELD])
def test_the_queue_passes_by_only_a_way_back_that_does_not_get_on(attempts: int) -> None:
    for goal in Goal:
        back = goal not in (Goal.FINISH, Goal.PAUSE)
        found = operation(goal=goal, attempts=attempts)
        assert found.gives_way is (back and attempts >= LONG_HELD)


def test_after_the_swap_a_crash_is_tried_for_a_while_and_does_not_fail_what_is_in_place() -> None:
    now = datetime.now(UTC)
    found = operation(AFTER_THE_SWAP, crashes=99, hold_since=now)
    assert isinstance(crashed(found, RuntimeError("x" * 10_000)), Hold)
    since = now - timedelta(seconds=transitions.FOLLOW_UP_SECONDS + 1)
    outcome = crashed(found.model_copy(update={"hold_since": since}), RuntimeError("x"))
    assert isinstance(outcome, Done)
    assert outcome.changes.get("status") is Status.COMPLETED


@pytest.mark.parametrize("goal", [Goal.FAIL, Goal.CANCEL])
def test_the_operation_ends_with_the_last_entry_of_the_undo_list_only(goal: Goal) -> None:
    way = ["", *(phase.name for phase in BACK[goal])]
    for place in range(len(way) - 1):
        changes = ended(operation(goal=goal, position_back=way[place]), Done()).changes
        last = place + 2 == len(way)
        assert changes.get("position_back") == way[place + 1]
        assert changes.get("status") is (ENDS_AS[goal] if last else None)
        assert (changes.get("ended_at") is not None) is last


@pytest.mark.parametrize(("goal", "status"), [(Goal.PAUSE, Status.PAUSED), (Goal.PARK, None)])
def test_an_operation_put_aside_has_not_ended(goal: Goal, status: Status | None) -> None:
    before = ["", *(phase.name for phase in BACK[goal])][-2]
    changes = ended(operation("plan_copy", goal=goal, position_back=before), Done()).changes
    assert changes.get("status") is status
    assert "ended_at" not in changes
    assert (changes.get("goal"), changes.get("suspended")) == (Goal.FINISH, True)
    assert changes.get("position_back") == ""


@pytest.mark.parametrize("back", ["", "ready_kept", "swap_back"])
def test_a_rollback_is_cancelled_only_before_it_takes_hold_of_the_new_index(back: str) -> None:
    rolling = operation(
        AFTER_THE_SWAP, requested=Requested.CANCEL, goal=Goal.ROLL_BACK, position_back=back
    )
    changes, _ = transitions.granted(rolling)
    assert changes.get("status") is (Status.COMPLETED if back == "" else None)
    assert changes.get("goal") is (Goal.FINISH if back == "" else None)


FORTH = [goal for goal in Goal if goal is not Goal.ROLL_BACK]


@pytest.mark.parametrize(("action", "goal", "position"), list(product(Requested, FORTH, POSITIONS)))
def test_a_requested_action_never_turns_one_back_from_its_end(
    action: Requested, goal: Goal, position: str
) -> None:
    """None after the swap; on the way back none; on the way aside only a cancel."""
    changes, _ = transitions.granted(operation(position, requested=action, goal=goal))
    turned = changes.get("goal")
    late = position == AFTER_THE_SWAP or goal in (Goal.FAIL, Goal.CANCEL)
    if late or action not in (Requested.CANCEL, Requested.PAUSE):
        assert turned is None
    elif action is Requested.CANCEL:
        assert turned is Goal.CANCEL
    else:
        assert turned is (Goal.PAUSE if goal is Goal.FINISH else None)


def test_a_finished_step_forgets_earlier_attempts_and_crashes() -> None:
    changes = ended(operation(attempts=4, crashes=2), Done()).changes
    assert (changes.get("attempts"), changes.get("crashes")) == (0, 0)


def test_an_unexpected_error_is_named_as_a_fault_of_this_service() -> None:
    outcome = crashed(operation(crashes=MOST_CRASHES - 1), Failure("x", "y"))
    assert "fault of Reindex Queue" in str(outcome.changes.get("error_message"))


@pytest.mark.parametrize(
    ("goal", "phase"),
    [(goal, phase.name) for goal, route in KIND.routes.items() for phase in route],
)
def test_a_failure_in_any_phase_is_told_by_a_step_that_clients_know(goal: Goal, phase: str) -> None:
    for position in POSITIONS:
        found = operation(position, goal=goal)
        told = KIND.explained(found, Failure("source_changed", "x"), phase).step
        assert to_camel(told) in get_args(FailedStep)
