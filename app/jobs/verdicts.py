"""Whether the state of an operation allows what a person asks. Pure: an operation in, word out."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, auto

from app.domain.errors import CannotCancel, NotCopying, NotInProgress
from app.domain.job import BACK, Action, Goal, Job, Requested, Status, Verdict


@dataclass(frozen=True)
class Objection:
    """Why it is not done. `so_already`: it is as it was asked for, or about to be."""

    verdict: Verdict
    message: str
    so_already: bool = False


class Against(Enum):
    """What stands against cancelling a job.

    `SWAPPED`: the new index has the name, or a rollback has begun to take the new index out of use.
    """

    COMPLETED = auto()
    ENDED = auto()
    SWAPPED = auto()
    FAILING = auto()
    CANCELLING = auto()


def against_cancel(job: Job) -> Against | None:
    """None where it can be cancelled: the one rule, for both APIs and for the worker, which grants
    the action later. That it was requested already does not stand against it.
    """
    if job.status is Status.COMPLETED:
        return Against.COMPLETED
    if not job.live:
        return Against.ENDED
    if job.past_cancel:
        return Against.SWAPPED
    return _GOES_BACK.get(job.goal)


_GOES_BACK = {Goal.FAIL: Against.FAILING, Goal.CANCEL: Against.CANCELLING}


def objection(action: Action, job: Job) -> Objection | None:
    """What stands against it, None where nothing does. Not for a rollback: `objections` knows."""
    return _RULES[action](job)


def cancel_refusal(job: Job) -> CannotCancel | None:
    """The same rule as Kibana words it. One that goes back already may be cancelled once more."""
    match against_cancel(job):
        case Against.COMPLETED | Against.ENDED:
            return NotInProgress()
        case Against.SWAPPED:
            return NotCopying()
        case _:
            return None


def _to_cancel(job: Job) -> Objection | None:
    match against_cancel(job):
        case Against.COMPLETED:
            return _late(f"It is too late to cancel: {sentence(job)}")
        case Against.ENDED:
            return _idle(f"The operation has ended: it is {status_word(job)}.")
        case Against.SWAPPED:
            return _late("It is too late to cancel: the other index has the name already.")
        case Against.FAILING:
            return _so("It goes back already, because it failed.")
        case Against.CANCELLING:
            return _so(_CANCELLING)
        case None:
            return _so(_CANCELLING) if job.requested is Requested.CANCEL else None


_CANCELLING = "It is being cancelled already."


def _to_pause(job: Job) -> Objection | None:
    if job.status is Status.PAUSED:
        return _so("It is paused already.")
    if job.status is Status.COMPLETED:
        return _late(f"It is too late to pause: {sentence(job)}")
    if not job.live or job.goal in (*BACK, Goal.ROLL_BACK):
        return _idle(f"Only an operation that is going on can be paused; {sentence(job)}")
    if job.past_cancel:
        return _late("It is too late to pause: the new index has the name already.")
    if job.requested is Requested.CANCEL:
        return _idle(f"Only an operation that is going on can be paused; {sentence(job)}")
    if job.goal is Goal.PAUSE or job.requested is Requested.PAUSE:
        return _so("It is being paused already.")
    return None


def _to_resume(job: Job) -> Objection | None:
    if job.status is Status.PAUSED:
        return None
    if job.goal is Goal.PAUSE:
        return _idle(f"{job.index_name} is being paused. Resume it once it is.")
    if job.live and job.requested is Requested.PAUSE:
        return None
    return _idle(f"Only a paused operation can be resumed; {sentence(job)}")


def _to_retry(job: Job) -> Objection | None:
    ended = job.status in (Status.FAILED, Status.CANCELLED)
    if ended and job.goal is not Goal.ROLL_BACK:
        return None
    if job.requested in (Requested.CANCEL, Requested.PAUSE):
        return _idle(f"Its {job.requested} comes first; {sentence(job)}")
    if job.status is Status.IN_PROGRESS and job.hold_reason is not None:
        return None
    return _idle(
        "Only an operation that failed, was cancelled or waits for something can be tried "
        f"again; {sentence(job)}"
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


def status_word(job: Job) -> str:
    """Its status as people say it."""
    if job.goal is Goal.ROLL_BACK:
        return "rolled back" if job.status is Status.CANCELLED else "being rolled back"
    if job.live and (job.goal in BACK or job.requested is Requested.CANCEL):
        return "on its way back"
    return job.status.name.lower().replace("_", " ")


def sentence(job: Job) -> str:
    return f"{job.index_name} is {status_word(job)}."
