"""What a wish makes of an operation, and what the end of its way back or aside does. Pure."""

from __future__ import annotations

from datetime import timedelta

from app.domain import clock
from app.domain.operation import (
    ENDS_AS,
    PARKED_SECONDS,
    Changes,
    Goal,
    Note,
    Operation,
    Status,
    Step,
    Wish,
)
from app.domain.texts import same_but_figures
from app.reindex.verdicts import against_cancel, too_late

SWAPPED_BACK = 2
"""So many entries of a rollback are finished once the kept copy has the name."""
LONGEST_REST = 6 * 3600.0
"""Seconds until one that was given back is blocked again: a minute, doubled each time, at most."""


def granted(operation: Operation) -> tuple[Changes, list[Note]]:
    """What a wish changes: nothing after the swap, and on the way aside only a cancel does.

    A rollback can be cancelled until it takes hold of the new index.
    """
    wish, name = operation.requested, operation.index_name
    if wish is Wish.CANCEL and against_cancel(operation) is None:
        if operation.goal is Goal.ROLL_BACK:
            return stay_completed(), [Note(what="rollback cancelled", index=name)]
        changes: Changes = {"goal": Goal.CANCEL, "undone": 0, "status": Status.IN_PROGRESS}
        return cleared(changes), [Note(what="cancelling", index=name)]
    if wish is Wish.PAUSE and operation.goal is Goal.FINISH and not too_late(operation):
        return cleared({"goal": Goal.PAUSE}), [Note(what="pausing", index=name)]
    if wish is Wish.RETRY and operation.hold_reason is not None:
        now: Changes = {"next_attempt_at": None, "attempts": 0, "given_back_at": None}
        return now, [Note(what="tried again", index=name)]
    return {}, []


def comes_later(operation: Operation) -> bool:
    """True for the wish that one be paused that is parked or given back: granted once it is."""
    aside = operation.goal in (Goal.PARK, Goal.GIVE_BACK)
    return aside and operation.requested is Wish.PAUSE


def not_back_yet(operation: Operation) -> bool:
    """True for a rollback before the call that makes it one: its last entry but one."""
    return operation.goal is Goal.ROLL_BACK and operation.undone < SWAPPED_BACK


def stay_completed() -> Changes:
    """The end of a rollback that is none."""
    return cleared(
        {
            "goal": Goal.FINISH,
            "undone": 0,
            "status": Status.COMPLETED,
            "ended_at": clock.now(),
            "crashes": 0,
        }
    )


def end_of_way(operation: Operation) -> Changes:
    """What is saved with the last entry of a way: the end, or that the operation is put aside.

    The index takes writes after each but that to a pause.
    """
    if operation.goal is Goal.PAUSE:
        return {"goal": Goal.FINISH, "undone": 0, "status": Status.PAUSED, "aside": True}
    if operation.goal is Goal.PARK:
        return {
            "goal": Goal.FINISH,
            "undone": 0,
            "aside": True,
            "unblocked": operation.source is not None,
            "writes_blocked_since": None,
            "last_completed_step": Step.CREATED,
            "next_attempt_at": clock.now() + timedelta(seconds=PARKED_SECONDS),
        }
    if operation.goal is Goal.GIVE_BACK:
        return _as_not_begun(operation)
    return {"status": ENDS_AS[operation.goal], "writes_blocked_since": None}


def _as_not_begun(operation: Operation) -> Changes:
    """At its place in the queue, with nothing of it in the cluster."""
    return {
        "goal": Goal.FINISH,
        "undone": 0,
        "started_at": None,
        "last_completed_step": Step.CREATED,
        "reindex_task_id": None,
        "reindex_task_perc_complete": None,
        "source": None,
        "source_seq_nos": None,
        "target_uuid": None,
        "unblocked": False,
        "writes_blocked_since": None,
        "proving": None,
        "proof": None,
        "given_back": operation.given_back + 1,
    }


def rest_of(operation: Operation) -> float:
    """Seconds for which one that was given back is not blocked again."""
    since = operation.given_back_at
    seconds = min(LONGEST_REST, PARKED_SECONDS * 2.0 ** min(operation.given_back - 1, 10))
    return clock.left(since, seconds) if since else 0.0


def aside_notes(operation: Operation) -> list[Note]:
    """What is said of an operation that was put aside: whether its index takes writes."""
    name = operation.index_name
    if operation.goal is Goal.PAUSE:
        blocked = operation.last_completed_step >= Step.READONLY
        text = f"writes to {name} stay blocked until it goes on or is cancelled" if blocked else ""
        return [Note(what="paused", index=name, text=text)]
    if operation.goal is Goal.PARK:
        later = f"after the others, in {PARKED_SECONDS:g} s at the earliest"
        text = f"{name} takes writes meanwhile; it is tried again {later}"
        return [Note(what="parked", index=name, text=text)]
    if operation.goal is Goal.GIVE_BACK:
        text = f"{name} takes writes; it is begun anew when its turn comes"
        return [Note(what="given back", index=name, text=text)]
    return []


def same_hold(reason: str, known: str | None) -> bool:
    """True where nothing but figures has changed: that is no event, however often it is seen."""
    return known is not None and same_but_figures(reason, known)


def cleared(changes: Changes) -> Changes:
    """`changes`, with the hold over."""
    return {
        "hold_reason": None,
        "hold_since": None,
        "next_attempt_at": None,
        "attempts": 0,
        "crashes": 0,
        "lost_since": None,
        **changes,
    }
