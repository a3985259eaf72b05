"""The kind of job that rewrites an index in place: its routes, in order, and what is special to it.

Forward: read-only, new index, copy, proof, alias swap. Before the swap there is a way back to the
source as it was found, after it one to the kept copy, if one was made.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

from app.domain.errors import Failure, ReindexQueueError
from app.domain.failure import FailureDetails
from app.domain.holds import HoldCause
from app.domain.operation import REWRITE, Changes, Operation, Step
from app.domain.state import Goal
from app.jobs.phases import Done, Hold, Outcome, Phase, PhaseFunction, Route, Work
from app.upgrades import failures, lost_target
from app.upgrades.held_back import held_back
from app.upgrades.steps.copy import copy, plan_copy
from app.upgrades.steps.create_target import create_target
from app.upgrades.steps.finish import finish
from app.upgrades.steps.keep import drop_kept, keep
from app.upgrades.steps.positions import TO_THE_BEGINNING, PhaseName
from app.upgrades.steps.prepare import prepare
from app.upgrades.steps.prove import prove
from app.upgrades.steps.restore_settings import restore_settings
from app.upgrades.steps.roll_back import ready_kept, restore_kept, swap_back
from app.upgrades.steps.source import restore_source
from app.upgrades.steps.swap import swap
from app.upgrades.steps.undo import drop_target, end_tasks, take_marker
from app.upgrades.steps.write_block import wait_to_block, write_block


def _is_in_use(operation: Operation) -> bool:
    """It takes writes, as far as the operation goes."""
    return operation.unblocked


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
        return failures.details(job, error, _TOLD_AS.get(phase, phase))

    def keeps_result(self, job: Operation, cause: HoldCause) -> bool:
        """Only after a crash: before the copy there is nothing to keep but the empty target."""
        copied = job.last_completed_step >= Step.REINDEX_STARTED
        return copied and cause is HoldCause.CRASHED

    def parked_at(self, job: Operation) -> Changes:
        made = job.source is not None and job.target_uuid is not None
        return {
            "position": PhaseName.PREPARE if made else "",
            "last_completed_step": Step.CREATED,
            "unblocked": job.source is not None,
        }

    def as_not_begun(self, job: Operation) -> Changes:
        return {
            **TO_THE_BEGINNING,
            "reindex_task_id": None,
            "reindex_task_perc_complete": None,
            "source": None,
            "source_seq_nos": None,
            "target_uuid": None,
            "unblocked": False,
            "proving": None,
            "proof": None,
            "given_back": job.given_back + 1,
        }
