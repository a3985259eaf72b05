"""The shapes of an operation: one index on its way, in a list and whole."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, StrictBool

from app.domain.failure import FailureClass
from app.domain.job import Pending, State
from app.domain.operation import ProofLevel
from app.wire.notation import MOST_A_PAGE, PAGE, Sent, Sought, Time, Wire, is_none

StepName = Literal[
    "created",
    "readonly",
    "newIndexCreated",
    "reindexStarted",
    "reindexCompleted",
    "indexSettingsRestored",
    "aliasCreated",
]
FailedStep = Literal[
    "prepare", "writeBlock", "createTarget", "planCopy", "copy", "restoreSettings", "swap"
]


class OperationQuery(Sent):
    """The parameters of the list."""

    state: list[State] = Field(default=[])
    """Only these states; may be repeated"""
    index: Sought | None = None
    """Only operations of this index"""
    batch: Sought | None = None
    """Only operations of this batch"""
    order: Literal["asc", "desc"] = "asc"
    """asc: in the order of the queue; desc: the newest first"""
    limit: int = Field(default=100, ge=1, le=MOST_A_PAGE)
    """Operations a page"""
    after: str | None = Field(default=None, pattern=PAGE)
    """`next` of the page before"""
    counts: bool = False
    """With how many are in each state; `index` and `batch` apply, `state` does not"""


class RollbackBody(Sent):
    """How a rollback is done."""

    force: StrictBool = False
    """Also where documents were written since the swap: they are lost."""


class Held(Wire):
    """What the operation waits for; it tries again by itself."""

    reason: str
    """What it waits for, in a sentence."""
    since: Time | None
    """When it began to wait."""
    attempts: int
    """How often it has tried."""
    next_attempt_at: Time | None
    """When it tries again."""


class Fault(Wire):
    """What went wrong."""

    code: str | None
    """For programs. null: there is none."""
    message: str
    """For people."""


class ProgressReport(Wire):
    """How far a copy is. Speeds are in documents a second."""

    fraction: float
    """0 to 1. That of an operation never goes back."""
    documents_done: int
    """Documents that are copied."""
    documents_total: int
    """Documents to copy."""
    bytes_done: int
    """Grows as the documents do: of `bytesTotal` the same part as of them."""
    bytes_total: int
    """Of the old index on disk, without replicas. 0 where it is not known."""
    windows_done: int
    """Parts of the copy that are done."""
    windows_total: int
    """Parts that the copy is divided into."""
    speed: float | None
    """Of the last ten seconds."""
    overall_speed: float | None
    """Since the start, pauses included."""
    eta_seconds: float | None
    """Until the copy is done. null below 1 %, and while the copy does not move."""
    eta_low_seconds: float | None
    """It most likely takes at least so long."""
    eta_high_seconds: float | None
    """It most likely takes at most so long."""


class LimitReport(Wire):
    """The pace in force, the tightest of all that is set, and why."""

    requests_per_second: float | None
    """Documents a second of the operation. null: there is no limit."""
    windows_in_flight: int
    """So many parts of an index are copied at once. 0: the health gate lets nothing start."""
    closed: bool
    """True: nothing is copied now."""
    until: Time | None
    """When the hours open or close next. null: they never do."""
    reason: str
    """What is in force and who has set it, in words."""
    limits: list[str]
    """The parts of `reason` that slow copies down: a rate, fewer windows than the settings say,
    hours, a stop, the health gate. Empty where nothing does."""


class KeptCopy(Wire):
    """A clone of the old index for a rollback."""

    index: str
    """The name of the clone."""
    state: Literal["planned", "kept", "restored", "removed"]
    """`planned`: it is made before the swap. `kept`: it is there, until `until` at least.
    `restored`: it has the old name again. `removed`: it is gone."""
    until: Time | None
    """It is not removed before. null: it is not `kept`."""


class OperationSummary(Wire):
    """One index on its way."""

    id: str
    """Stays the same as long as the operation is known."""
    index_name: str
    """The index that is reindexed."""
    new_index_name: str
    """The index that it is copied to."""
    state: State
    """`waiting`: it was not started. `holding`: it waits for something outside. `undoing`: it goes
    back. `rolledBack`: the kept copy of the old index has its name again."""
    step: StepName
    """The last step that is finished."""
    queued: bool
    """True: in the batch queue. False: it was started by name and runs beside the queue."""
    batch_id: str | None
    """The batch it was posted with. null: it was not posted with one."""
    caller: str
    """Who posted it."""
    keeps_old_index: bool
    """True: the old index stays under its name, and only its aliases move."""
    kept_copy: KeptCopy | None
    """null: none was asked for."""
    proof_level: ProofLevel
    """How the copy is proven, as it was asked for."""
    mode: str | None
    """The `index.mode` that was asked for. null: that of the old index."""
    cancel_requested: bool
    """True from the request to cancel it until its end."""
    pending: Pending | None
    """What somebody asked for that is not done yet."""
    writes_blocked: bool
    """True: its index takes no writes, because of this operation."""
    writes_blocked_since: Time | None
    """null: its index takes writes."""
    hold: Held | None
    """What it waits for. null: it waits for nothing."""
    error: Fault | None
    """Why it failed, or turned back. null: it did not."""
    progress: ProgressReport | None
    """null before the copy is planned."""
    pace: LimitReport | None
    """The pace in force. null after its end."""
    queued_at: Time
    """Decides the order of the queue; no two operations have the same."""
    created_at: Time
    """When it was posted."""
    started_at: Time | None
    """When the worker took it. null: it waits."""
    updated_at: Time
    """When it was last saved."""
    ended_at: Time | None
    """null: it has not ended."""


class OperationList(Wire):
    """A page of operations."""

    operations: list[OperationSummary]
    """In the order that was asked for."""
    next: str | None
    """The `after` of the page that follows. null: this is the last one."""
    counts: dict[State, int] | None
    """How many are in each state. null where they were not asked for."""
    others: Annotated[int | None, Field(exclude_if=is_none)] = None
    """Of a batch: so many operations more, on indices that the caller may not see. Absent: the
    caller may see all, or has not asked for a batch."""


class CopyWindow(Wire):
    """A part of the copy: a range of sequence numbers of one shard."""

    number: int
    """Counts the windows of an operation."""
    shard: int
    """The shard of the old index."""
    from_seq_no: int | None
    """The range begins with this one. null: it has no lower end."""
    to_seq_no: int | None
    """The range ends before this one. null: it has no upper end."""
    state: Literal["planned", "running", "done"]
    """How far it is."""
    documents: int
    """Documents that are expected in it."""
    seen: int
    """Documents that were handled so far."""
    batch: int
    """Documents that are taken at a time."""
    attempt: int
    """How often it was begun."""
    task_id: str | None
    """Its task in Elasticsearch. null: it was small enough to do without one."""
    started_at: Time | None
    """When it was last begun."""
    ended_at: Time | None
    """null: it is not done."""


class ProofReport(Wire):
    """What was seen on both sides when the copy was proven complete."""

    level: ProofLevel
    """How it was proven."""
    documents: int
    """Documents of each side."""
    compared: int
    """Of so many documents more was compared than their number."""
    lucene_documents: int
    """Documents of each side as Lucene counts them: nested ones count, too."""
    source_seq_nos: list[int]
    """The highest sequence number of each shard of the old index."""
    target_seq_nos: list[int]
    """The highest sequence number of each shard of the new index."""
    at: Time
    """When it was proven."""


class ProvingReport(Wire):
    """How far a full comparison has come."""

    compared: int
    """Begins anew where the sums of both sides differ: then each document is looked for, to name
    what differs."""
    documents: int
    """Documents to compare."""


class FailedDocumentReport(Wire):
    """A document that Elasticsearch refused, or that is not in the new index as in the old one."""

    id: str | None
    """null: a search failed."""
    type: str
    """Elasticsearch's type of the error; `missing` or `differs` where the proof has found it."""
    reason: str
    """What Elasticsearch says of it, without values of the document; or what differs."""
    routing: Annotated[str | None, Field(exclude_if=is_none)] = None
    """Where the proof has found it. Absent: it has none."""


