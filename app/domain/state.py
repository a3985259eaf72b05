"""The state of an operation in one word, for people and programs."""

from __future__ import annotations

from enum import StrEnum

from app.domain.operation import BACK, Goal, Status


class State(StrEnum):
    """`WAITING`: not started; `HOLDING`: waits for something outside; `UNDOING`: goes back."""

    WAITING = "waiting"
    RUNNING = "running"
    HOLDING = "holding"
    UNDOING = "undoing"
    PAUSED = "paused"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def ended(self) -> bool:
        return self in ENDED


ENDED = (State.COMPLETED, State.FAILED, State.CANCELLED)
"""Nothing more happens to an operation in one of these."""
LIVE = tuple(state for state in State if state not in ENDED)

BY_STATUS = {
    Status.COMPLETED: State.COMPLETED,
    Status.FAILED: State.FAILED,
    Status.PAUSED: State.PAUSED,
    Status.CANCELLED: State.CANCELLED,
}
"""The states that the wire's status alone tells."""


def state_of(status: Status, goal: Goal, *, started: bool, held: bool) -> State:
    """An operation that goes back is `UNDOING` also while it waits for something."""
    if status in BY_STATUS:
        return BY_STATUS[status]
    if goal in BACK:
        return State.UNDOING
    if not started:
        return State.WAITING
    return State.HOLDING if held else State.RUNNING
