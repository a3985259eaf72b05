"""What becomes of an operation when an entry has ended, failed, crashed or waits. Pure."""

from __future__ import annotations

import random
from dataclasses import replace
from datetime import timedelta

from app.domain import clock
from app.domain.errors import DocumentsDiffer, Failure
from app.domain.holds import HoldCause
from app.domain.operation import (
    LIVE,
    Again,
    Changes,
    Done,
    Goal,
    Hold,
    Note,
    Operation,
    Outcome,
    Status,
    Step,
)
from app.domain.texts import capped
from app.reindex import failures
from app.reindex.goals import (
    aside_notes,
    cleared,
    end_of_way,
    not_back_yet,
    same_hold,
    stay_completed,
)
from app.reindex.ways import WAYS, doing
from app.telemetry import logger

log = logger(__name__)

MOST_CRASHES = 3
LONGEST_LOOK = 2.0
FOLLOW_UP_SECONDS = 600.0
"""So long is the tidying after the swap retried before the operation is done with a warning."""


def ended(operation: Operation, done: Done) -> Done:
    """A finished entry of a way; with the last one the operation ends, or is put aside."""
    changes: Changes = {**done.changes, "attempts": 0, "crashes": 0}
    notes = list(done.notes)
    if operation.goal is not Goal.FINISH:
        changes["undone"] = operation.undone + 1
        if changes["undone"] == len(WAYS[operation.goal]):
            changes |= end_of_way(operation)
            notes += aside_notes(operation)
    if "status" in changes and changes["status"] not in LIVE:
        changes["ended_at"] = clock.now()
        back = operation.goal is Goal.ROLL_BACK
        what = "rolled back" if back else changes["status"].name.lower()
        notes.append(Note(what=what, index=operation.index_name))
    return replace(done, changes=changes, notes=notes)


def failed(operation: Operation, error: Failure) -> Outcome:
    """Turns back before the swap; after it, and on the way back, waits and tries again."""
    if not_back_yet(operation):
        return _stays(operation, error)
    if operation.goal is Goal.FINISH and operation.last_completed_step < Step.ALIAS_CREATED:
        return turn_back(operation, error, Goal.FAIL, keep=isinstance(error, DocumentsDiffer))
    since = operation.hold_since
    if operation.goal is Goal.FINISH and since and clock.elapsed(since) > FOLLOW_UP_SECONDS:
        text = f"the copy is in place, but the tidying afterwards did not succeed: {error.message}"
        done = Done({"status": Status.COMPLETED}, notes=[Note(what="warning", text=text)])
        return ended(operation, done)
    cause = HoldCause.TIDYING_REFUSED if operation.goal is Goal.FINISH else HoldCause.UNDO_REFUSED
    return Hold(cause, error.message, backoff(operation.attempts))


def crashed(operation: Operation, error: Exception) -> Outcome:
    """An unexpected exception: three attempts, then failed with nothing deleted.

    Before the copy there is nothing to keep: the target is the empty one of the trial.
    """
    crashes = operation.crashes + 1
    reason = capped(f"unexpected {type(error).__name__}: {error}", 500)
    if crashes < MOST_CRASHES or not (operation.goal is Goal.FINISH or not_back_yet(operation)):
        pause = backoff(operation.attempts)
        return Hold(HoldCause.CRASHED, reason, pause, {"crashes": crashes})
    failure = Failure("unexpected", f"{reason}. This is a fault of Reindex Queue; see its log.")
    if operation.goal is Goal.FINISH and operation.last_completed_step >= Step.ALIAS_CREATED:
        return failed(operation, failure)
    if not_back_yet(operation):
        return _stays(operation, failure)
    copied = operation.last_completed_step >= Step.REINDEX_STARTED
    return turn_back(operation, failure, Goal.FAIL, keep=copied)


def _stays(operation: Operation, error: Failure) -> Outcome:
    """A rollback that cannot be: the operation stays completed."""
    note = Note(what="rollback refused", index=operation.index_name, text=error.message)
    return Again(stay_completed(), notes=[note])


def turn_back(operation: Operation, error: Failure, goal: Goal, *, keep: bool = False) -> Outcome:
    message = capped(error.message)
    changes: Changes = {
        "goal": goal,
        "error_code": error.code,
        "error_message": message,
        "failure": failures.details(operation, error, doing(operation)),
        "keep_target": keep,
        "lost_since": None,
        "crashes": 0,
    }
    note = Note(what="turned back", index=operation.index_name, text=message)
    return Again(cleared(changes), notes=[note])


def held(operation: Operation, hold: Hold) -> Changes:
    now = clock.now()
    return {
        **hold.changes,
        "hold_reason": hold.reason,
        "hold_since": operation.hold_since or now,
        "attempts": operation.attempts + 1,
        "next_attempt_at": now + timedelta(seconds=hold.retry_after),
    }


def hold_notes(operation: Operation, hold: Hold) -> list[Note]:
    if same_hold(hold.reason, operation.hold_reason):
        return list(hold.notes)
    log.warning("operation_holds", operation=operation.id, reason=hold.reason)
    return [*hold.notes, Note(what="holds", index=operation.index_name, text=hold.reason)]


def growing(pause: float, attempts: int) -> float:
    """Seconds: a short pause is longer each time, up to two seconds."""
    return max(pause, min(LONGEST_LOOK, pause * 1.3 ** min(attempts, 20)))


def backoff(attempts: int) -> float:
    """Seconds until the next try: doubling from 1 to 30, each between half and whole of that."""
    most: float = min(30.0, 2.0 ** min(attempts, 5))
    return most * random.uniform(0.5, 1.0)  # noqa: S311 - jitter, not a secret
