"""A copy that may not go on now: stopped by a person, or outside of its hours."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from app.copying.flight import Flight
from app.copying.tasks import still_to_come
from app.copying.window_tasks import end_all
from app.domain import clock
from app.domain.events import EventKind, Note
from app.domain.holds import HoldCause
from app.domain.operation import FULL_UP_TO, Operation, ProofLevel
from app.domain.pace import Limit
from app.domain.windows import Window, WindowState
from app.elastic.cluster import Cluster
from app.jobs.phases import Again, Hold, Outcome, Work

LONGEST_HOLD = 30.0
"""Seconds until the next look; a change that somebody asks for is noticed sooner."""
SOON = 1.0
LAST_POLL = 2.0
"""Seconds between two looks at what is going on, at most."""


def strained(limit: Limit) -> Hold | None:
    """What is waited for while the health gate lets nothing start."""
    if limit.ill is None:
        return None
    reason = f"the health gate lets nothing start: {limit.ill}"
    return Hold(HoldCause.CLUSTER_STRAINED, reason, LAST_POLL, patient=True)


def halts(operation: Operation, flight: Flight, limit: Limit) -> bool:
    """True where the copy has to stop now. Outside of the hours a brief proof is still done."""
    if limit.closed is None:
        return False
    return limit.stopped or not is_nearly_done(operation, [*flight.windows.values()])


def is_nearly_done(operation: Operation, windows: Sequence[Window]) -> bool:
    """Everything is copied, and the proof takes seconds."""
    if not all(window.state is WindowState.DONE for window in windows):
        return False
    few = sum(window.documents for window in windows) <= FULL_UP_TO.documents
    return few or operation.proof_level is not ProofLevel.FULL


async def halt(flight: Flight, work: Work[Operation], cluster: Cluster) -> Outcome:
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
        notes.append(Note(what=EventKind.COPY_STOPS, index=name, text=limit.closed or ""))
        return Again({}, list(flight.changed.values()), notes)
    changed = list(flight.changed.values())
    found = await end_all(flight, cluster)
    if found.running:
        return Again({}, changed, notes, after=0.3)
    hold = replace(stopped(flight.operation, limit), windows=changed, notes=notes)
    waits = await still_to_come(work, found, cluster)
    return replace(hold, retry_after=min(hold.retry_after, SOON)) if waits else hold


def stopped(operation: Operation, limit: Limit) -> Hold:
    """Nobody else could go on where everything is stopped, and what is copied would be lost."""
    begun = operation.writes_blocked
    blocked = f"; writes to {operation.source_name} stay blocked" if begun else ""
    wait = LONGEST_HOLD
    if limit.until is not None:
        left = (limit.until - clock.now()).total_seconds()
        wait = min(wait, max(left, 0.1))
    text = f"{limit.closed}{blocked}"
    return Hold(HoldCause.STOPPED, text, wait, patient=limit.stopped or begun)
