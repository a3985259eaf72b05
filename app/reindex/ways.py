"""The ways of an operation: what is done after each step, and on the way back or aside."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from app.domain.operation import Goal, Operation, Outcome, Step, Work
from app.elastic.cluster import Cluster
from app.reindex.steps.copy import copy, plan_copy
from app.reindex.steps.create_target import create_target
from app.reindex.steps.finish import finish
from app.reindex.steps.keep import drop_kept
from app.reindex.steps.prepare import prepare
from app.reindex.steps.restore_settings import restore_settings
from app.reindex.steps.roll_back import ready_kept, restore_kept, swap_back
from app.reindex.steps.source import restore_source
from app.reindex.steps.swap import swap
from app.reindex.steps.undo import drop_target, end_tasks, take_marker
from app.reindex.steps.write_block import write_block

StepFunction = Callable[[Work, Cluster], Awaitable[Outcome]]

STEPS: dict[Step, StepFunction] = {
    Step.CREATED: write_block,
    Step.READONLY: create_target,
    Step.NEW_INDEX_CREATED: plan_copy,
    Step.REINDEX_STARTED: copy,
    Step.REINDEX_COMPLETED: restore_settings,
    Step.INDEX_SETTINGS_RESTORED: swap,
    Step.ALIAS_CREATED: finish,
}
"""What is done after each completed step, in order."""

JOINED = frozenset({Step.READONLY, Step.NEW_INDEX_CREATED})
"""Completed steps that need no save of their own: the next entry begins by looking, and what it
does may be done again. They are saved with its outcome. Before the swap there is a save, which
brings the latest wish with it."""

WAYS: dict[Goal, tuple[StepFunction, ...]] = {
    Goal.FAIL: (end_tasks, drop_target, drop_kept, restore_source),
    Goal.CANCEL: (end_tasks, drop_target, drop_kept, restore_source),
    Goal.PAUSE: (end_tasks,),
    Goal.PARK: (end_tasks, drop_kept, take_marker, restore_source),
    Goal.GIVE_BACK: (end_tasks, drop_target, drop_kept, restore_source),
    Goal.ROLL_BACK: (ready_kept, swap_back, restore_kept),
}
"""The way back, or aside, in order; `Operation.undone` counts the finished entries."""


def entry(operation: Operation) -> StepFunction:
    if operation.goal is Goal.FINISH:
        return STEPS[operation.last_completed_step]
    return WAYS[operation.goal][operation.undone]


def doing(operation: Operation) -> str:
    """The entry that is being done, by the name of its function."""
    if operation.last_completed_step is Step.CREATED and operation.target_uuid is None:
        return prepare.__name__
    return STEPS[operation.last_completed_step].__name__
