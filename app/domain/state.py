"""The state of an operation: Kibana's status, where it is heading, and both in one word."""

from __future__ import annotations

from enum import IntEnum, StrEnum


class Status(IntEnum):
    """Kibana's `ReindexStatus`; a waiting operation is also `IN_PROGRESS`."""

    IN_PROGRESS = 0
    COMPLETED = 1
    FAILED = 2
    PAUSED = 3
    CANCELLED = 4


class Goal(StrEnum):
    """Where an operation is heading: forward, back by way of its list, or aside for a while.

    `PARK`: its copy stays, for later; `GIVE_BACK`: as if it had not begun. `ROLL_BACK`: after its
    end, back to the kept copy.
    """

    FINISH = "finish"
    FAIL = "fail"
    CANCEL = "cancel"
    PAUSE = "pause"
    PARK = "park"
    GIVE_BACK = "give_back"
    ROLL_BACK = "roll_back"


BACK = (Goal.FAIL, Goal.CANCEL)
"""The goals of an operation that ends without a swap."""


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
