"""A copy that may not go on now: stopped by a person, or outside of its hours."""

from __future__ import annotations

from dataclasses import replace

from app.domain import clock
from app.domain.holds import HoldCause
from app.domain.operation import Again, Goal, Hold, Note, Operation, Outcome, Step
from app.domain.pace import Limit
from app.domain.proof import ProofLevel
from app.elastic.cluster import Cluster
from app.reindex.copying.flight import Flight, end_strays

LONGEST_HOLD = 30.0
"""Seconds until the next look; a change that somebody asks for is noticed sooner."""


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


def halts(operation: Operation, flight: Flight, limit: Limit) -> bool:
    """True where the copy has to stop now. Outside of the hours a brief proof is still done."""
    if limit.closed is None:
        return False
    brief = flight.landed and operation.proof_level is not ProofLevel.FULL
    return limit.stopped or not brief


async def halt(flight: Flight, limit: Limit, cluster: Cluster) -> Outcome:
    """Ends the tasks in a way that can be taken up again: what is done stays done.

    That the running windows run again is saved before their tasks are cancelled: a cancelled task
    that a window still waits for would be taken for a person's doing.
    """
    notes = [*flight.notes]
    if running := flight.running:
        for window in running:
            flight.put(window.to_run_again())
        name = flight.operation.index_name
        notes.append(Note(what="copy stops", index=name, text=limit.closed or ""))
        return Again({}, list(flight.changed.values()), notes)
    changed = list(flight.changed.values())
    if await end_strays(flight, cluster):
        return Again({}, changed, notes, after=0.3)
    return replace(_hold(flight.operation, limit), windows=changed, notes=notes)


def _hold(operation: Operation, limit: Limit) -> Hold:
    """Nobody else could go on where everything is stopped, and what is copied would be lost."""
    begun = operation.source is not None and not operation.unblocked
    blocked = f"; writes to {operation.source_name} stay blocked" if begun else ""
    wait = LONGEST_HOLD
    if limit.until is not None:
        left = (limit.until - clock.now()).total_seconds()
        wait = min(wait, max(left, 0.1))
    text = f"{limit.closed}{blocked}"
    return Hold(HoldCause.STOPPED, text, wait, patient=limit.stopped or begun)
