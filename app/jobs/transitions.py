"""What becomes of a job: when a phase has ended, failed, crashed or waits, when somebody asks
something of it, and at the end of a route. Pure: nothing is read or saved here."""

from __future__ import annotations

import random
from dataclasses import replace
from datetime import timedelta

from app.domain import clock
from app.domain.errors import ClusterTrouble, DocumentsDiffer, Failure
from app.domain.events import EventKind, Note
from app.domain.failure import FailureDetails
from app.domain.formatting import capped, duration_text, same_but_figures
from app.domain.holds import HoldCause
from app.domain.job import BACK, ENDS_AS, LIVE, PARKED_SECONDS, Goal, Job, Requested, Status
from app.domain.operation import Changes
from app.jobs.phases import Again, Done, Hold, J, Kind, Outcome, Phase
from app.jobs.verdicts import against_cancel
from app.telemetry import logger

log = logger(__name__)

LONGEST_LOOK = 2.0
FOLLOW_UP_SECONDS = 600.0
"""So long is the tidying after the swap retried before the operation is done with a warning."""

# --- the end of a phase


def ended(kind: Kind[J], job: J, phase: Phase[J], done: Done) -> Done:
    """A finished phase; with the last one of its route the job ends, or is put aside."""
    place: Changes = phase.finished()
    if job.goal is not Goal.FINISH:
        place = {"position_back": phase.name}
    changes: Changes = {**done.changes, **place, "attempts": 0, "crashes": 0}
    notes = list(done.notes)
    # Asked of the job as it will be: whether a later phase applies may go by what this one found.
    following = kind.routes[job.goal].after(phase.name, job.model_copy(update=dict(changes)))
    if following is None:
        changes |= _end_of_route(kind, job)
        notes += _aside_notes(job)
        # Of a job that is given back no window may stay: its copy is gone, and begins anew.
        done = replace(done, anew=job.goal is Goal.GIVE_BACK)
    if "status" in changes and changes["status"] not in LIVE:
        changes["ended_at"] = clock.now()
        notes.append(_end_note(job, job.goal, job.failure))
    return replace(done, changes=changes, notes=notes)


_ENDED = {
    Goal.FINISH: EventKind.COMPLETED,
    Goal.FAIL: EventKind.FAILED,
    Goal.CANCEL: EventKind.CANCELLED,
    Goal.ROLL_BACK: EventKind.ROLLED_BACK,
}


def _end_note(job: Job, goal: Goal, failure: FailureDetails | None) -> Note:
    after = {"class": failure.kind} if failure and goal is Goal.FAIL else None
    return Note(what=_ENDED[goal], index=job.index_name, after=after)


def _end_of_route(kind: Kind[J], job: J) -> Changes:
    """What is saved with the last phase of a route: the end, or that the job is put aside.

    The index takes writes after each but that to a pause.
    """
    aside: Changes = {"goal": Goal.FINISH, "position_back": ""}
    if job.goal is Goal.PAUSE:
        return {**aside, "status": Status.PAUSED, "suspended": True}
    aside["writes_blocked_since"] = None
    if job.goal is Goal.PARK:
        later = clock.now() + timedelta(seconds=PARKED_SECONDS)
        at = kind.parked_at(job)
        return {**aside, "suspended": True, "next_attempt_at": later, **at}
    if job.goal is Goal.GIVE_BACK:
        return {**aside, "started_at": None, **kind.as_not_begun(job)}
    return {"status": ENDS_AS[job.goal], "writes_blocked_since": None}


def _aside_notes(job: Job) -> list[Note]:
    """What is said of a job that was put aside: whether its index takes writes."""
    name = job.index_name
    if job.goal is Goal.PAUSE:
        blocked = job.writes_blocked_since is not None
        text = f"writes to {name} stay blocked until it goes on or is cancelled" if blocked else ""
        return [Note(what=EventKind.PAUSED, index=name, text=text)]
    if job.goal is Goal.PARK:
        later = f"after the others, in {PARKED_SECONDS:g} s at the earliest"
        text = f"{name} takes writes meanwhile; it is tried again {later}"
        return [Note(what=EventKind.PARKED, index=name, text=text)]
    if job.goal is Goal.GIVE_BACK:
        text = f"{name} takes writes; it is begun anew when its turn comes"
        return [Note(what=EventKind.GIVEN_BACK, index=name, text=text)]
    return []


# --- trouble


def failed(kind: Kind[J], job: J, phase: Phase[J], error: Failure) -> Outcome:
    """Turns back before the swap; after it, and on the way back, waits and tries again."""
    if _not_back_yet(kind, job):
        return _stays(job, error)
    if _can_turn_back(job):
        keep = isinstance(error, DocumentsDiffer)
        return turn_back(kind, job, phase, error, Goal.FAIL, keep=keep)
    cause = HoldCause.TIDYING_REFUSED
    if job.goal not in (Goal.FINISH, Goal.ROLL_BACK):
        cause = phase.refused
    hold = Hold(cause, error.message, backoff(job.attempts))
    return patient(kind, job, phase, hold)


