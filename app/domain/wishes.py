"""What a person asks of operations that are there, and what becomes of it."""

from __future__ import annotations

from enum import StrEnum


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
