"""What is done instead of a phase while everything is stopped, or outside of the hours."""

from __future__ import annotations

from collections.abc import Sequence

from app.copying.halting import is_nearly_done, stopped, strained
from app.domain.errors import Failure
from app.domain.events import EventKind, Note
from app.domain.operation import Operation, Step
from app.domain.pace import Limit
from app.domain.state import Goal
from app.domain.windows import Window
from app.jobs.phases import Again, Hold, Outcome, Work
from app.upgrades.steps.positions import PhaseName

MOST_GIVEN_BACK = 3
"""So often is a copy begun that the hours are too short for."""


def held_back(work: Work[Operation], phase: str) -> Outcome | None:
    """What is done instead of `phase` under the pace in force; None: the phase is called.

    Outside of the hours nothing begins, but what has been copied is finished: its index gets its
    writes back. A stop stops that, too; not the tidying after the swap, and no way back. The copy
    itself halts in its own way.

    Raises `Failure` where the hours have been too short several times.
    """
    operation, limit = work.job, work.limit
    if instead := _given_back(operation, work.windows, limit):
        return instead
    if operation.goal is not Goal.FINISH or operation.past_return or phase == PhaseName.COPY:
        return None
    if phase == PhaseName.PROVE:
        return _proof_held_back(work)
    copied = operation.last_completed_step > Step.REINDEX_STARTED
    if limit.closed is None or (copied and not limit.stopped):
        return None
    return stopped(operation, limit)


def _proof_held_back(work: Work[Operation]) -> Hold | None:
    """A proof that takes seconds is done outside of the hours, too; none on a strained cluster."""
    operation, limit = work.job, work.limit
    if limit.closed is not None and (limit.stopped or not is_nearly_done(operation, work.windows)):
        return stopped(operation, limit)
    return strained(limit)


def _given_back(operation: Operation, windows: Sequence[Window], limit: Limit) -> Outcome | None:
    """What the end of the hours makes of a blocked index that is to take writes again then, or
    None: its copy is thrown away. What is copied whole is finished instead.

    Raises `Failure` where the hours have been too short for it several times.
    """
    name = operation.index_name
    if not limit.gives_back or operation.goal is not Goal.FINISH:
        return None
    if operation.last_completed_step > Step.REINDEX_STARTED or (
        windows and is_nearly_done(operation, windows)
    ):
        return None
    if operation.given_back + 1 >= MOST_GIVEN_BACK:
        raise Failure(
            "hours_too_short",
            f"The hours for copies ended {MOST_GIVEN_BACK} times before {name} was copied, so its "
            "copy was thrown away each time.",
        )
    note = Note(what=EventKind.GIVING_BACK, index=name, text=limit.closed or "")
    return Again({"goal": Goal.GIVE_BACK, "position_back": ""}, notes=[note])
