"""What the state of an operation says to a wish of a person. Pure: an operation in, word out."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, auto

from app.domain.errors import CannotCancel, NotCopying, NotInProgress
from app.domain.operation import BACK, Goal, Operation, Status, Step, Wish
from app.domain.wishes import Action, Verdict


@dataclass(frozen=True)
class Objection:
    """Why it is not done. `so_already`: it is as it was asked for, or about to be."""

    verdict: Verdict
    message: str
    so_already: bool = False


class Against(Enum):
    """What stands against cancelling an operation.

    `SWAPPED`: the new index has the name, or a rollback has begun to take the new index out of use.
    """

    COMPLETED = auto()
    ENDED = auto()
    SWAPPED = auto()
    FAILING = auto()
    CANCELLING = auto()


def against_cancel(operation: Operation) -> Against | None:
    """None where it can be cancelled: the one rule, for both APIs and for the worker, which grants
    the wish later. That the wish was left already does not stand against it.
    """
    if operation.status is Status.COMPLETED:
        return Against.COMPLETED
    if not operation.live:
        return Against.ENDED
    if too_late(operation):
        return Against.SWAPPED
    return _GOES_BACK.get(operation.goal)


_GOES_BACK = {Goal.FAIL: Against.FAILING, Goal.CANCEL: Against.CANCELLING}


def too_late(operation: Operation) -> bool:
    """True after the swap, and in a rollback that has begun to take the new index out of use."""
    if operation.goal is Goal.ROLL_BACK:
        return operation.undone > 0
    return operation.last_completed_step >= Step.ALIAS_CREATED


def objection(action: Action, operation: Operation) -> Objection | None:
    """What stands against it, None where nothing does. Not for a rollback: `objections` knows."""
    return _RULES[action](operation)


def cancel_refusal(operation: Operation) -> CannotCancel | None:
    """The same rule as Kibana words it. One that goes back already may be cancelled once more."""
    match against_cancel(operation):
        case Against.COMPLETED | Against.ENDED:
            return NotInProgress()
        case Against.SWAPPED:
            return NotCopying()
        case _:
            return None


def _to_cancel(operation: Operation) -> Objection | None:
    match against_cancel(operation):
        case Against.COMPLETED:
            return _late(f"It is too late to cancel: {told(operation)}")
        case Against.ENDED:
            return _idle(f"The operation has ended: it is {word(operation)}.")
        case Against.SWAPPED:
            return _late("It is too late to cancel: the other index has the name already.")
        case Against.FAILING:
            return _so("It goes back already, because it failed.")
        case Against.CANCELLING:
            return _so(_CANCELLING)
        case None:
            return _so(_CANCELLING) if operation.requested is Wish.CANCEL else None


_CANCELLING = "It is being cancelled already."


def _to_pause(operation: Operation) -> Objection | None:
    if operation.status is Status.PAUSED:
        return _so("It is paused already.")
    if operation.status is Status.COMPLETED:
        return _late(f"It is too late to pause: {told(operation)}")
    if not operation.live or operation.goal in (*BACK, Goal.ROLL_BACK):
        return _idle(f"Only an operation that is going on can be paused; {told(operation)}")
    if too_late(operation):
        return _late("It is too late to pause: the new index has the name already.")
    if operation.requested is Wish.CANCEL:
        return _idle(f"Only an operation that is going on can be paused; {told(operation)}")
    if operation.goal is Goal.PAUSE or operation.requested is Wish.PAUSE:
        return _so("It is being paused already.")
    return None


def _to_resume(operation: Operation) -> Objection | None:
    if operation.status is Status.PAUSED:
        return None
    if operation.goal is Goal.PAUSE:
        return _idle(f"{operation.index_name} is being paused. Resume it once it is.")
    if operation.live and operation.requested is Wish.PAUSE:
        return None
    return _idle(f"Only a paused operation can be resumed; {told(operation)}")


def _to_retry(operation: Operation) -> Objection | None:
    ended = operation.status in (Status.FAILED, Status.CANCELLED)
    if ended and operation.goal is not Goal.ROLL_BACK:
        return None
    if operation.requested in (Wish.CANCEL, Wish.PAUSE):
        return _idle(f"Its {operation.requested} comes first; {told(operation)}")
    if operation.status is Status.IN_PROGRESS and operation.hold_reason is not None:
        return None
    return _idle(
        "Only an operation that failed, was cancelled or waits for something can be tried "
        f"again; {told(operation)}"
    )


_RULES = {
    Action.CANCEL: _to_cancel,
    Action.PAUSE: _to_pause,
    Action.RESUME: _to_resume,
    Action.RETRY: _to_retry,
}


def _late(message: str) -> Objection:
    return Objection(Verdict.TOO_LATE, message)


def _idle(message: str) -> Objection:
    return Objection(Verdict.UNCHANGED, message)


def _so(message: str) -> Objection:
    return Objection(Verdict.UNCHANGED, message, so_already=True)


def word(operation: Operation) -> str:
    """Its status as people say it."""
    if operation.goal is Goal.ROLL_BACK:
        return "rolled back" if operation.status is Status.CANCELLED else "being rolled back"
    if operation.live and (operation.goal in BACK or operation.requested is Wish.CANCEL):
        return "on its way back"
    return operation.status.name.lower().replace("_", " ")


def told(operation: Operation) -> str:
    return f"{operation.index_name} is {word(operation)}."
