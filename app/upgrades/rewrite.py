"""The kind of job that rewrites an index in place: its routes, in order, what is special to it,
and what is done instead of a phase while everything is stopped or outside of the hours."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial

from app.copying.halting import is_nearly_done, stopped, strained
from app.domain.errors import Failure, ReindexQueueError
from app.domain.events import EventKind, Note
from app.domain.failure import FailureDetails
from app.domain.holds import HoldCause
from app.domain.job import Goal
from app.domain.operation import REWRITE, Changes, Operation, Step
from app.domain.pace import Limit
from app.domain.windows import Window
from app.jobs.phases import Again, Done, Hold, Outcome, Phase, PhaseFunction, Route, Work
from app.upgrades import failures, lost_target
from app.upgrades.steps.copy import copy, plan_copy
from app.upgrades.steps.finish import finish, restore_settings
from app.upgrades.steps.guard import restore_source
from app.upgrades.steps.positions import TO_THE_BEGINNING, PhaseName
from app.upgrades.steps.prepare import prepare
from app.upgrades.steps.prove import prove
from app.upgrades.steps.roll_back import ready_kept, restore_kept, swap_back
from app.upgrades.steps.swap import drop_kept, keep, swap
from app.upgrades.steps.target import create_target
from app.upgrades.steps.undo import drop_target, end_tasks, take_marker
from app.upgrades.steps.write_block import wait_to_block, write_block

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


def _is_in_use(operation: Operation) -> bool:
    """It takes writes, as far as the operation goes."""
    return operation.source_writable


def _keeps(operation: Operation) -> bool:
    return operation.keep and not operation.keeps_source


FORWARD = Route(
    Phase(PhaseName.PREPARE, prepare),
    Phase(PhaseName.WAIT_TO_BLOCK, wait_to_block, applies=_is_in_use),
    Phase(PhaseName.WRITE_BLOCK, write_block, Step.READONLY, joined=True),
    Phase(PhaseName.CREATE_TARGET, create_target, Step.NEW_INDEX_CREATED, joined=True),
    Phase(PhaseName.PLAN_COPY, plan_copy, Step.REINDEX_STARTED),
    Phase(PhaseName.COPY, copy, joined=True, watches=True),
    Phase(PhaseName.PROVE, prove, Step.REINDEX_COMPLETED),
    Phase(PhaseName.RESTORE_SETTINGS, restore_settings, Step.INDEX_SETTINGS_RESTORED),
    Phase(PhaseName.KEEP, keep, applies=_keeps),
    Phase(PhaseName.SWAP, swap, Step.ALIAS_CREATED, past_return=True),
    Phase(PhaseName.FINISH, finish),
)


def _target_left(operation: Operation) -> tuple[str, Changes]:
    """It stays where it cannot be removed, or where a task may still write to it."""
    return f"{operation.new_index_name} may be left", {"keep_target": True}


def _kept_left(_: Operation) -> tuple[str, Changes]:
    return "the kept copy may be left", {}


def _still_blocked(operation: Operation) -> tuple[str, Changes]:
    return f"{operation.source_name} may still refuse writes", {}


END_TASKS = Phase(PhaseName.END_TASKS, end_tasks, watches=True, left_out=_target_left)
DROP_TARGET = Phase(PhaseName.DROP_TARGET, drop_target, left_out=_target_left)
DROP_KEPT = Phase(PhaseName.DROP_KEPT, drop_kept, left_out=_kept_left)
RESTORE_SOURCE = Phase(
    PhaseName.RESTORE_SOURCE,
    restore_source,
    refused=HoldCause.RESTORE_REFUSED,
    left_out=_still_blocked,
)
BACK = Route(END_TASKS, DROP_TARGET, DROP_KEPT, RESTORE_SOURCE)


_TOLD_AS: dict[str, str] = {
    PhaseName.WAIT_TO_BLOCK: PhaseName.WRITE_BLOCK,
    PhaseName.PROVE: PhaseName.COPY,
    PhaseName.KEEP: PhaseName.SWAP,
    PhaseName.FINISH: PhaseName.SWAP,
}
"""The step that clients are told, where a phase has none of its own."""


class Rewrite:
    name = REWRITE
    routes: Mapping[Goal, Route[Operation]] = {
        Goal.FINISH: FORWARD,
        Goal.FAIL: BACK,
        Goal.CANCEL: BACK,
        Goal.GIVE_BACK: BACK,
        Goal.PAUSE: Route(END_TASKS),
        Goal.PARK: Route(
            END_TASKS,
            DROP_KEPT,
            Phase(PhaseName.TAKE_MARKER, take_marker, left_out=_still_blocked),
            RESTORE_SOURCE,
        ),
        Goal.ROLL_BACK: Route(
            Phase(PhaseName.READY_KEPT, ready_kept),
            Phase(PhaseName.SWAP_BACK, swap_back, past_return=True),
            Phase(PhaseName.RESTORE_KEPT, restore_kept),
        ),
    }

    def held_back(self, work: Work[Operation], phase: Phase[Operation]) -> Outcome | None:
        return held_back(work, phase.name)

    def remedy(self, hold: Hold, job: Operation) -> PhaseFunction[Operation] | None:
        if not lost_target.may_be(job):
            return None
        return partial(lost_target.instead_of, hold)

    def answered(self, _job: Operation, _error: ReindexQueueError, /) -> Done | None:
        return None

    def explained(self, job: Operation, error: Failure, phase: str, /) -> FailureDetails:
        """By the step as clients know it, also where it was met on a way aside."""
        if job.goal is not Goal.FINISH and (forward := FORWARD.after(job.position, job)):
            phase = forward.name
        return failures.failure_details(job, error, _TOLD_AS.get(phase, phase))

    def keeps_result(self, job: Operation, cause: HoldCause) -> bool:
        """Only after a crash: before the copy there is nothing to keep but the empty target."""
        copied = job.last_completed_step >= Step.REINDEX_STARTED
        return copied and cause is HoldCause.CRASHED

    def parked_at(self, job: Operation) -> Changes:
        made = job.source is not None and job.target_uuid is not None
        return {
            "position": PhaseName.PREPARE if made else "",
            "last_completed_step": Step.CREATED,
            "source_writable": job.source is not None,
        }

    def as_not_begun(self, job: Operation) -> Changes:
        return {
            **TO_THE_BEGINNING,
            "reindex_task_id": None,
            "reindex_task_perc_complete": None,
            "source": None,
            "source_seq_nos": None,
            "target_uuid": None,
            "source_writable": False,
            "proving": None,
            "proof": None,
            "given_back": job.given_back + 1,
        }