def troubled(
    kind: Kind[J], job: J, phase: Phase[J], error: ClusterTrouble, *, answers: bool
) -> Outcome:
    """A hold for what the cluster is in. `answers`: it has answered another request just now."""
    cause = error.cause
    if cause is HoldCause.NO_ANSWER and not answers:
        cause = HoldCause.CLUSTER_UNREACHABLE
    hold = Hold(cause, error.message, backoff(job.attempts))
    return patient(kind, job, phase, hold)


def crashed(kind: Kind[J], job: J, phase: Phase[J], error: Exception) -> Outcome:
    """An unexpected exception: three attempts, then failed with nothing deleted that was copied."""
    reason = capped(f"unexpected {type(error).__name__}: {error}", 500)
    hold = Hold(HoldCause.CRASHED, reason, backoff(job.attempts))
    return patient(kind, job, phase, hold)


def patient(kind: Kind[J], job: J, phase: Phase[J], hold: Hold) -> Outcome:
    """`hold` itself, while it may be waited for; else its end.

    `Operation.crashes` counts the tries in a row that nothing outside is sure to have spoilt.
    """
    since = job.hold_since
    if hold.cause is HoldCause.TIDYING_REFUSED:
        over = since is not None and clock.elapsed(since) > FOLLOW_UP_SECONDS
        return _tidied(kind, job, phase, hold) if over else hold
    if hold.cause.patience is None:
        return hold
    tries = job.crashes + 1
    if tries < hold.cause.patience:
        return replace(hold, changes={**hold.changes, "crashes": tries})
    return _given_up(kind, job, phase, hold, tries)


def _given_up(kind: Kind[J], job: J, phase: Phase[J], hold: Hold, tries: int) -> Outcome:
    """The end of patience: the source gets its writes back, and the queue goes on."""
    failure = Failure(*_end_of_patience(hold, tries))
    if _not_back_yet(kind, job):
        return _stays(job, failure)
    suspending = job.goal in (Goal.PAUSE, Goal.PARK, Goal.GIVE_BACK)
    if suspending or _can_turn_back(job):
        # One that cannot even be put aside would keep its index blocked: it fails instead.
        keep = kind.keeps_result(job, hold.cause)
        return turn_back(kind, job, phase, failure, Goal.FAIL, keep=keep)
    if job.goal in BACK:
        return _left_out(kind, job, phase, hold)
    return patient(kind, job, phase, replace(hold, cause=HoldCause.TIDYING_REFUSED))


def _end_of_patience(hold: Hold, tries: int) -> tuple[str, str]:
    """The code and the message of the failure that `hold` becomes."""
    if hold.cause is HoldCause.CRASHED:
        return "unexpected", f"{hold.reason}. This is a fault of Reindex Queue; see its log."
    return hold.cause.value, f"{hold.reason.rstrip('.')}. It was tried {tries} times."


def _tidied(kind: Kind[J], job: J, phase: Phase[J], hold: Hold) -> Done:
    """After the swap nothing rolls back, so what cannot be tidied up is told and left."""
    text = f"the copy is in place, but the tidying afterwards did not succeed: {hold.reason}"
    note = Note(what=EventKind.WARNING, index=job.index_name, text=text)
    return ended(kind, job, phase, Done(notes=[note]))


def _left_out(kind: Kind[J], job: J, phase: Phase[J], hold: Hold) -> Done:
    """A phase of the way back that cannot be done is left out, so that those behind it are."""
    left, left_changes = phase.left_out(job)
    changes: Changes = {**left_changes}
    text = f"{hold.reason.rstrip('.')}. That was given up, so {left}: look at it."
    if job.error_message:
        changes["error_message"] = capped(f"{job.error_message} {text}")
    note = Note(what=EventKind.UNDO_GIVEN_UP, index=job.index_name, text=text)
    return ended(kind, job, phase, Done(changes, notes=[note]))


def _can_turn_back(job: Job) -> bool:
    return job.goal is Goal.FINISH and not job.past_return


def _not_back_yet(kind: Kind[J], job: J) -> bool:
    """True for a rollback before the phase from which it does not return."""
    if job.goal is not Goal.ROLL_BACK:
        return False
    route = kind.routes[Goal.ROLL_BACK]
    return not any(
        phase.past_return and route.has_passed(job.position_back, phase.name) for phase in route
    )


def _stays(job: Job, error: Failure) -> Outcome:
    """A rollback that cannot be: the job stays completed."""
    note = Note(what=EventKind.ROLLBACK_REFUSED, index=job.index_name, text=error.message)
    return Again(_stay_completed(), notes=[note])


