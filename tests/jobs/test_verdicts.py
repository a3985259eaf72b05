"""Who may be cancelled: one rule, in the words of both families, and as the worker grants it."""

from __future__ import annotations

from itertools import product

import pytest

from app.domain.errors import NotCopying, NotInProgress
from app.domain.job import Action, Goal, Requested, Status, Verdict
from app.domain.operation import Operation
from app.jobs.transitions import granted
from app.jobs.verdicts import (
    Against,
    Objection,
    against_cancel,
    cancel_refusal,
    objection,
    sentence,
    status_word,
)
from tests.jobs.test_transitions import operation

SWAPPED = "swap"
IDLE = NotInProgress().message
LATE = NotCopying().message
TOO_LATE = "It is too late to cancel: the other index has the name already."


def ended(status: Status, goal: Goal = Goal.FINISH) -> Operation:
    step = SWAPPED if status is Status.COMPLETED else "write_block"
    return operation(status=status, goal=goal, position=step)


@pytest.mark.parametrize(
    ("found", "against", "kibana", "own"),
    [
        (operation(), None, None, None),
        (operation(status=Status.PAUSED), None, None, None),
        (operation(goal=Goal.PARK), None, None, None),
        (operation(goal=Goal.PAUSE, requested=Requested.PAUSE), None, None, None),
        (operation(requested=Requested.CANCEL), None, None, "It is being cancelled already."),
        (
            operation(goal=Goal.CANCEL),
            Against.CANCELLING,
            None,
            "It is being cancelled already.",
        ),
        (
            operation(goal=Goal.FAIL),
            Against.FAILING,
            None,
            "It goes back already, because it failed.",
        ),
        (operation(position=SWAPPED), Against.SWAPPED, LATE, TOO_LATE),
        (operation(goal=Goal.ROLL_BACK, position=SWAPPED), None, None, None),
        (
            operation(goal=Goal.ROLL_BACK, position=SWAPPED, position_back="ready_kept"),
            Against.SWAPPED,
            LATE,
            TOO_LATE,
        ),
        (
            ended(Status.COMPLETED),
            Against.COMPLETED,
            IDLE,
            "It is too late to cancel: a is completed.",
        ),
        (
            ended(Status.FAILED, Goal.FAIL),
            Against.ENDED,
            IDLE,
            "The operation has ended: it is failed.",
        ),
        (
            ended(Status.CANCELLED, Goal.CANCEL),
            Against.ENDED,
            IDLE,
            "The operation has ended: it is cancelled.",
        ),
        (
            ended(Status.CANCELLED, Goal.ROLL_BACK),
            Against.ENDED,
            IDLE,
            "The operation has ended: it is rolled back.",
        ),
    ],
)
def test_who_may_be_cancelled(
    found: Operation, against: Against | None, kibana: str | None, own: str | None
) -> None:
    assert against_cancel(found) is against
    refusal = cancel_refusal(found)
    assert (refusal and refusal.message) == kibana
    objected = objection(Action.CANCEL, found)
    assert (objected and objected.message) == own


@pytest.mark.parametrize("against", [*Against])
def test_what_ends_without_a_swap_objects_mildly(against: Against) -> None:
    """What is about to be as it was asked for is no refusal."""
    found = {
        Against.COMPLETED: ended(Status.COMPLETED),
        Against.ENDED: ended(Status.FAILED),
        Against.SWAPPED: operation(position=SWAPPED),
        Against.FAILING: operation(goal=Goal.FAIL),
        Against.CANCELLING: operation(goal=Goal.CANCEL),
    }[against]
    late = against in (Against.COMPLETED, Against.SWAPPED)
    objected = objection(Action.CANCEL, found)
    assert objected is not None
    assert objected.verdict is (Verdict.TOO_LATE if late else Verdict.UNCHANGED)
    assert objected.so_already == (against in (Against.FAILING, Against.CANCELLING))


@pytest.mark.parametrize(
    ("goal", "step", "back"), list(product(Goal, ("", SWAPPED), ("", "ready_kept")))
)
def test_the_worker_grants_a_cancel_by_the_same_rule(goal: Goal, step: str, back: str) -> None:
    found = operation(goal=goal, position=step, position_back=back, requested=Requested.CANCEL)
    changes, notes = granted(found)
    if against_cancel(found) is not None:
        assert (changes, notes) == ({}, [])
    elif goal is Goal.ROLL_BACK:
        assert (changes.get("status"), changes.get("goal")) == (Status.COMPLETED, Goal.FINISH)
        assert [note.what for note in notes] == ["rollback cancelled"]
    else:
        assert (changes.get("status"), changes.get("goal")) == (Status.IN_PROGRESS, Goal.CANCEL)
        assert [note.what for note in notes] == ["cancelling"]


@pytest.mark.parametrize("goal", [*Goal])
def test_a_pause_is_granted_before_the_swap_alone(goal: Goal) -> None:
    for step in ("", "plan_copy", SWAPPED):
        found = operation(goal=goal, position=step, requested=Requested.PAUSE)
        pauses = goal is Goal.FINISH and step is not SWAPPED
        assert bool(granted(found)[0]) == pauses


