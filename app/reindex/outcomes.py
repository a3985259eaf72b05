"""What becomes of an operation when an entry has ended, failed, crashed or waits. Pure."""

from __future__ import annotations

import random
from dataclasses import replace
from datetime import timedelta

from app.domain import clock
from app.domain.durations import spoken
from app.domain.errors import ClusterTrouble, DocumentsDiffer, Failure
from app.domain.holds import HoldCause
from app.domain.operation import (
    BACK,
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
from app.reindex.steps.keep import drop_kept
from app.reindex.steps.source import restore_source
from app.reindex.steps.undo import drop_target, end_tasks
from app.reindex.ways import WAYS, doing, entry
from app.telemetry import logger

log = logger(__name__)

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
            done = replace(done, anew=operation.goal is Goal.GIVE_BACK)
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
    if _before_the_swap(operation):
        return turn_back(operation, error, Goal.FAIL, keep=isinstance(error, DocumentsDiffer))
    pause = backoff(operation.attempts)
    if operation.goal is Goal.FINISH or operation.goal is Goal.ROLL_BACK:
        return patient(operation, Hold(HoldCause.TIDYING_REFUSED, error.message, pause))
    restoring = entry(operation) is restore_source
    cause = HoldCause.RESTORE_REFUSED if restoring else HoldCause.UNDO_REFUSED
    return patient(operation, Hold(cause, error.message, pause))


def troubled(operation: Operation, error: ClusterTrouble, *, answers: bool) -> Outcome:
    """A hold for what the cluster is in. `answers`: it has answered another request just now."""
    cause = error.cause
    if cause is HoldCause.NO_ANSWER and not answers:
        cause = HoldCause.CLUSTER_UNREACHABLE
    return patient(operation, Hold(cause, error.message, backoff(operation.attempts)))


def crashed(operation: Operation, error: Exception) -> Outcome:
    """An unexpected exception: three attempts, then failed with nothing deleted.

    Before the copy there is nothing to keep: the target is the empty one of the trial.
    """
    reason = capped(f"unexpected {type(error).__name__}: {error}", 500)
    return patient(operation, Hold(HoldCause.CRASHED, reason, backoff(operation.attempts)))


def patient(operation: Operation, hold: Hold) -> Outcome:
    """`hold` itself, while it may be waited for; else its end.

    `Operation.crashes` counts the tries in a row that nothing outside is sure to have spoilt.
    """
    since = operation.hold_since
    if hold.cause is HoldCause.TIDYING_REFUSED:
        over = since is not None and clock.elapsed(since) > FOLLOW_UP_SECONDS
        return _tidied(operation, hold) if over else hold
    if hold.cause.patience is None:
        return hold
    tries = operation.crashes + 1
    if tries < hold.cause.patience:
        return replace(hold, changes={**hold.changes, "crashes": tries})
    return _given_up(operation, hold, tries)


def _given_up(operation: Operation, hold: Hold, tries: int) -> Outcome:
    """The end of patience: the source gets its writes back, and the queue goes on."""
    failure = Failure(*_told(hold, tries))
    if not_back_yet(operation):
        return _stays(operation, failure)
    if operation.goal in (Goal.PAUSE, Goal.PARK, Goal.GIVE_BACK) or _before_the_swap(operation):
        copied = operation.last_completed_step >= Step.REINDEX_STARTED
        keep = copied and hold.cause is HoldCause.CRASHED
        return turn_back(operation, failure, Goal.FAIL, keep=keep)
    if operation.goal in BACK:
        return _left_out(operation, hold)
    return patient(operation, replace(hold, cause=HoldCause.TIDYING_REFUSED))


def _told(hold: Hold, tries: int) -> tuple[str, str]:
    """The code and the message of the failure that `hold` becomes."""
    if hold.cause is HoldCause.CRASHED:
        return "unexpected", f"{hold.reason}. This is a fault of Reindex Queue; see its log."
    return hold.cause.value, f"{hold.reason.rstrip('.')}. It was tried {tries} times."


def _tidied(operation: Operation, hold: Hold) -> Done:
    """After the swap nothing rolls back, so what cannot be tidied up is told and left."""
    text = f"the copy is in place, but the tidying afterwards did not succeed: {hold.reason}"
    note = Note(what="warning", index=operation.index_name, text=text)
    if operation.goal is Goal.FINISH:
        return ended(operation, Done({"status": Status.COMPLETED}, notes=[note]))
    return ended(operation, Done(notes=[note]))


def _left_out(operation: Operation, hold: Hold) -> Done:
    """An entry of the way back that cannot be done is left out, so that those behind it are.

    The target stays where it cannot be removed, or where a task may still write to it.
    """
    step, changes = entry(operation), Changes()
    if step in (end_tasks, drop_target):
        left = f"{operation.new_index_name} may be left"
        changes["keep_target"] = True
    elif step is drop_kept:
        left = "the kept copy may be left"
    else:
        left = f"{operation.source_name} may still refuse writes"
    text = f"{hold.reason.rstrip('.')}. That was given up, so {left}: look at it."
    if operation.error_message:
        changes["error_message"] = capped(f"{operation.error_message} {text}")
    note = Note(what="undo given up", index=operation.index_name, text=text)
    return ended(operation, Done(changes, notes=[note]))


def _before_the_swap(operation: Operation) -> bool:
    return operation.goal is Goal.FINISH and operation.last_completed_step < Step.ALIAS_CREATED


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
        "hold_reason": hold.reason,
        "hold_since": operation.hold_since or now,
        "attempts": operation.attempts + 1,
        "next_attempt_at": now + timedelta(seconds=hold.retry_after),
        **hold.changes,
    }


def hold_notes(operation: Operation, hold: Hold) -> list[Note]:
    if same_hold(hold.reason, operation.hold_reason):
        return list(hold.notes)
    log.warning("operation_holds", operation=operation.id, reason=hold.reason)
    return [*hold.notes, Note(what="holds", index=operation.index_name, text=hold.reason)]


def blocks_for_long(operation: Operation, seconds: float) -> Note | None:
    """That a hold has kept writes blocked for so long: when it comes to that, or holds anew.

    `operation` as it was before the look that has just been saved.
    """
    since = operation.writes_blocked_since
    if not seconds or since is None or clock.elapsed(since) < seconds:
        return None
    told = clock.elapsed(since) - clock.elapsed(operation.updated_at) >= seconds
    if told and operation.hold_reason is not None:
        return None
    lasts = spoken(clock.elapsed(since))
    text = f"it holds, and {operation.source_name} has taken no writes for {lasts}"
    return Note(what="writes blocked for long", index=operation.index_name, text=text)


def growing(pause: float, attempts: int) -> float:
    """Seconds: a short pause is longer each time, up to two seconds."""
    return max(pause, min(LONGEST_LOOK, pause * 1.3 ** min(attempts, 20)))


def backoff(attempts: int) -> float:
    """Seconds until the next try: doubling from 1 to 30, each between half and whole of that."""
    most: float = min(30.0, 2.0 ** min(attempts, 5))
    return most * random.uniform(0.5, 1.0)  # noqa: S311 - jitter, not a secret
