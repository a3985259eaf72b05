"""What exactly is saved and told at each turn of a job, to the last field."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from app.domain import clock
from app.domain.errors import ClusterRefused, DocumentsDiffer, Failure, NotAnswered
from app.domain.events import EventKind, Note
from app.domain.holds import HoldCause
from app.domain.job import PARKED_SECONDS, Goal, Requested, Status
from app.domain.operation import Operation
from app.jobs import transitions
from app.jobs.phases import Again, Done, Hold, Outcome, Route, phase_of
from app.upgrades.rewrite import Rewrite
from tests.jobs.test_transitions import operation

KIND = Rewrite()
FORWARD = [*KIND.routes[Goal.FINISH]]
NOW = datetime(2026, 11, 30, 12, 0, tzinfo=UTC)
EARLIER = NOW - timedelta(hours=3)
REFUSED = ClusterRefused("illegal_argument_exception", "no", 400)
OVER: dict[str, Any] = {
    "hold_reason": None,
    "hold_since": None,
    "next_attempt_at": None,
    "attempts": 0,
    "crashes": 0,
    "lost_since": None,
}
"""What is saved where a hold is over."""
COMPLETED: dict[str, Any] = {
    **OVER,
    "goal": Goal.FINISH,
    "position_back": "",
    "status": Status.COMPLETED,
    "ended_at": NOW,
}


class NothingToUndo(Rewrite):
    """A kind whose jobs change nothing before their end."""

    routes: Mapping[Goal, Route[Operation]] = {
        **Rewrite.routes,
        Goal.FAIL: Route(),
        Goal.CANCEL: Route(),
    }


def _in_use(job: Operation) -> bool:
    return job.source_writable


class OptionalEnd(Rewrite):
    """A kind whose last phase is for jobs alone whose index is in use."""

    FIRST = FORWARD[0]
    routes: Mapping[Goal, Route[Operation]] = {
        **Rewrite.routes,
        Goal.FINISH: Route(FIRST, replace(FORWARD[1], applies=_in_use)),
    }


@pytest.fixture(autouse=True)
def at_noon(monkeypatch: pytest.MonkeyPatch) -> None:
    def elapsed(since: datetime) -> float:
        return (NOW - since).total_seconds()

    monkeypatch.setattr(clock, "now", lambda: NOW)
    monkeypatch.setattr(clock, "elapsed", elapsed)


def note(what: EventKind, text: str = "", **after: str) -> Note:
    return Note(what=what, index="a", text=text, after=after or None)


def last_of(goal: Goal, **changed: Any) -> Operation:
    """One before the last phase of the route to `goal`."""
    names = [phase.name for phase in KIND.routes[goal]]
    place = {"position_back": names[-2] if len(names) > 1 else ""}
    return operation("plan_copy", goal=goal, **{**place, **changed})


def ended(found: Operation, done: Done | None = None) -> Done:
    return transitions.ended(KIND, found, phase_of(KIND, found), done or Done())


def failed(found: Operation, error: Failure) -> Outcome:
    return transitions.failed(KIND, found, phase_of(KIND, found), error)


def crashed(found: Operation, error: Exception) -> Outcome:
    return transitions.crashed(KIND, found, phase_of(KIND, found), error)


def patient(found: Operation, hold: Hold) -> Outcome:
    return transitions.patient(KIND, found, phase_of(KIND, found), hold)


# --- the end of a phase


def test_a_phase_on_the_way_saves_its_place_beside_what_it_has_done() -> None:
    said = [note(EventKind.WARNING, "look")]
    done = ended(operation(crashes=2), Done({"target_uuid": "u", "attempts": 9}, notes=said))
    assert done.changes == {"target_uuid": "u", "position": "prepare", "attempts": 0, "crashes": 0}
    assert done.notes == said
    assert done.anew is False


@pytest.mark.parametrize(("before", "after"), [(False, True), (True, False)])
def test_the_next_phase_is_found_with_what_this_one_has_changed(before: bool, after: bool) -> None:
    kind, found = OptionalEnd(), operation(source_writable=before)
    done = transitions.ended(kind, found, OptionalEnd.FIRST, Done({"source_writable": after}))
    assert done.changes.get("status") is (None if after else Status.COMPLETED)


@pytest.mark.parametrize(
    ("goal", "status", "what"),
    [
        (Goal.FAIL, Status.FAILED, EventKind.FAILED),
        (Goal.CANCEL, Status.CANCELLED, EventKind.CANCELLED),
        (Goal.ROLL_BACK, Status.CANCELLED, EventKind.ROLLED_BACK),
    ],
)
def test_a_way_back_ends_with_a_status_and_an_event(
    goal: Goal, status: Status, what: EventKind
) -> None:
    done = ended(last_of(goal, writes_blocked_since=EARLIER))
    assert done.changes == {
        "position_back": [phase.name for phase in KIND.routes[goal]][-1],
        "attempts": 0,
        "crashes": 0,
        "status": status,
        "writes_blocked_since": None,
        "ended_at": NOW,
    }
    assert done.notes == [note(what)]
    assert done.anew is False


def test_the_last_phase_of_all_completes_it() -> None:
    done = ended(operation("swap"))
    assert done.changes == {
        "position": "finish",
        "attempts": 0,
        "crashes": 0,
        "status": Status.COMPLETED,
        "writes_blocked_since": None,
        "ended_at": NOW,
    }
    assert done.notes == [note(EventKind.COMPLETED)]


@pytest.mark.parametrize(
    ("since", "text"),
    [(EARLIER, "writes to a stay blocked until it goes on or is cancelled"), (None, "")],
)
def test_a_pause_says_whether_writes_stay_blocked(since: datetime | None, text: str) -> None:
    done = ended(last_of(Goal.PAUSE, writes_blocked_since=since))
    assert done.changes == {
        "position_back": "",
        "attempts": 0,
        "crashes": 0,
        "goal": Goal.FINISH,
        "status": Status.PAUSED,
        "suspended": True,
    }
    assert done.notes == [note(EventKind.PAUSED, text)]
    assert done.anew is False


def test_one_that_is_parked_comes_after_the_others() -> None:
    done = ended(last_of(Goal.PARK, writes_blocked_since=EARLIER))
    assert done.changes == {
        "position_back": "",
        "attempts": 0,
        "crashes": 0,
        "goal": Goal.FINISH,
        "writes_blocked_since": None,
        "suspended": True,
        "next_attempt_at": NOW + timedelta(seconds=PARKED_SECONDS),
        **KIND.parked_at(last_of(Goal.PARK)),
    }
    assert done.notes == [
        note(
            EventKind.PARKED,
            "a takes writes meanwhile; it is tried again after the others, in 60 s at the earliest",
        )
    ]
    assert done.anew is False


def test_one_that_is_given_back_is_as_if_it_had_not_begun() -> None:
    found = last_of(Goal.GIVE_BACK, writes_blocked_since=EARLIER)
    done = ended(found)
    assert done.changes == {
        "position_back": "",
        "attempts": 0,
        "crashes": 0,
        "goal": Goal.FINISH,
        "writes_blocked_since": None,
        "started_at": None,
        **KIND.as_not_begun(found),
    }
    assert done.notes == [
        note(EventKind.GIVEN_BACK, "a takes writes; it is begun anew when its turn comes")
    ]
    assert done.anew is True


# --- trouble


def test_a_failure_before_the_swap_turns_back_and_says_why() -> None:
    found = operation("plan_copy", attempts=4, crashes=2)
    outcome = failed(found, DocumentsDiffer("x" * 5_000))
    message = "x" * 1_999 + "…"
    assert isinstance(outcome, Again)
    assert outcome.changes == {
        **OVER,
        "goal": Goal.FAIL,
        "position_back": "",
        "error_code": "documents_differ",
        "error_message": message,
        "failure": KIND.explained(found, DocumentsDiffer("x" * 5_000), "copy"),
        "keep_target": True,
    }
    assert outcome.notes == [note(EventKind.TURNED_BACK, message, **{"class": "proof"})]


def test_what_is_turned_back_keeps_no_target_unless_that_is_said() -> None:
    found = operation("plan_copy")
    outcome = transitions.turn_back(KIND, found, phase_of(KIND, found), REFUSED, Goal.GIVE_BACK)
    assert outcome.changes.get("keep_target") is False
    assert outcome.changes.get("goal") is Goal.GIVE_BACK
    assert "status" not in outcome.changes


@pytest.mark.parametrize(
    ("goal", "status", "what"),
    [
        (Goal.FAIL, Status.FAILED, EventKind.FAILED),
        (Goal.CANCEL, Status.CANCELLED, EventKind.CANCELLED),
    ],
)
def test_a_job_with_nothing_to_undo_ends_where_it_turns_back(
    goal: Goal, status: Status, what: EventKind
) -> None:
    kind, found = NothingToUndo(), operation("plan_copy")
    outcome = transitions.turn_back(kind, found, phase_of(KIND, found), REFUSED, goal)
    assert outcome.changes.get("status") is status
    assert outcome.changes.get("ended_at") == NOW
    said = {"class": KIND.explained(found, REFUSED, "copy").kind.value}
    assert outcome.notes == [
        note(EventKind.TURNED_BACK, REFUSED.message, **said),
        note(what, **(said if goal is Goal.FAIL else {})),
    ]


@pytest.mark.parametrize(
    ("found", "cause"),
    [
        (operation("swap", attempts=2), HoldCause.TIDYING_REFUSED),
        (
            operation("swap", attempts=2, goal=Goal.ROLL_BACK, position_back="swap_back"),
            HoldCause.TIDYING_REFUSED,
        ),
        (
            operation("plan_copy", attempts=2, goal=Goal.FAIL, position_back="drop_kept"),
            HoldCause.RESTORE_REFUSED,
        ),
    ],
)
def test_what_is_refused_where_nothing_turns_back_is_tried_again(
    found: Operation, cause: HoldCause
) -> None:
    outcome = failed(found, REFUSED)
    assert isinstance(outcome, Hold)
    assert (outcome.cause, outcome.reason, outcome.changes) == (cause, REFUSED.message, {})
    assert 2.0 <= outcome.retry_after <= 4.0


def test_a_rollback_that_cannot_be_stays_completed() -> None:
    before = operation("swap", goal=Goal.ROLL_BACK, attempts=9, crashes=9)
    for found in (before, before.model_copy(update={"position_back": "ready_kept"})):
        outcome = failed(found, REFUSED)
        assert isinstance(outcome, Again)
        assert outcome.changes == COMPLETED
        assert outcome.notes == [note(EventKind.ROLLBACK_REFUSED, REFUSED.message)]


def test_a_rollback_that_is_given_up_before_its_return_stays_completed() -> None:
    found = operation("swap", goal=Goal.ROLL_BACK, crashes=99)
    outcome = patient(found, Hold(HoldCause.NOT_SEEN, "It is not there."))
    assert isinstance(outcome, Again)
    assert outcome.changes == COMPLETED
    assert outcome.notes == [
        note(EventKind.ROLLBACK_REFUSED, "It is not there. It was tried 100 times.")
    ]


def test_a_rollback_past_its_return_is_tidied_up_for_a_while() -> None:
    found = operation("swap", goal=Goal.ROLL_BACK, position_back="swap_back", crashes=99)
    hold = Hold(HoldCause.NOT_SEEN, "It is not there.", 7.0)
    outcome = patient(found, hold)
    assert outcome == Hold(HoldCause.TIDYING_REFUSED, "It is not there.", 7.0)


@pytest.mark.parametrize(
    ("answers", "cause"), [(True, "no_answer"), (False, "cluster_unreachable")]
)
def test_trouble_holds_with_its_reason_for_a_pause_that_grows(answers: bool, cause: str) -> None:
    error, found = NotAnswered("closed"), operation(attempts=3)
    outcome = transitions.troubled(KIND, found, phase_of(KIND, found), error, answers=answers)
    assert isinstance(outcome, Hold)
    assert (outcome.cause, outcome.reason) == (cause, error.message)
    assert 4.0 <= outcome.retry_after <= 8.0


def test_trouble_that_lasts_too_long_turns_back() -> None:
    error, found = NotAnswered("closed"), operation("plan_copy", crashes=99)
    outcome = transitions.troubled(KIND, found, phase_of(KIND, found), error, answers=True)
    assert isinstance(outcome, Again)
    assert (outcome.changes.get("goal"), outcome.changes.get("error_code")) == (
        Goal.FAIL,
        "no_answer",
    )
    reason = error.message.rstrip(".")
    assert outcome.changes.get("error_message") == f"{reason}. It was tried 100 times."


def test_a_crash_holds_with_a_reason_of_five_hundred_characters() -> None:
    outcome = crashed(operation(attempts=3), KeyError("x" * 1_000))
    assert isinstance(outcome, Hold)
    assert outcome.reason == f"unexpected KeyError: 'x{'x' * 1_000}"[:499] + "…"
    assert outcome.changes == {"crashes": 1}
    assert 4.0 <= outcome.retry_after <= 8.0


def test_a_crash_that_turns_back_is_said_to_be_our_fault() -> None:
    outcome = crashed(operation(crashes=2), KeyError("x"))
    assert outcome.changes.get("error_code") == "unexpected"
    assert outcome.changes.get("error_message") == (
        "unexpected KeyError: 'x'. This is a fault of Reindex Queue; see its log."
    )


def test_a_hold_that_is_counted_keeps_what_else_it_saves() -> None:
    hold = Hold(HoldCause.NOT_SEEN, "why", 3.0, {"target_uuid": "u"}, patient=True)
    assert patient(operation(crashes=1), hold) == Hold(
        HoldCause.NOT_SEEN, "why", 3.0, {"target_uuid": "u", "crashes": 2}, patient=True
    )


@pytest.mark.parametrize(
    ("seconds", "over"),
    [
        (0.0, False),
        (transitions.FOLLOW_UP_SECONDS, False),
        (transitions.FOLLOW_UP_SECONDS + 1, True),
    ],
)
def test_tidying_is_given_up_after_ten_minutes(seconds: float, over: bool) -> None:
    found = operation("swap", hold_since=NOW - timedelta(seconds=seconds))
    hold = Hold(HoldCause.TIDYING_REFUSED, "no alias")
    outcome = patient(found, hold)
    if not over:
        assert outcome is hold
        return
    assert isinstance(outcome, Done)
    text = "the copy is in place, but the tidying afterwards did not succeed: no alias"
    assert outcome.notes == [note(EventKind.WARNING, text), note(EventKind.COMPLETED)]
    assert outcome.changes.get("position") == "finish"


def test_tidying_that_is_refused_for_the_first_time_is_waited_for() -> None:
    hold = Hold(HoldCause.TIDYING_REFUSED, "no alias")
    assert patient(operation("swap"), hold) is hold


@pytest.mark.parametrize("goal", [Goal.PAUSE, Goal.PARK, Goal.GIVE_BACK])
def test_a_way_aside_that_cannot_be_gone_turns_back(goal: Goal) -> None:
    found = operation("swap", goal=goal, crashes=99)
    outcome = patient(found, Hold(HoldCause.NOT_SEEN, "Refused by X..."))
    assert isinstance(outcome, Again)
    assert outcome.changes.get("goal") is Goal.FAIL
    assert outcome.changes.get("error_code") == "not_seen"
    assert outcome.changes.get("error_message") == "Refused by X. It was tried 100 times."
    assert outcome.changes.get("keep_target") is False


@pytest.mark.parametrize(
    ("back", "left", "saved"),
    [
        ("", "reindexed-v8-a may be left", {"keep_target": True}),
        ("drop_target", "the kept copy may be left", {}),
    ],
)
def test_what_is_left_out_is_named_with_what_may_be_left(
    back: str, left: str, saved: dict[str, Any]
) -> None:
    found = operation(
        "plan_copy", goal=Goal.FAIL, position_back=back, crashes=99, error_message="It failed."
    )
    outcome = patient(found, Hold(HoldCause.UNDO_REFUSED, "Refused by X..."))
    text = f"Refused by X. That was given up, so {left}: look at it."
    assert isinstance(outcome, Done)
    assert outcome.notes == [note(EventKind.UNDO_GIVEN_UP, text)]
    assert outcome.changes == {
        **saved,
        "error_message": f"It failed. {text}",
        "position_back": phase_of(KIND, found).name,
        "attempts": 0,
        "crashes": 0,
    }


def test_a_message_that_grows_while_things_are_left_out_is_capped() -> None:
    found = operation("plan_copy", goal=Goal.FAIL, crashes=99, error_message="x" * 1_990)
    outcome = patient(found, Hold(HoldCause.UNDO_REFUSED, "no"))
    assert len(str(outcome.changes.get("error_message"))) == 2_000


# --- holds


def test_a_hold_is_saved_with_its_first_time_and_the_next_try() -> None:
    hold = Hold(HoldCause.DISK_SPACE, "full", 5.0, {"crashes": 1})
    first = {
        "hold_reason": "full",
        "hold_since": NOW,
        "attempts": 4,
        "next_attempt_at": NOW + timedelta(seconds=5),
        "crashes": 1,
    }
    assert transitions.held(operation(attempts=3), hold) == first
    again = operation(attempts=3, hold_since=EARLIER, hold_reason="full")
    assert transitions.held(again, hold) == {**first, "hold_since": EARLIER}


@pytest.mark.parametrize(
    ("known", "new"),
    [(None, True), ("other", True), ("disk is 91% full", False), ("disk is 95% full", False)],
)
def test_a_hold_is_an_event_where_more_than_figures_has_changed(
    known: str | None, new: bool
) -> None:
    own = note(EventKind.WARNING, "own")
    hold = Hold(HoldCause.DISK_SPACE, "disk is 95% full", notes=[own])
    told = [note(EventKind.HOLDS, "disk is 95% full", cause="disk_space")] if new else []
    assert transitions.hold_notes(operation(hold_reason=known), hold) == [own, *told]


@pytest.mark.parametrize(
    ("since", "seen", "held", "seconds", "told"),
    [
        (3600, 3590, True, 3600, True),  # it has just come to that
        (3599, 3590, True, 3600, False),
        (7200, 0, True, 3600, False),  # it was told before
        (7200, 3600, True, 3600, False),  # the look before was at that very moment
        (7200, 3601, True, 3600, True),
        (7200, 0, False, 3600, True),  # it holds anew
        (7200, 7000, True, 0, False),  # it is not asked for
    ],
)
def test_writes_that_are_blocked_for_long_are_told_once(
    since: int, seen: int, held: bool, seconds: int, told: bool
) -> None:
    """`since`: so long they are blocked; `seen`: so long ago it was looked at last."""
    found = operation(
        concrete_name="b",
        writes_blocked_since=NOW - timedelta(seconds=since),
        updated_at=NOW - timedelta(seconds=seen),
        hold_reason="full" if held else None,
    )
    lasts = "1h00m" if since == 3600 else "2h00m"
    text = f"it holds, and b has taken no writes for {lasts}"
    expected = note(EventKind.WRITES_BLOCKED_FOR_LONG, text) if told else None
    assert transitions.blocks_for_long(found, seconds) == expected


def test_an_index_that_takes_writes_is_not_told_of() -> None:
    assert transitions.blocks_for_long(operation(), 1) is None


def test_a_short_pause_is_three_tenths_longer_each_time_for_twenty_times() -> None:
    assert transitions.growing(0.1, 0) == 0.1
    assert transitions.growing(0.1, 2) == pytest.approx(0.169)
    assert transitions.growing(0.001, 20) == pytest.approx(0.001 * 1.3**20)
    assert transitions.growing(0.001, 21) == transitions.growing(0.001, 20)


@pytest.mark.parametrize(
    ("attempts", "most"), [(0, 1.0), (1, 2.0), (4, 16.0), (5, 30.0), (6, 30.0), (99, 30.0)]
)
def test_pauses_lie_between_half_and_whole(
    monkeypatch: pytest.MonkeyPatch, attempts: int, most: float
) -> None:
    shares: list[float] = []

    def chosen(low: float, high: float) -> float:
        shares.extend((low, high))
        return high

    monkeypatch.setattr(transitions.random, "uniform", chosen)
    assert transitions.backoff(attempts) == most
    assert shares == [0.5, 1.0]


def test_what_is_said_besides_wins_over_the_end_of_a_hold() -> None:
    assert transitions.cleared({}) == OVER
    assert transitions.cleared({"attempts": 3, "goal": Goal.PAUSE}) == {
        **OVER,
        "attempts": 3,
        "goal": Goal.PAUSE,
    }


# --- what somebody asks for


def granted(**changed: Any) -> tuple[Any, list[Note]]:
    return transitions.granted(operation(**changed))


def test_a_cancel_that_is_granted_turns_back() -> None:
    back = {**OVER, "goal": Goal.CANCEL, "position_back": "", "status": Status.IN_PROGRESS}
    assert granted(requested=Requested.CANCEL) == (back, [note(EventKind.CANCELLING)])
    paused = granted(requested=Requested.CANCEL, status=Status.PAUSED)
    assert paused == (back, [note(EventKind.CANCELLING)])


def test_a_cancel_of_a_rollback_leaves_it_completed() -> None:
    found = granted(position="swap", goal=Goal.ROLL_BACK, requested=Requested.CANCEL)
    assert found == (COMPLETED, [note(EventKind.ROLLBACK_CANCELLED)])


def test_a_pause_that_is_granted_turns_aside() -> None:
    aside = {**OVER, "goal": Goal.PAUSE, "position_back": ""}
    assert granted(requested=Requested.PAUSE) == (aside, [note(EventKind.PAUSING)])


def test_a_retry_is_granted_to_one_that_holds() -> None:
    now = {"next_attempt_at": None, "attempts": 0, "given_back_at": None}
    found = granted(requested=Requested.RETRY, hold_reason="full")
    assert found == (now, [note(EventKind.TRIED_AGAIN)])
    assert granted(requested=Requested.RETRY) == ({}, [])


def test_without_a_wish_nothing_is_granted() -> None:
    assert granted() == ({}, [])
    assert granted(hold_reason="full") == ({}, [])


@pytest.mark.parametrize("goal", Goal)
@pytest.mark.parametrize("action", Requested)
def test_a_pause_comes_later_to_one_on_its_way_aside(goal: Goal, action: Requested) -> None:
    later = goal in (Goal.PARK, Goal.GIVE_BACK) and action is Requested.PAUSE
    assert transitions.comes_later(operation(goal=goal, requested=action)) is later
