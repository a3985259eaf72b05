"""The wire models of `/api/v1`: camelCase, string states, every key always there."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

from app.api.patterns import PAGE
from app.api.schemas import without_nul
from app.api.v1.failure_schemas import FailureReport
from app.api.v1.wire import Time, Wire
from app.domain.proof import ProofLevel
from app.domain.state import Pending, State

MOST_A_PAGE = 500


Sought = Annotated[str, AfterValidator(without_nul)]
StepName = Literal[
    "created",
    "readonly",
    "newIndexCreated",
    "reindexStarted",
    "reindexCompleted",
    "indexSettingsRestored",
    "aliasCreated",
]


class OperationQuery(BaseModel):
    """The parameters of the list."""

    model_config = ConfigDict(alias_generator=to_camel, extra="forbid")

    state: list[State] = Field(default=[], description="Only these states; may be repeated")
    index: Sought | None = Field(default=None, description="Only operations of this index")
    batch: Sought | None = Field(default=None, description="Only operations of this batch")
    order: Literal["asc", "desc"] = Field(
        default="asc", description="asc: in the order of the queue; desc: the newest first"
    )
    limit: int = Field(default=100, ge=1, le=MOST_A_PAGE)
    after: str | None = Field(default=None, pattern=PAGE, description="`next` of the page before")
    counts: bool = Field(
        default=False,
        description="With how many are in each state; `index` and `batch` apply, `state` does not",
    )


class Held(Wire):
    """What the operation waits for; it tries again by itself."""

    reason: str
    since: Time | None
    attempts: int
    next_attempt_at: Time | None


class Fault(Wire):
    """`code` is for programs, `message` for people."""

    code: str | None
    message: str


class ProgressReport(Wire):
    """Of the copy. `fraction`: 0 to 1, of an operation never back. Speeds: documents a second.

    `bytesTotal`: of the old index on disk, without replicas; 0 where it is not known. `bytesDone`
    keeps in step with the documents. `speed`: of the last ten seconds; `overallSpeed`: since the
    start, pauses included. `etaSeconds`: until the copy is done, most likely between
    `etaLowSeconds` and `etaHighSeconds`; null below 1 % and while it does not move.
    """

    fraction: float
    documents_done: int
    documents_total: int
    bytes_done: int
    bytes_total: int
    windows_done: int
    windows_total: int
    speed: float | None
    overall_speed: float | None
    eta_seconds: float | None
    eta_low_seconds: float | None
    eta_high_seconds: float | None


class LimitReport(Wire):
    """The pace in force, the tightest of all that is set, and why, in words.

    `requestsPerSecond`: documents a second of the operation, null where there is no limit.
    `windowsInFlight`: so many parts are copied at once; 0: the health gate lets nothing start.
    `closed`: nothing is copied now, `until`: when the hours open or close next. `limits`: those
    parts of `reason` that slow copies down: a rate, fewer windows than the settings say, hours, a
    stop, the health gate; empty where nothing does.
    """

    requests_per_second: float | None
    windows_in_flight: int
    closed: bool
    until: Time | None
    reason: str
    limits: list[str]


class KeptCopy(Wire):
    """A clone of the old index for a rollback.

    `planned`: it is made before the swap; `kept`: it is there, until `until` at least; `restored`:
    it has the old name again; `removed`: it is gone.
    """

    index: str
    state: Literal["planned", "kept", "restored", "removed"]
    until: Time | None


class OperationSummary(Wire):
    """One index on its way.

    `step`: the last one that is finished. `state`: `waiting` was not started, `holding` waits for
    something outside, `undoing` goes back. `queued`: in the batch queue, else it was started by
    name and runs beside it. `error`: why it failed, or turned back. `progress`: null before the
    copy is planned. `keepsOldIndex`: the old index stays under its name and only its aliases move.
    `keptCopy`: null where none was asked for. `proofLevel`: what was asked for. `pending`: what
    somebody asked for that is not done yet. `writesBlocked`: its index takes no writes, because of
    this operation, `writesBlockedSince`: since when. `pace`: null after its end.
    """

    id: str
    index_name: str
    new_index_name: str
    state: State
    step: StepName
    queued: bool
    batch_id: str | None
    caller: str
    keeps_old_index: bool
    kept_copy: KeptCopy | None
    proof_level: ProofLevel
    mode: str | None
    cancel_requested: bool
    pending: Pending | None
    writes_blocked: bool
    writes_blocked_since: Time | None
    hold: Held | None
    error: Fault | None
    progress: ProgressReport | None
    pace: LimitReport | None
    queued_at: Time
    created_at: Time
    started_at: Time | None
    updated_at: Time
    ended_at: Time | None


class OperationList(Wire):
    """`next`: the `after` of the page that follows; null on the last one."""

    operations: list[OperationSummary]
    next: str | None
    counts: dict[State, int] | None


class CopyWindow(Wire):
    """A part of the copy: the sequence numbers from `fromSeqNo` up to `toSeqNo` of one shard.

    null is an open end. `documents`: expected in it; `seen`: handled so far; `batch`: documents
    that are taken at a time. `taskId`: null where the window was small enough to do without a task.
    """

    number: int
    shard: int
    from_seq_no: int | None
    to_seq_no: int | None
    state: Literal["planned", "running", "done"]
    documents: int
    seen: int
    batch: int
    attempt: int
    task_id: str | None
    started_at: Time | None
    ended_at: Time | None


class ProofReport(Wire):
    """What was seen on both sides when the copy was proven complete.

    `compared`: of so many documents more was compared than their number.
    """

    level: ProofLevel
    documents: int
    compared: int
    lucene_documents: int
    source_seq_nos: list[int]
    target_seq_nos: list[int]
    at: Time


class ProvingReport(Wire):
    """How far a full comparison has come. `compared` begins anew where the sums of both sides
    differ: then each document is looked for, to name what differs."""

    compared: int
    documents: int


class EventReport(Wire):
    """`before` and `after`: what a change to the cluster changed."""

    number: int
    at: Time
    who: str
    what: str
    index_name: str | None
    text: str
    before: Any
    after: Any


class OperationDetails(OperationSummary):
    """`events`: the newest 500, oldest first. `proving`: while every document is compared.

    `failure`: null where it has not failed, or failed before there were details.
    """

    failure: FailureReport | None
    proving: ProvingReport | None
    proof: ProofReport | None
    windows: list[CopyWindow]
    events: list[EventReport]


class RefusedIndex(Wire):
    """`code` is for programs, `message` for people."""

    index: str
    code: str
    message: str

    @classmethod
    def of(cls, entry: Mapping[str, str]) -> RefusedIndex:
        """From how a batch remembers it."""
        return cls(index=entry["index"], code=entry["code"], message=entry["message"])


class NewBatchAnswer(Wire):
    """`operations` in the order in which they are worked off."""

    id: str
    operations: list[OperationSummary]
    refused: list[RefusedIndex]


class BatchReport(Wire):
    """`total`: its operations; one that was posted again later belongs to the later batch.

    `progress`: of all together, but for those that failed or were cancelled. `notCounted`: so many
    indices that wait do not tell their size: they are not in it, and it has no estimate.
    """

    id: str
    caller: str
    created_at: Time
    total: int
    counts: dict[State, int]
    progress: ProgressReport
    not_counted: int
    refused: list[RefusedIndex]


class RoleReport(Wire):
    """`holder`: host and process of the service that works; `mine`: it is this one."""

    holder: str | None
    mine: bool


class ElasticsearchReport(Wire):
    """`versions`: of the nodes, oldest first; `error` where it cannot be reached."""

    reachable: bool
    versions: list[str]
    error: str | None


class WorkerAnswer(Wire):
    """`state` and `error` are of this service's worker; the rest is the same on every service.

    `waitsFor`: why nothing moves, in a sentence. `queueLength`: all that is in progress. `head`:
    the first of the batch queue. `inHand`: what is started and has not ended. `pace`: in force for
    an operation that has none of its own.
    """

    state: Literal["starting", "standby", "idle", "working", "restarting", "stopped"]
    error: str | None
    role: RoleReport
    waits_for: str | None
    queue_length: int
    counts: dict[State, int]
    head: OperationSummary | None
    in_hand: list[OperationSummary]
    pace: LimitReport
    elasticsearch: ElasticsearchReport
    database: Literal["sqlite", "postgresql"]
    version: str


class CheckReport(Wire):
    """`verdict` unknown: it could not be looked at. `remedy`: what to do, in words."""

    name: str
    verdict: Literal["ok", "warning", "wrong", "unknown"]
    finding: str
    remedy: str | None


class DoctorAnswer(Wire):
    """`healthy`: no check is wrong."""

    healthy: bool
    version: str
    checks: list[CheckReport]
