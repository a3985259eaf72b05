"""A job: what is queued, taken by the worker, and walked through the phases of its kind; its
state in one word, and what a person may ask of it."""

from __future__ import annotations

from datetime import datetime
from enum import IntEnum, StrEnum
from typing import Any

from pydantic import BaseModel, ConfigDict

from app.domain.failure import FailureDetails
from app.domain.names import IndexName
from app.domain.reach import Reach


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
        return self in ENDED_STATES


class Pending(StrEnum):
    """A requested action that is being granted."""

    CANCELLING = "cancelling"
    PAUSING = "pausing"
    ROLLING_BACK = "rollingBack"


ENDED_STATES = (State.COMPLETED, State.FAILED, State.CANCELLED, State.ROLLED_BACK)
"""Nothing more happens to an operation in one of these."""
LIVE_STATES = tuple(state for state in State if state not in ENDED_STATES)

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


LIVE = (Status.IN_PROGRESS, Status.PAUSED)
"""An index has at most one operation in one of these."""
PARKED_SECONDS = 60.0
"""After so long an operation that has made room for others is tried again, when all that wait have
had their turn."""


class Lane(StrEnum):
    """Where a job waits for its turn, in `queued_at` order."""

    QUEUE = "queue"
    """One at a time: batches."""
    BESIDE = "beside"
    """A few at a time, beside the queue: what was started by name."""
    COPIES = "copies"
    """A few at a time, beside the others: copies for a caller. No kind uses it yet."""
    SMALL = "small"
    """Small jobs, for which nothing else waits, and which are in no list."""


WAYS_BACK = (*BACK, Goal.PARK, Goal.GIVE_BACK, Goal.ROLL_BACK)
LONG_HELD = 7
"""So often must a way back have held, in about half a minute, before the queue passes it by."""
ENDS_AS = {
    Goal.FINISH: Status.COMPLETED,
    Goal.FAIL: Status.FAILED,
    Goal.CANCEL: Status.CANCELLED,
    Goal.ROLL_BACK: Status.CANCELLED,
}


class Requested(StrEnum):
    """What somebody asked of a started job; the worker grants it between two phases."""

    NONE = ""
    CANCEL = "cancel"
    PAUSE = "pause"
    RETRY = "retry"


class Record(BaseModel):
    model_config = ConfigDict(frozen=True)


class Job(Record):
    """What every kind shares. Times are UTC."""

    id: str
    cluster_id: str
    kind: str
    """The name of its kind, by which its routes are found."""
    batch_id: str | None = None
    caller: str
    lane: Lane = Lane.QUEUE
    index_name: IndexName
    """The index that it is about, as it was asked for."""
    concrete_name: IndexName | None = None
    """The index behind `index_name` where that is the alias of a kept copy, since a rollback."""
    queued_at: int
    """Milliseconds, strictly increasing: the only order of a lane."""
    started_at: int | None = None
    """Milliseconds; None: it waits for its turn."""

    status: Status = Status.IN_PROGRESS
    goal: Goal = Goal.FINISH
    requested: Requested = Requested.NONE
    position: str = ""
    """The phase that was finished last on the route to the end, by its name; empty before the
    first."""
    position_back: str = ""
    """The same of the route to `goal`, where that is another."""
    past_return: bool = False
    """A phase is finished from which nothing rolls back by itself."""
    suspended: bool = False
    """It was begun, but is not in hand (it was paused or parked): the one that is goes first."""
    keep_target: bool = False
    """What it made stays for a person to look at."""

    hold_reason: str | None = None
    hold_since: datetime | None = None
    attempts: int = 0
    crashes: int = 0
    """Tries in a row that nothing outside is sure to have spoilt (`HoldCause.patience`)."""
    next_attempt_at: datetime | None = None
    writes_blocked_since: datetime | None = None
    """None while the index takes writes, as far as this job goes."""
    given_back: int = 0
    """So often it was begun and given back."""
    given_back_at: datetime | None = None
    """When last, because it held for long."""
    error_code: str | None = None
    error_message: str | None = None
    failure: FailureDetails | None = None
    """The details of `error_message`."""

    allowed: tuple[str, ...] | None = None
    """The patterns of the names that its caller may work on; None: every name. It has no column."""
    request: dict[str, Any] | None = None
    """What was asked for beside the index, in the words of its kind."""
    result: dict[str, Any] | None = None
    """What its client is answered, in the words of its kind."""
    created_at: datetime
    updated_at: datetime
    ended_at: datetime | None = None
    version: int = 0
    """Grows with every save; what was read at another one is outdated."""

    @property
    def source_name(self) -> IndexName:
        """The concrete index that it is about."""
        return self.concrete_name or self.index_name

    @property
    def reach(self) -> Reach:
        """Of its caller, when it was asked for."""
        return Reach(self.allowed)

    @property
    def history(self) -> str:
        """The id of the job in whose history its events are told: the one that it is about, if it
        is a small job about another, else its own."""
        return (self.request or {}).get("operation", self.id)

    @property
    def live(self) -> bool:
        return self.status in LIVE

    @property
    def writes_blocked(self) -> bool:
        """True where it keeps its index from being written to."""
        return self.live and self.writes_blocked_since is not None

    @property
    def copies(self) -> bool:
        """It copies documents now: it has a share in what may be copied at once."""
        return False

    def bytes_a_document(self, planned: int) -> float:
        """Of its source's primaries on disk, where `planned` documents are to be copied; 0 where
        that is not known."""
        del planned
        return 0.0

    @property
    def past_cancel(self) -> bool:
        """True where a cancel comes too late: after the swap, and in a rollback that has begun to
        take the new index out of use."""
        if self.goal is Goal.ROLL_BACK:
            return self.position_back != ""
        return self.past_return

    @property
    def runs(self) -> bool:
        """True where the machine has something to do on it, also a cancel of a paused one."""
        cancelled = self.status is Status.PAUSED and self.requested is Requested.CANCEL
        return self.status is Status.IN_PROGRESS or cancelled

    @property
    def gives_way(self) -> bool:
        """It is on a way back that does not get on: the queue does not wait for it."""
        return self.goal in WAYS_BACK and self.attempts >= LONG_HELD


def end_of(job: Job) -> State:
    """The state of a job that is not live any more."""
    return state_of(job.status, job.goal, started=True, held=False, suspended=False)


class Action(StrEnum):
    """What a person can ask of an operation that is there."""

    CANCEL = "cancel"
    PAUSE = "pause"
    RESUME = "resume"
    RETRY = "retry"
    ROLL_BACK = "rollback"


class Verdict(StrEnum):
    """What became of it. `CHANGED`: done, or soon; `UNCHANGED`: there is nothing to be changed."""

    CHANGED = "changed"
    UNCHANGED = "unchanged"
    TOO_LATE = "tooLate"
    REFUSED = "refused"