def turn_back(
    kind: Kind[J],
    job: J,
    phase: Phase[J],
    error: Failure,
    goal: Goal,
    *,
    keep: bool = False,
) -> Outcome:
    message = capped(error.message)
    failure = kind.explained(job, error, phase.name)
    changes: Changes = {
        "goal": goal,
        # The way back begins at its first phase, whatever was done: where a phase finds nothing to
        # undo it is done.
        "position_back": "",
        "error_code": error.code,
        "error_message": message,
        "failure": failure,
        "keep_target": keep,
    }
    after = {"class": failure.kind}
    notes = [Note(what=EventKind.TURNED_BACK, index=job.index_name, text=message, after=after)]
    if not [*kind.routes[goal]]:  # there is nothing to undo
        changes["status"], changes["ended_at"] = ENDS_AS[goal], clock.now()
        notes.append(_end_note(job, goal, failure))
    # With the hold its tries are over: those in vain on the way forward cost the way back none.
    return Again(cleared(changes), notes=notes)


# --- holds


def held(job: Job, hold: Hold) -> Changes:
    now = clock.now()
    return {
        "hold_reason": hold.reason,
        # Of the first look: patience, parking and giving back count from there.
        "hold_since": job.hold_since or now,
        "attempts": job.attempts + 1,
        "next_attempt_at": now + timedelta(seconds=hold.retry_after),
        **hold.changes,
    }


def hold_notes(job: Job, hold: Hold) -> list[Note]:
    if same_hold(hold.reason, job.hold_reason):
        return list(hold.notes)
    log.warning("operation_holds", operation=job.id, reason=hold.reason)
    note = Note(
        what=EventKind.HOLDS, index=job.index_name, text=hold.reason, after={"cause": hold.cause}
    )
    return [*hold.notes, note]


def blocks_for_long(job: Job, seconds: float) -> Note | None:
    """That a hold has kept writes blocked for so long: when it comes to that, or holds anew.

    `job` as it was before the look that has just been saved.
    """
    since = job.writes_blocked_since
    if not seconds or since is None or clock.elapsed(since) < seconds:
        return None
    # The last look was saved at `updated_at`. Where it was that long then, it was told then.
    told = clock.elapsed(since) - clock.elapsed(job.updated_at) >= seconds
    if told and job.hold_reason is not None:
        return None
    lasts = duration_text(clock.elapsed(since))
    text = f"it holds, and {job.source_name} has taken no writes for {lasts}"
    return Note(what=EventKind.WRITES_BLOCKED_FOR_LONG, index=job.index_name, text=text)


def growing(pause: float, attempts: int) -> float:
    """Seconds: a short pause is longer each time, up to two seconds."""
    return max(pause, min(LONGEST_LOOK, pause * 1.3 ** min(attempts, 20)))


def backoff(attempts: int) -> float:
    """Seconds until the next try: doubling from 1 to 30, each between half and whole of that."""
    # With jitter: what has met the same trouble at one time does not come back at one time.
    most: float = min(30.0, 2.0 ** min(attempts, 5))
    return most * random.uniform(0.5, 1.0)  # noqa: S311 - jitter, not a secret


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


# --- what somebody asks for


def granted(job: Job) -> tuple[Changes, list[Note]]:
    """What a requested action changes: nothing after the swap; on the way aside only a cancel
    changes something.

    A rollback can be cancelled until it takes hold of the new index.
    """
    requested, name = job.requested, job.index_name
    if requested is Requested.CANCEL and against_cancel(job) is None:
        if job.goal is Goal.ROLL_BACK:
            return _stay_completed(), [Note(what=EventKind.ROLLBACK_CANCELLED, index=name)]
        changes: Changes = {"goal": Goal.CANCEL, "position_back": "", "status": Status.IN_PROGRESS}
        return cleared(changes), [Note(what=EventKind.CANCELLING, index=name)]
    if requested is Requested.PAUSE and job.goal is Goal.FINISH and not job.past_cancel:
        return cleared({"goal": Goal.PAUSE, "position_back": ""}), [
            Note(what=EventKind.PAUSING, index=name)
        ]
    if requested is Requested.RETRY and job.hold_reason is not None:
        now: Changes = {"next_attempt_at": None, "attempts": 0, "given_back_at": None}
        return now, [Note(what=EventKind.TRIED_AGAIN, index=name)]
    return {}, []


def comes_later(job: Job) -> bool:
    """True for a pause of a job that is being parked or given back: granted once it is."""
    aside = job.goal in (Goal.PARK, Goal.GIVE_BACK)
    return aside and job.requested is Requested.PAUSE


def _stay_completed() -> Changes:
    """The end of a rollback that is none."""
    return cleared(
        {
            "goal": Goal.FINISH,
            "position_back": "",
            "status": Status.COMPLETED,
            "ended_at": clock.now(),
        }
    )
