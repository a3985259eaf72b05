"""The shapes of the service itself: its worker, and what the doctor has found."""

from __future__ import annotations

from typing import Literal

from app.domain.job import State
from app.wire.notation import Wire
from app.wire.operations import LimitReport, OperationSummary


class RoleReport(Wire):
    """Who has the right to work off the queue."""

    holder: str | None
    """Host and process of the service that works. null: nobody does."""
    mine: bool
    """True: it is this service."""


class ElasticsearchReport(Wire):
    """The cluster, as this service reaches it."""

    reachable: bool
    """False: `error` says why."""
    versions: list[str]
    """The versions of the nodes, oldest first."""
    error: str | None
    """Why it cannot be reached."""


class WorkerAnswer(Wire):
    """Who works, and what there is to do.

    `state` and `error` are of this service's worker; the rest is the same on every service.
    """

    state: Literal["starting", "standby", "idle", "working", "restarting", "stopped"]
    """`standby`: another service has the role. `restarting`: after an error."""
    error: str | None
    """Why it starts again."""
    role: RoleReport
    """Who has the right to work off the queue."""
    waits_for: str | None
    """Why nothing moves, in a sentence. null: something does, or there is nothing to do."""
    queue_length: int
    """All operations that have not ended and are not paused."""
    counts: dict[State, int]
    """How many operations are in each state."""
    head: OperationSummary | None
    """The first of the batch queue."""
    in_hand: list[OperationSummary]
    """What is started and has not ended."""
    pace: LimitReport
    """In force for an operation that has none of its own."""
    elasticsearch: ElasticsearchReport
    """The cluster, as this service reaches it."""
    database: Literal["sqlite", "postgresql"]
    """Where the queue is kept."""
    version: str
    """Of this service."""


class CheckReport(Wire):
    """One thing that the doctor has looked at."""

    name: str
    """What was looked at."""
    verdict: Literal["ok", "warning", "wrong", "unknown"]
    """`unknown`: it could not be looked at."""
    finding: str
    """What was found, in words."""
    remedy: str | None
    """What to do, in words. null: there is nothing to do."""


class DoctorAnswer(Wire):
    """What is wrong, and how to mend it."""

    healthy: bool
    """True: no check is wrong."""
    version: str
    """Of this service."""
    checks: list[CheckReport]
    """All that was looked at."""
