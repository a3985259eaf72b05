"""The tables, and the way from rows to domain values. Rows stay inside this package."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any, cast

from sqlalchemy import (
    JSON,
    BigInteger,
    CheckConstraint,
    CursorResult,
    Executable,
    Index,
    Integer,
    MetaData,
    Text,
    text,
)
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlmodel import Field, SQLModel

from app.domain.job import Job
from app.domain.operation import REWRITE, Operation
from app.store.trouble import translating

NAMING = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
    "pk": "pk_%(table_name)s",
}


class Table(SQLModel):
    # Each table says its name as a text, as SQLModel documents it; but SQLModel's types know only
    # the function that makes a name up.
    metadata = MetaData(naming_convention=NAMING)


JSON_OR_NULL: Any = JSON(none_as_null=True)
# Conditions for queries, too: SQLite takes a partial index only for its own words.
REWRITES = text(f"kind = '{REWRITE}'")
LIVE_REWRITES = text(f"kind = '{REWRITE}' AND status IN (0, 3)")
ENDED_REWRITES = text(f"kind = '{REWRITE}' AND status IN (1, 2, 4)")
"""Operations: what lists show, what Kibana's routes answer, and what reserves an index."""
LIVE_ROWS = text("status IN (0, 3)")
WAITING_ROWS = text("status = 0")
IN_HAND_ROWS = text("status = 0 AND started_at IS NOT NULL")
KEPT_ROWS = text("kept_until IS NOT NULL")
"""Jobs of every kind, as are these; only a rewrite has a kept copy."""
ENDED_ROWS = text("ended_at IS NOT NULL")
NOT_REVOKED_ROWS = text("revoked_at IS NULL")
"""Tokens."""
BUT_SMALL_ROWS = text("lane <> 'small'")
"""Nothing is asked of a small job while it runs, and it keeps nobody waiting."""


class ClusterStateRow(Table, table=True):
    """One row a cluster: the lease, and the counters. Every writing transaction locks it first."""

    __tablename__ = "cluster_state"  # pyright: ignore[reportAssignmentType] - see `Table`

    cluster_id: str = Field(primary_key=True, max_length=64)
    token: str | None = Field(default=None, max_length=64)
    owner: str | None = Field(default=None, max_length=255)
    expires_at: datetime | None = None
    lease_seconds: float | None = None
    last_event: int = Field(default=0, sa_type=BigInteger)
    last_queued_at: int = Field(default=0, sa_type=BigInteger)
    stop_all: bool = False
    stop: dict[str, Any] | None = Field(default=None, sa_type=JSON_OR_NULL)
    pace: dict[str, Any] | None = Field(default=None, sa_type=JSON_OR_NULL)
    health: dict[str, Any] | None = Field(default=None, sa_type=JSON_OR_NULL)
    pruning: dict[str, Any] | None = Field(default=None, sa_type=JSON_OR_NULL)
    cluster_uuid: str | None = Field(default=None, max_length=64)
    term: int = Field(default=0, sa_type=BigInteger)
    writer: str | None = Field(default=None, max_length=64)
    conflict: dict[str, Any] | None = Field(default=None, sa_type=JSON_OR_NULL)
    adopted: dict[str, Any] | None = Field(default=None, sa_type=JSON_OR_NULL)


class InstanceRow(Table, table=True):
    """One row: the id of the whole database, made with it. A copy of the database has it, too."""

    __tablename__ = "instance"  # pyright: ignore[reportAssignmentType] - see `Table`
    __table_args__ = (CheckConstraint("number = 1", name="number"),)

    number: int = Field(default=1, primary_key=True)
    id: str = Field(max_length=32)
    made_at: datetime


class BatchRow(Table, table=True):
    """Operations that were posted together, and the names that were refused."""

    __tablename__ = "batch"  # pyright: ignore[reportAssignmentType] - see `Table`
    __table_args__ = (
        Index("uq_batch_idempotency_key", "cluster_id", "idempotency_key", unique=True),
    )

    id: str = Field(primary_key=True, max_length=32)
    cluster_id: str = Field(max_length=64, index=True)
    caller: str = Field(max_length=255)
    created_at: datetime
    idempotency_key: str | None = Field(default=None, max_length=255)
    request_hash: str | None = Field(default=None, max_length=64)
    refused: list[dict[str, str]] = Field(default_factory=list, sa_type=JSON_OR_NULL)
    allowed: list[str] | None = Field(default=None, sa_type=JSON_OR_NULL)
    pace: dict[str, Any] | None = Field(default=None, sa_type=JSON_OR_NULL)


