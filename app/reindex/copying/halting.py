"""A copy that may not go on now: stopped by a person, or outside of its hours."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from app.domain import clock
from app.domain.errors import Failure
from app.domain.holds import HoldCause
from app.domain.operation import Again, Goal, Hold, Note, Operation, Outcome, Step, Work
from app.domain.pace import Limit
from app.domain.proof import FULL_UP_TO, ProofLevel
from app.domain.windows import Window, WindowState
from app.elastic.cluster import Cluster
from app.reindex.copying.flight import Flight, end_all
from app.reindex.copying.tasks import still_to_come

MOST_GIVEN_BACK = 3
"""So often is a copy begun that the hours are too short for."""
LONGEST_HOLD = 30.0
"""Seconds until the next look; a change that somebody asks for is noticed sooner."""
SOON = 1.0


def halt_before(operation: Operation, limit: Limit) -> Hold | None:
    """What keeps any other entry than the copy from being called now.

    Outside of the hours nothing begins, but what has been copied is finished: its index gets its
    writes back. A stop stops that, too; not the tidying after the swap, and no way back.
    """
    step = operation.last_completed_step
    if limit.closed is None or operation.goal is not Goal.FINISH or step >= Step.ALIAS_CREATED:
        return None
    if step is Step.REINDEX_STARTED or (step > Step.REINDEX_STARTED and not limit.stopped):
        return None
    return _hold(operation, limit)


def give_back(operation: Operation, windows: Sequence[Window], limit: Limit) -> Outcome | None:
    """What the end of the hours makes of a blocked index that is to take writes again then, or
    None: its copy is thrown away. What is copied whole is finished instead.

    Raises `Failure` where the hours have been too short for it several times.
    """
    name = operation.index_name
    if not limit.gives_back or operation.goal is not Goal.FINISH:
        return None
    if operation.last_completed_step > Step.REINDEX_STARTED or (
        windows and _is_nearly_done(operation, windows)
    ):
        return None
    if operation.given_back + 1 >= MOST_GIVEN_BACK:
        raise Failure(
            "hours_too_short",
            f"The hours for copies ended {MOST_GIVEN_BACK} times before {name} was copied, so its "
            "copy was thrown away each time.",
        )
    note = Note(what="giving back", index=name, text=limit.closed or "")
    return Again({"goal": Goal.GIVE_BACK, "undone": 0}, notes=[note])


def halts(operation: Operation, flight: Flight, limit: Limit) -> bool:
    """True where the copy has to stop now. Outside of the hours a brief proof is still done."""
    if limit.closed is None:
        return False
    return limit.stopped or not _is_nearly_done(operation, [*flight.windows.values()])


def _is_nearly_done(operation: Operation, windows: Sequence[Window]) -> bool:
    """Everything is copied, and the proof takes seconds."""
    if not all(window.state is WindowState.DONE for window in windows):
        return False
    few = sum(window.documents for window in windows) <= FULL_UP_TO.documents
    return few or operation.proof_level is not ProofLevel.FULL


async def halt(flight: Flight, work: Work, cluster: Cluster) -> Outcome:
    """Ends the tasks in a way that can be taken up again: what is done stays done.

    That the running windows run again is saved before their tasks are cancelled: a cancelled task
    that a window still waits for would be taken for a person's doing. It is looked again soon for
    as long as another may begin, or come back with its node.
    """
    limit = work.limit
    notes = [*flight.notes]
    if running := flight.running:
        for window in running:
            flight.give_up(window)
        name = flight.operation.index_name
        notes.append(Note(what="copy stops", index=name, text=limit.closed or ""))
        return Again({}, list(flight.changed.values()), notes)
    changed = list(flight.changed.values())
    found = await end_all(flight, cluster)
    if found.running:
        return Again({}, changed, notes, after=0.3)
    hold = replace(_hold(flight.operation, limit), windows=changed, notes=notes)
    waits = await still_to_come(work, found, cluster)
    return replace(hold, retry_after=min(hold.retry_after, SOON)) if waits else hold


def _hold(operation: Operation, limit: Limit) -> Hold:
    """Nobody else could go on where everything is stopped, and what is copied would be lost."""
    begun = operation.writes_blocked
    blocked = f"; writes to {operation.source_name} stay blocked" if begun else ""
    wait = LONGEST_HOLD
    if limit.until is not None:
        left = (limit.until - clock.now()).total_seconds()
        wait = min(wait, max(left, 0.1))
    text = f"{limit.closed}{blocked}"
    return Hold(HoldCause.STOPPED, text, wait, patient=limit.stopped or begun)
