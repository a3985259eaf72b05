"""What a wish makes of an operation, and what the end of its way back or aside does. Pure."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from app.domain.operation import BACK, ENDS_AS, Changes, Goal, Note, Operation, Status, Step, Wish

PARKED_SECONDS = 60.0
"""After so long a parked operation is tried again, when the one in hand has ended."""


def granted(operation: Operation) -> tuple[Changes, list[Note]]:
    """What a wish changes: nothing after the swap, and on the way aside only a cancel does."""
    wish, name = operation.requested, operation.index_name
    late = operation.last_completed_step >= Step.ALIAS_CREATED or operation.goal in BACK
    if wish is Wish.CANCEL and not late:
        changes: Changes = {"goal": Goal.CANCEL, "undone": 0, "status": Status.IN_PROGRESS}
        return cleared(changes), [Note(what="cancelling", index=name)]
    if wish is Wish.PAUSE and not late and operation.goal is Goal.FINISH:
        return cleared({"goal": Goal.PAUSE}), [Note(what="pausing", index=name)]
    if wish is Wish.RETRY and operation.hold_reason is not None:
        return {"next_attempt_at": None, "attempts": 0}, [Note(what="tried again", index=name)]
    return {}, []


def end_of_way(operation: Operation) -> Changes:
    """What is saved with the last entry of a way: the end, or that the operation is put aside."""
    if operation.goal is Goal.PAUSE:
        return {"goal": Goal.FINISH, "undone": 0, "status": Status.PAUSED, "aside": True}
    if operation.goal is Goal.PARK:
        return {
            "goal": Goal.FINISH,
            "undone": 0,
            "aside": True,
            "unblocked": operation.source is not None,
            "last_completed_step": Step.CREATED,
            "next_attempt_at": datetime.now(UTC) + timedelta(seconds=PARKED_SECONDS),
        }
    return {"status": ENDS_AS[operation.goal]}


def aside_notes(operation: Operation) -> list[Note]:
    """What is said of an operation that was put aside: whether its index takes writes."""
    name = operation.index_name
    if operation.goal is Goal.PAUSE:
        blocked = operation.last_completed_step >= Step.READONLY
        text = f"writes to {name} stay blocked until it goes on or is cancelled" if blocked else ""
        return [Note(what="paused", index=name, text=text)]
    if operation.goal is Goal.PARK:
        text = f"{name} takes writes meanwhile; it is tried again in {PARKED_SECONDS:g} s"
        return [Note(what="parked", index=name, text=text)]
    return []


def cleared(changes: Changes) -> Changes:
    """`changes`, with the hold over."""
    return {
        "hold_reason": None,
        "hold_since": None,
        "next_attempt_at": None,
        "attempts": 0,
        **changes,
    }
