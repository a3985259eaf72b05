"""The state of an operation in one word, for people and programs."""

from __future__ import annotations

from enum import StrEnum

from app.domain.job import BACK, Goal, Status


class State(StrEnum):
    """`WAITING`: not started; `HOLDING`: waits for something outside; `UNDOING`: goes back.

    `ROLLED_BACK`: the name is on the kept copy of the old index again.
    """

    WAITING = "waiting"
    RUNNING = "running"
    HOLDING = "holding"
    UNDOING = "undoing"
    PAUSED = "paused"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"
    ROLLED_BACK = "rolledBack"

    @property
    def ended(self) -> bool:
        return self in ENDED


class Pending(StrEnum):
    """A wish that is being granted."""

    CANCELLING = "cancelling"
    PAUSING = "pausing"
    ROLLING_BACK = "rollingBack"


ENDED = (State.COMPLETED, State.FAILED, State.CANCELLED, State.ROLLED_BACK)
"""Nothing more happens to an operation in one of these."""
LIVE = tuple(state for state in State if state not in ENDED)

BY_STATUS = {
    Status.COMPLETED: State.COMPLETED,
    Status.FAILED: State.FAILED,
    Status.PAUSED: State.PAUSED,
    Status.CANCELLED: State.CANCELLED,
}
"""The states that the wire's status tells, but for `ROLLED_BACK`, which is `CANCELLED` there."""


def state_of(status: Status, goal: Goal, *, started: bool, held: bool, suspended: bool) -> State:
    """An operation that goes back is `UNDOING` also while it waits for something; one that was
    suspended and resumed waits for its turn."""
    if status is Status.CANCELLED and goal is Goal.ROLL_BACK:
        return State.ROLLED_BACK
    if status in BY_STATUS:
        return BY_STATUS[status]
    if goal in (*BACK, Goal.ROLL_BACK):
        return State.UNDOING
    if not started:
        return State.WAITING
    if held:
        return State.HOLDING
    return State.WAITING if suspended else State.RUNNING
