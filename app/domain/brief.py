"""An operation without its records: what lists show of thousands of them."""

from __future__ import annotations

from datetime import datetime

from app.domain.operation import Goal, Operation, Record, Status, Step, Wish
from app.domain.state import State, state_of


class Brief(Record):
    """The fields of `Operation` by the same names, but for what only the machine needs."""

    id: str
    batch_id: str | None
    caller: str
    index_name: str
    new_index_name: str
    keeps_source: bool
    mode: str | None
    status: Status
    last_completed_step: Step
    single: bool
    queued_at: int
    started_at: int | None
    goal: Goal
    requested: Wish
    reindex_task_perc_complete: float | None
    error_code: str | None
    error_message: str | None
    hold_reason: str | None
    hold_since: datetime | None
    attempts: int
    next_attempt_at: datetime | None
    created_at: datetime
    updated_at: datetime
    ended_at: datetime | None

    @classmethod
    def of(cls, operation: Operation) -> Brief:
        return cls.model_validate(operation, from_attributes=True)

    @property
    def state(self) -> State:
        return state_of(
            self.status,
            self.goal,
            started=self.started_at is not None,
            held=self.hold_reason is not None,
        )