class FailureReport(Wire):
    """Why it failed, for programs, and what to do about it."""

    kind: FailureClass = Field(alias="class")
    """What kind of trouble it is."""
    step: FailedStep
    """What was being done."""
    message: str
    """Why it failed, in a sentence."""
    remedy: str
    """What to do next."""
    documents: list[FailedDocumentReport]
    """The first ten that were refused, or differ. Empty for whoever has no more than the role
    viewer: ids of documents are for operators and admins."""
    counts: dict[str, int]
    """How many by type: refused in the batch at which the copy stopped, or found by the proof among
    those that were compared."""


class EventReport(Wire):
    """Something that happened to the operation."""

    number: int
    """Grows from event to event."""
    at: Time
    """When it happened."""
    who: str
    """The caller, or the worker."""
    what: str
    """What happened, for programs."""
    index_name: str | None
    """The index that it happened to."""
    text: str
    """What happened, in words; may be empty."""
    before: Any
    """What the change to the cluster found. null: nothing was changed."""
    after: Any
    """What the change to the cluster left. null: nothing was changed."""


class OperationDetails(OperationSummary):
    """All about one operation."""

    failure: FailureReport | None
    """null where it has not failed, or failed before there were details."""
    proving: ProvingReport | None
    """How far the comparison is, while every document is compared."""
    proof: ProofReport | None
    """null: the copy is not proven yet."""
    windows: list[CopyWindow]
    """The parts of the copy."""
    events: list[EventReport]
    """The newest 500, oldest first."""
