"""An operation without its records: what lists show of thousands of them."""

from __future__ import annotations

from datetime import datetime

from app.domain.job import LIVE, Lane, Record, Requested
from app.domain.kept import Kept
from app.domain.operation import Operation, Step
from app.domain.proof import ProofLevel
from app.domain.state import Goal, Pending, State, Status, state_of


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