class JobRow(Table, table=True):
    """A job; `app.domain.job.Job` says what the fields mean, `app.domain.operation.Operation` those
    that only a rewrite has. What no list shows and no query asks for is in `record`."""

    __tablename__ = "job"  # pyright: ignore[reportAssignmentType] - see `Table`
    __table_args__ = (
        CheckConstraint("status IN (0, 1, 2, 3, 4)", name="status"),
        CheckConstraint("lane IN ('queue', 'beside', 'copies', 'small')", name="lane"),
        # SQLite takes the one made last among equals: the narrowest come last (migration, too)
        # what a rewrite reserves: at most one that lives an index, and no two that would fill one
        # target; a job of another kind is bound by its claims alone
        Index(
            "uq_job_live_index",
            "cluster_id",
            "index_name",
            unique=True,
            sqlite_where=LIVE_REWRITES,
            postgresql_where=LIVE_REWRITES,
        ),
        Index(
            "uq_job_live_target",
            "cluster_id",
            "new_index_name",
            unique=True,
            sqlite_where=LIVE_REWRITES,
            postgresql_where=LIVE_REWRITES,
        ),
        # the batch first: the foreign key looks for it alone when a batch is removed
        Index("ix_job_batch", "batch_id", "cluster_id", "status"),
        Index("ix_job_history", "cluster_id", "index_name", "queued_at"),
        Index(
            "ix_job_place",
            "cluster_id",
            "queued_at",
            sqlite_where=REWRITES,
            postgresql_where=REWRITES,
        ),
        # the head of a lane is the first entry of this index, however long the history is
        Index(
            "ix_job_lane",
            "cluster_id",
            "lane",
            "queued_at",
            sqlite_where=WAITING_ROWS,
            postgresql_where=WAITING_ROWS,
        ),
        Index(
            "ix_job_live",
            "cluster_id",
            "queued_at",
            sqlite_where=LIVE_ROWS,
            postgresql_where=LIVE_ROWS,
        ),
        Index(
            "ix_job_ended",
            "cluster_id",
            "status",
            "queued_at",
            "kind",  # so that they are counted from the index alone
            sqlite_where=ENDED_REWRITES,
            postgresql_where=ENDED_REWRITES,
        ),
        Index(
            "ix_job_in_hand",
            "cluster_id",
            "lane",
            "queued_at",
            sqlite_where=IN_HAND_ROWS,
            postgresql_where=IN_HAND_ROWS,
        ),
        # the kept copies that are there, by their end
        Index(
            "ix_job_kept",
            "cluster_id",
            "kept_until",
            sqlite_where=KEPT_ROWS,
            postgresql_where=KEPT_ROWS,
        ),
        # what ended first is pruned first
        Index(
            "ix_job_ended_at",
            "cluster_id",
            "ended_at",
            "id",
            sqlite_where=ENDED_ROWS,
            postgresql_where=ENDED_ROWS,
        ),
    )

    id: str = Field(primary_key=True, max_length=32)
    cluster_id: str = Field(max_length=64)
    kind: str = Field(max_length=32)
    batch_id: str | None = Field(default=None, max_length=32, foreign_key="batch.id")
    caller: str = Field(max_length=255)
    caller_state: dict[str, Any] | None = Field(default=None, sa_type=JSON_OR_NULL)
    lane: str = Field(max_length=16)
    index_name: str = Field(max_length=255)
    concrete_name: str | None = Field(default=None, max_length=255)
    queued_at: int = Field(sa_type=BigInteger)
    started_at: int | None = Field(default=None, sa_type=BigInteger)
    status: int = Field(default=0, sa_type=Integer)
    goal: str = Field(default="finish", max_length=16)
    requested: str = Field(default="", max_length=16)
    position: str = Field(default="", max_length=32)
    position_back: str = Field(default="", max_length=32)
    past_return: bool = False
    suspended: bool = False
    keep_target: bool = False
    hold_reason: str | None = Field(default=None, sa_type=Text)
    hold_since: datetime | None = None
    attempts: int = 0
    crashes: int = 0
    next_attempt_at: datetime | None = None
    writes_blocked_since: datetime | None = None
    given_back: int = 0
    given_back_at: datetime | None = None
    error_code: str | None = Field(default=None, max_length=128)
    error_message: str | None = Field(default=None, sa_type=Text)
    failure: dict[str, Any] | None = Field(default=None, sa_type=JSON_OR_NULL)
    pace: dict[str, Any] | None = Field(default=None, sa_type=JSON_OR_NULL)
    request: dict[str, Any] | None = Field(default=None, sa_type=JSON_OR_NULL)
    result: dict[str, Any] | None = Field(default=None, sa_type=JSON_OR_NULL)
    created_at: datetime
    updated_at: datetime
    ended_at: datetime | None = None
    version: int = 0
    # of a rewrite, and shown in lists or asked for
    new_index_name: str | None = Field(default=None, max_length=255)
    keeps_source: bool = False
    delete_old_index: bool | None = None
    mode: str | None = Field(default=None, max_length=32)
    proof_level: str = Field(default="sample", max_length=16)
    leaves_followers: bool = False
    last_completed_step: int = Field(default=0, sa_type=Integer)
    reindex_task_id: str | None = Field(default=None, max_length=255)
    reindex_task_perc_complete: float | None = None
    kept: dict[str, Any] | None = Field(default=None, sa_type=JSON_OR_NULL)
    kept_until: datetime | None = None
    record: dict[str, Any] | None = Field(default=None, sa_type=JSON_OR_NULL)