ONGOING = "Only an operation that is going on can be paused; "
PAUSED_ONLY = "Only a paused operation can be resumed; "
AGAIN = "Only an operation that failed, was cancelled or waits for something can be tried again; "
CANCELLED = operation(requested=Requested.CANCEL)
PAUSING = operation(requested=Requested.PAUSE)


def idle(message: str, *, so_already: bool = False) -> Objection:
    return Objection(Verdict.UNCHANGED, message, so_already)


@pytest.mark.parametrize(
    ("found", "objected"),
    [
        (operation(), None),
        (operation(goal=Goal.PARK), None),
        (operation(goal=Goal.GIVE_BACK), None),
        (operation(requested=Requested.RETRY), None),
        (operation(status=Status.PAUSED), idle("It is paused already.", so_already=True)),
        (operation(goal=Goal.PAUSE), idle("It is being paused already.", so_already=True)),
        (PAUSING, idle("It is being paused already.", so_already=True)),
        (
            ended(Status.COMPLETED),
            Objection(Verdict.TOO_LATE, "It is too late to pause: a is completed."),
        ),
        (
            operation(position=SWAPPED),
            Objection(
                Verdict.TOO_LATE,
                "It is too late to pause: the new index has the name already.",
            ),
        ),
        (ended(Status.FAILED), idle(f"{ONGOING}a is failed.")),
        (ended(Status.FAILED, Goal.FAIL), idle(f"{ONGOING}a is failed.")),
        (operation(goal=Goal.FAIL), idle(f"{ONGOING}a is on its way back.")),
        (operation(goal=Goal.CANCEL), idle(f"{ONGOING}a is on its way back.")),
        (CANCELLED, idle(f"{ONGOING}a is on its way back.")),
        (
            operation(goal=Goal.ROLL_BACK, position=SWAPPED),
            idle(f"{ONGOING}a is being rolled back."),
        ),
    ],
)
def test_who_may_be_paused(found: Operation, objected: Objection | None) -> None:
    assert objection(Action.PAUSE, found) == objected


@pytest.mark.parametrize(
    ("found", "objected"),
    [
        (operation(status=Status.PAUSED), None),
        (PAUSING, None),
        (operation(goal=Goal.PAUSE), idle("a is being paused. Resume it once it is.")),
        (
            operation(goal=Goal.PAUSE, requested=Requested.PAUSE),
            idle("a is being paused. Resume it once it is."),
        ),
        (operation(), idle(f"{PAUSED_ONLY}a is in progress.")),
        (CANCELLED, idle(f"{PAUSED_ONLY}a is on its way back.")),
        (
            operation(status=Status.FAILED, requested=Requested.PAUSE),
            idle(f"{PAUSED_ONLY}a is failed."),
        ),
    ],
)
def test_who_may_be_resumed(found: Operation, objected: Objection | None) -> None:
    assert objection(Action.RESUME, found) == objected


@pytest.mark.parametrize(
    ("found", "objected"),
    [
        (ended(Status.FAILED, Goal.FAIL), None),
        (ended(Status.CANCELLED, Goal.CANCEL), None),
        (operation(status=Status.FAILED, requested=Requested.CANCEL), None),
        (operation(hold_reason="no disk"), None),
        (
            operation(hold_reason="no disk", requested=Requested.CANCEL),
            idle("Its cancel comes first; a is on its way back."),
        ),
        (
            operation(hold_reason="no disk", requested=Requested.PAUSE),
            idle("Its pause comes first; a is in progress."),
        ),
        (operation(), idle(f"{AGAIN}a is in progress.")),
        (operation(status=Status.PAUSED, hold_reason="no disk"), idle(f"{AGAIN}a is paused.")),
        (ended(Status.COMPLETED), idle(f"{AGAIN}a is completed.")),
        (ended(Status.CANCELLED, Goal.ROLL_BACK), idle(f"{AGAIN}a is rolled back.")),
    ],
)
def test_who_may_be_tried_again(found: Operation, objected: Objection | None) -> None:
    assert objection(Action.RETRY, found) == objected


@pytest.mark.parametrize(
    ("found", "said"),
    [
        (operation(), "in progress"),
        (operation(goal=Goal.PARK), "in progress"),
        (operation(goal=Goal.FAIL), "on its way back"),
        (operation(goal=Goal.CANCEL), "on its way back"),
        (CANCELLED, "on its way back"),
        (PAUSING, "in progress"),
        (operation(status=Status.PAUSED), "paused"),
        (ended(Status.COMPLETED), "completed"),
        (ended(Status.FAILED, Goal.FAIL), "failed"),
        (operation(status=Status.FAILED, requested=Requested.CANCEL), "failed"),
        (operation(goal=Goal.ROLL_BACK, position=SWAPPED), "being rolled back"),
        (ended(Status.CANCELLED, Goal.ROLL_BACK), "rolled back"),
    ],
)
def test_a_status_is_said_in_words(found: Operation, said: str) -> None:
    assert status_word(found) == said
    assert sentence(found) == f"a is {said}."
