"""Pruning: what of the history is removed when it is old enough, and how far that is."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from pydantic import BaseModel, ConfigDict

from app.domain import clock

NEWEST_COMPLETED = 50
"""So many completed operations always stay: estimates are made of them."""
KEY_TIME = timedelta(days=7)
"""So long is a batch found again by its idempotency key, and stays with all of its operations."""
MOST_ROWS = 500
"""In one transaction; whoever wants to save something waits for no more than that."""


class Stage(StrEnum):
    """What is looked through, in this order."""

    JOBS = "jobs"
    BATCHES = "batches"
    EVENTS = "events"
    AUDIT = "audit"


class Removed(BaseModel):
    """So many rows of each table."""

    model_config = ConfigDict(frozen=True)

    batches: int = 0
    jobs: int = 0
    windows: int = 0
    events: int = 0

    def __add__(self, other: Removed) -> Removed:
        sums = {name: getattr(self, name) + getattr(other, name) for name in Removed.model_fields}
        return Removed(**sums)

    @property
    def rows(self) -> int:
        return self.batches + self.jobs + self.windows + self.events


class Pruning(BaseModel):
    """One pass over the history; saved with each piece, so that any worker goes on with it.

    What ended before `before` is removed, and of it what the audit needs where it happened before
    `audit_before`, which is never later. `place`: how far `stage` is. `ended_at` None: it goes on.
    """

    model_config = ConfigDict(frozen=True)

    by: str
    asked_at: datetime
    before: datetime
    audit_before: datetime
    stage: Stage = Stage.JOBS
    place: tuple[str, str] | None = None
    removed: Removed = Removed()
    ended_at: datetime | None = None


@dataclass(frozen=True)
class Retention:
    """How long history stays, in days. `history` None: for ever, unless somebody asks."""

    history: float | None
    audit: float

    def pruning(self, by: str, days: float) -> Pruning:
        """A pass that removes what is older than `days`.

        Ages are judged by the least advanced setting of the clock that this process has seen: a
        clock that was set far ahead for a moment must not make everything old.
        """
        now = clock.earliest()
        before = now - timedelta(days=days)
        audit_before = min(before, now - timedelta(days=self.audit))
        return Pruning(by=by, asked_at=clock.now(), before=before, audit_before=audit_before)
