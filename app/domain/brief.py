"""An operation without its records: what lists show of thousands of them, and Kibana's queue."""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple

from app.domain.job import LIVE, Goal, Lane, Pending, Record, Requested, State, Status, state_of
from app.domain.operation import Kept, Operation, ProofLevel, Source, Step


class Brief(Record):
    """The fields of `Operation` by the same names, but for what only the machine needs."""

    id: str
    batch_id: str | None
    caller: str
    index_name: str
    new_index_name: str
    keeps_source: bool
    mode: str | None
    proof_level: ProofLevel
    status: Status
    last_completed_step: Step
    lane: Lane
    queued_at: int
    started_at: int | None
    goal: Goal
    requested: Requested
    suspended: bool
    writes_blocked_since: datetime | None
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
    kept: Kept | None
    kept_until: datetime | None

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
            suspended=self.suspended,
        )

    @property
    def writes_blocked(self) -> bool:
        """True where it keeps its index from being written to."""
        return self.status in LIVE and self.writes_blocked_since is not None

    @property
    def pending(self) -> Pending | None:
        """What somebody asked for that is not done yet."""
        if self.status not in LIVE:
            return None
        if self.requested is Requested.CANCEL or self.goal is Goal.CANCEL:
            return Pending.CANCELLING
        if self.requested is Requested.PAUSE or self.goal is Goal.PAUSE:
            return Pending.PAUSING
        return Pending.ROLLING_BACK if self.goal is Goal.ROLL_BACK else None


class QueueEntry(NamedTuple):
    """The fields of `Operation` by the same names, as bare numbers and texts where it has an enum.

    There can be ten thousand in one answer: a plain tuple is made in a tenth of the time.
    `updated_at` and `source` are None for one that was not started.
    """

    index_name: str
    new_index_name: str
    status: int
    last_completed_step: int
    lane: str
    queued_at: int
    started_at: int | None
    updated_at: datetime | None
    reindex_task_id: str | None
    reindex_task_perc_complete: float | None
    error_message: str | None
    delete_old_index: bool | None
    mode: str | None
    source: Source | None