class ClaimRow(Table, table=True):
    """An index that a job uses now: `exclusive`, or beside others that only read it."""

    __tablename__ = "claim"  # pyright: ignore[reportAssignmentType] - see `Table`

    cluster_id: str = Field(primary_key=True, max_length=64)
    index_name: str = Field(primary_key=True, max_length=255)
    job_id: str = Field(primary_key=True, max_length=32, foreign_key="job.id", index=True)
    exclusive: bool


class WindowRow(Table, table=True):
    """One part of a copy; `app.domain.windows.Window` says what the fields mean."""

    __tablename__ = "copy_window"  # pyright: ignore[reportAssignmentType] - see `Table`
    __table_args__ = (CheckConstraint("state IN ('planned', 'running', 'done')", name="state"),)

    job_id: str = Field(primary_key=True, max_length=32, foreign_key="job.id")
    number: int = Field(primary_key=True)
    cluster_id: str = Field(max_length=64)
    shard: int
    from_seq_no: int | None = Field(default=None, sa_type=BigInteger)
    to_seq_no: int | None = Field(default=None, sa_type=BigInteger)
    documents: int = Field(sa_type=BigInteger)
    batch: int = Field(default=1_000)
    paced: int | None = None
    rate: float | None = None
    state: str = Field(max_length=16)
    attempt: int = 1
    failures: int = Field(default=0)
    task_id: str | None = Field(default=None, max_length=255)
    task_started: int | None = Field(default=None, sa_type=BigInteger)
    seen: int = Field(default=0, sa_type=BigInteger)
    started_at: datetime | None = None
    ended_at: datetime | None = None
    spec: dict[str, Any] | None = Field(default=None, sa_type=JSON_OR_NULL)
    repeatable: bool = True


class EventRow(Table, table=True):
    """What happened; added, and removed when it is old. `number` grows in the order of the commits.

    Job and batch are no foreign keys: an event may outlive both (`app.store.pruning`)."""

    __tablename__ = "event"  # pyright: ignore[reportAssignmentType] - see `Table`
    __table_args__ = (Index("ix_event_job", "job_id", "number"),)

    cluster_id: str = Field(primary_key=True, max_length=64)
    number: int = Field(primary_key=True, sa_type=BigInteger)
    job_id: str | None = Field(default=None, max_length=32)
    batch_id: str | None = Field(default=None, max_length=32)
    at: datetime
    who: str = Field(max_length=255)
    what: str = Field(max_length=64)
    index_name: str | None = Field(default=None, max_length=255)
    text: str = Field(default="", sa_type=Text)
    before: Any = Field(default=None, sa_type=JSON_OR_NULL, nullable=True)
    after: Any = Field(default=None, sa_type=JSON_OR_NULL, nullable=True)


class SessionRow(Table, table=True):
    """A page that is logged in; `app.domain.session.PageSession` says what the fields mean."""

    __tablename__ = "session"  # pyright: ignore[reportAssignmentType] - see `Table`
    __table_args__ = (Index("ix_session_caller", "caller", "created_at"),)

    digest: str = Field(primary_key=True, max_length=64)
    caller: str = Field(max_length=255)
    created_at: datetime
    last_used_at: datetime
    authorization: str | None = Field(default=None, sa_type=Text)


class TokenRow(Table, table=True):
    """What programs log in with; `app.domain.token.Token` says what the fields mean.

    `digest`: of the secret, which is stored nowhere.
    """

    __tablename__ = "token"  # pyright: ignore[reportAssignmentType] - see `Table`
    __table_args__ = (
        Index("uq_token_digest", "digest", unique=True),
        # a name can be given again once its token is revoked
        Index(
            "uq_token_name",
            "name",
            unique=True,
            sqlite_where=NOT_REVOKED_ROWS,
            postgresql_where=NOT_REVOKED_ROWS,
        ),
    )

    id: str = Field(primary_key=True, max_length=32)
    name: str = Field(max_length=64)
    digest: str = Field(max_length=64)
    role: str = Field(max_length=16)
    clusters: list[str] | None = Field(default=None, sa_type=JSON_OR_NULL)
    indices: list[str] | None = Field(default=None, sa_type=JSON_OR_NULL)
    created_at: datetime
    created_by: str = Field(max_length=255)
    expires_at: datetime | None = None
    revoked_at: datetime | None = None
    revoked_by: str | None = Field(default=None, max_length=255)
    last_used_at: datetime | None = None


class WebhookRow(Table, table=True):
    """What is told of events; `app.domain.webhook.SealedWebhook` says what the fields mean.

    Address and keys are sealed: `Seal` with the purposes of `app.webhooks.sealed`.
    """

    __tablename__ = "webhook"  # pyright: ignore[reportAssignmentType] - see `Table`
    __table_args__ = (Index("uq_webhook_name", "name", unique=True),)

    id: str = Field(primary_key=True, max_length=32)
    name: str = Field(max_length=64)
    host: str = Field(max_length=300)
    kinds: list[str] | None = Field(default=None, sa_type=JSON_OR_NULL)
    is_on: bool = True
    off_reason: str | None = Field(default=None, sa_type=Text)
    created_at: datetime
    created_by: str = Field(max_length=255)
    rotated_at: datetime | None = None
    sealed_url: str = Field(sa_type=Text)
    sealed_key: str = Field(sa_type=Text)
    sealed_old_key: str | None = Field(default=None, sa_type=Text)


class WebhookPlaceRow(Table, table=True):
    """How far a webhook is in the event log of a cluster; `app.domain.webhook.WebhookPlace`."""

    __tablename__ = "webhook_place"  # pyright: ignore[reportAssignmentType] - see `Table`

    webhook_id: str = Field(
        primary_key=True, max_length=32, foreign_key="webhook.id", ondelete="CASCADE"
    )
    cluster_id: str = Field(primary_key=True, max_length=64)
    number: int = Field(default=0, sa_type=BigInteger)
    skipped: int = Field(default=0, sa_type=BigInteger)
    trouble: str | None = Field(default=None, sa_type=Text)
    failing_since: datetime | None = None
    delivered_at: datetime | None = None


Models = Mapping[str, type[Job]]
"""By kind, the class of its jobs; those of a kind that is not there are plain jobs."""

OPERATIONS_ONLY: Models = {REWRITE: Operation}
WHOLE_JOB: Any = JobRow
"""For `returning`, whose types do not know the class of a table, though it takes one."""
_COLUMNS = frozenset(JobRow.model_fields) - {"record"}


def job_of(row: Mapping[Any, Any], models: Models) -> Job:
    """A job of the class of its kind, with its record."""
    fields = dict(row)
    record: dict[str, Any] = fields.pop("record") or {}
    model = models.get(fields["kind"], Job)
    return model.model_validate({**record, **fields})


def operation_of(row: Mapping[Any, Any]) -> Operation:
    """Of a row that is known to be of a rewrite."""
    return cast(Operation, job_of(row, OPERATIONS_ONLY))


def columns_of(job: Job, changes: Mapping[str, Any]) -> dict[str, Any]:
    """What is changed as column values: enums as what they are stored as, models as JSON. A field
    without a column is stored with the others of the record."""
    columns = {key: plain_values(value) for key, value in changes.items() if key in _COLUMNS}
    if changes.keys() - _COLUMNS:
        columns["record"] = record_of(job.model_copy(update=dict(changes)))
    return columns


def record_of(job: Job) -> dict[str, Any] | None:
    """The fields that have no column; None where they say nothing."""
    names = set(type(job).model_fields) - _COLUMNS
    return job.model_dump(mode="json", include=names, exclude_defaults=True) or None


def plain_values(value: Any) -> Any:
    if isinstance(value, list):
        return [plain_values(one) for one in cast(list[Any], value)]
    dump = getattr(value, "model_dump", None)
    return dump(mode="json") if dump else getattr(value, "value", value)


async def read_rows(reader: AsyncEngine, query: Executable) -> list[dict[str, Any]]:
    """Rows by column name, without the ORM: it would take half of the time of a long list."""
    async with _reading(reader, query) as found:
        keys = list(found.keys())
        return [dict(zip(keys, row, strict=True)) for row in found]


async def read_tuples(reader: AsyncEngine, query: Executable) -> Sequence[Sequence[Any]]:
    """Rows as bare as they come."""
    async with _reading(reader, query) as found:
        return found.all()


@asynccontextmanager
async def _reading(reader: AsyncEngine, query: Executable) -> AsyncGenerator[CursorResult[Any]]:
    with translating():
        async with reader.connect() as connection:
            yield await connection.execute(query)
