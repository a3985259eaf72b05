"""An operation: one index on its way through the machine, and what a step can answer."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import IntEnum, StrEnum
from typing import Any, TypedDict

from pydantic import BaseModel, ConfigDict

from app.domain.estimates import Measured
from app.domain.failure import FailureDetails
from app.domain.holds import HoldCause
from app.domain.kept import Kept
from app.domain.names import IndexName
from app.domain.pace import UNLIMITED, Allowance, Limit
from app.domain.proof import FULL_UP_TO, FullUpTo, ProofLevel, Proving
from app.domain.state import BACK, Goal, Status
from app.domain.tasks import TaskRef, Watch
from app.domain.windows import Window

PARKED_SECONDS = 60.0
"""After so long an operation that has made room for others is tried again, when all that wait have
had their turn."""
LIVE = (Status.IN_PROGRESS, Status.PAUSED)
"""An index has at most one operation in one of these."""


class Step(IntEnum):
    """Kibana's `ReindexStep`: the last step that is finished."""

    CREATED = 0
    READONLY = 20
    NEW_INDEX_CREATED = 30
    REINDEX_STARTED = 40
    REINDEX_COMPLETED = 50
    INDEX_SETTINGS_RESTORED = 55
    ALIAS_CREATED = 60


WAYS_BACK = (*BACK, Goal.PARK, Goal.GIVE_BACK, Goal.ROLL_BACK)
LONG_HELD = 7
"""So often must a way back have held, in about half a minute, before the queue passes it by."""


ENDS_AS = {
    Goal.FINISH: Status.COMPLETED,
    Goal.FAIL: Status.FAILED,
    Goal.CANCEL: Status.CANCELLED,
    Goal.ROLL_BACK: Status.CANCELLED,
}


class Wish(StrEnum):
    """What somebody asked of a started operation; the worker grants it between two steps."""

    NONE = ""
    CANCEL = "cancel"
    PAUSE = "pause"
    RETRY = "retry"


class Record(BaseModel):
    model_config = ConfigDict(frozen=True)


class Source(Record):
    """The source as it was found, saved before the first change to it.

    `settings` holds the keys of `index_settings.RESTORED` (None: not set), `lifecycle` what is set
    after the swap, `blocks` the `index.blocks.*` that were on; `active_copies` are the started
    shard copies of all its shards; `result_window` is its `index.max_result_window`; `sliced` is
    False where its `index.max_slices_per_scroll` forbids to read one shard by a slice.
    `time_series`: Elasticsearch makes the ids itself; `searchable_seq_nos` is False where an index
    (9.4) keeps none that a search could name. `primary_bytes`: of its primaries on disk, 0 where it
    did not tell.
    """

    uuid: str
    shards: int
    routing_shards: int
    closed: bool
    blocks: dict[str, str]
    verified_read_only: bool
    aliases: list[str]
    settings: dict[str, str | None]
    lifecycle: dict[str, str]
    active_copies: int
    result_window: int = 10_000
    sliced: bool = True
    time_series: bool = False
    searchable_seq_nos: bool = True
    primary_bytes: int = 0


class Proof(Record):
    """What was seen when the copy was proven; the swap compares with it once more.

    `compared`: of so many documents more was compared than their number.
    """

    level: ProofLevel
    documents: int
    compared: int = 0
    lucene_documents: int
    source_seq_nos: list[int]
    target_seq_nos: list[int]
    at: datetime


class Operation(Record):
    """One index on its way.

    Times are UTC; `queued_at` is in milliseconds, strictly increasing, and the only order.
    `keeps_source`: only the aliases move in the end, the source stays under its name;
    `delete_old_index` is what was asked for (None: nothing). `mode`: the target's `index.mode`.
    `single`: started by name, so not in the batch queue on the wire. `undone` counts the finished
    entries of the way back, `crashes` the tries in a row that nothing outside is sure to have
    spoilt (`HoldCause.patience`). `leftover_uuid` is the target that an earlier operation left for
    a person to look at, `leftover_source` the UUID of the index it was copied from. `aside`: it was
    begun, but is not in hand (it was paused or parked), so the one that is goes first. `unblocked`:
    the source is in use, since no block of ours was put on it yet or the operation was parked; it
    has to be recorded and compared anew.
    `concrete_name`: the index behind `index_name` where that is the alias of a kept copy, since an
    earlier rollback. `kept`: the source is cloned before the swap; `kept_until`: that clone is
    there, for a rollback. `leaves_followers`: it is done also where indices of other clusters
    follow it. `forced`: it is rolled back also where documents were written since.
    `failure`: the details of `error_message`. `lost_since`: since then Elasticsearch says that a
    primary of the target is lost for good. `loose_tasks`: copy tasks that no window waits for any
    more, and that were not seen to have ended. `writes_blocked_since`: None while the index takes
    writes, as far as this operation goes. `given_back`: so often it was begun and given back;
    `given_back_at`: when last, because it held for long.
    """

    id: str
    cluster_id: str
    batch_id: str | None = None
    caller: str
    index_name: IndexName
    concrete_name: IndexName | None = None
    new_index_name: IndexName
    keeps_source: bool = False
    delete_old_index: bool | None = None
    mode: str | None = None
    proof_level: ProofLevel = ProofLevel.SAMPLE
    leaves_followers: bool = False
    status: Status = Status.IN_PROGRESS
    last_completed_step: Step = Step.CREATED
    single: bool = False
    queued_at: int
    started_at: int | None = None
    goal: Goal = Goal.FINISH
    requested: Wish = Wish.NONE
    undone: int = 0
    keep_target: bool = False
    reindex_task_id: str | None = None
    reindex_task_perc_complete: float | None = None
    loose_tasks: list[TaskRef] | None = None
    error_code: str | None = None
    error_message: str | None = None
    failure: FailureDetails | None = None
    source: Source | None = None
    source_seq_nos: list[int] | None = None
    target_uuid: str | None = None
    leftover_uuid: str | None = None
    leftover_source: str | None = None
    lost_since: datetime | None = None
    aside: bool = False
    unblocked: bool = False
    writes_blocked_since: datetime | None = None
    given_back: int = 0
    given_back_at: datetime | None = None
    proving: Proving | None = None
    proof: Proof | None = None
    kept: Kept | None = None
    kept_until: datetime | None = None
    forced: bool = False
    hold_reason: str | None = None
    hold_since: datetime | None = None
    attempts: int = 0
    crashes: int = 0
    next_attempt_at: datetime | None = None
    created_at: datetime
    updated_at: datetime
    ended_at: datetime | None = None
    version: int = 0

    @property
    def source_name(self) -> IndexName:
        """The concrete index that is rewritten."""
        return self.concrete_name or self.index_name

    @property
    def keep(self) -> bool:
        """The source is kept as a clone."""
        return self.kept is not None

    @property
    def live(self) -> bool:
        return self.status in LIVE

    @property
    def writes_blocked(self) -> bool:
        """True where it keeps its index from being written to."""
        return self.live and self.writes_blocked_since is not None

    @property
    def runs(self) -> bool:
        """True where the machine has something to do on it, also a cancel of a paused one."""
        cancelled = self.status is Status.PAUSED and self.requested is Wish.CANCEL
        return self.status is Status.IN_PROGRESS or cancelled

    @property
    def gives_way(self) -> bool:
        """It is on a way back that does not get on: the queue does not wait for it."""
        return self.goal in WAYS_BACK and self.attempts >= LONG_HELD

    @property
    def marker(self) -> IndexName:
        """The hidden alias that guards a removal: it is put on the index that must survive."""
        return IndexName(f".rq-{self.id}")


class Changes(TypedDict, total=False):
    """The fields a step may change; the machine saves them."""

    status: Status
    last_completed_step: Step
    goal: Goal
    undone: int
    keep_target: bool
    proof_level: ProofLevel
    reindex_task_id: str | None
    reindex_task_perc_complete: float | None
    loose_tasks: list[TaskRef] | None
    error_code: str | None
    error_message: str | None
    failure: FailureDetails | None
    source: Source | None
    source_seq_nos: list[int] | None
    target_uuid: str | None
    leftover_uuid: str | None
    lost_since: datetime | None
    aside: bool
    unblocked: bool
    writes_blocked_since: datetime | None
    given_back: int
    given_back_at: datetime | None
    proving: Proving | None
    proof: Proof | None
    kept: Kept | None
    kept_until: datetime | None
    hold_reason: str | None
    hold_since: datetime | None
    attempts: int
    crashes: int
    next_attempt_at: datetime | None
    started_at: int | None
    ended_at: datetime


class Note(Record):
    """Something worth an event. `before` and `after` show a change to the cluster."""

    what: str
    index: str | None = None
    text: str = ""
    before: Any = None
    after: Any = None


@dataclass(frozen=True)
class Done:
    """The step's effect is in place. `anew`: the windows there were are forgotten."""

    changes: Changes = field(default_factory=Changes)
    windows: Sequence[Window] = ()
    notes: Sequence[Note] = ()
    anew: bool = False


@dataclass(frozen=True)
class Again:
    """The step got on, but is not done; call it again after `after` seconds.

    `anew`: the windows there were are forgotten, the copy begins anew. `doubt`: an answer was lost
    (`Work.doubt`).
    """

    changes: Changes = field(default_factory=Changes)
    windows: Sequence[Window] = ()
    notes: Sequence[Note] = ()
    after: float = 0.0
    anew: bool = False
    doubt: bool = False


@dataclass(frozen=True)
class Hold:
    """The step waits for something outside and says for what; seconds until the next look.

    `cause`: the kind of thing that is waited for. `patient`: it is waited for whatever the policy
    says; making room for others would not help.
    """

    cause: HoldCause
    reason: str
    retry_after: float = 1.0
    changes: Changes = field(default_factory=Changes)
    windows: Sequence[Window] = ()
    notes: Sequence[Note] = ()
    patient: bool = False


Outcome = Done | Again | Hold


async def _no_history() -> Sequence[Measured]:
    return ()


@dataclass(frozen=True)
class Work:
    """What a step is given: the operation, its windows in order, and the copy's limits.

    `doubt`: an answer may have been lost before this call (a crash, a cut), so what a step would
    start may be running already. `limit` is the pace in force, `allowance` what it leaves now.
    `history` answers what the newest completed operations say of how long one takes. `watch`:
    which tasks cannot be seen but may still write.
    """

    operation: Operation
    windows: tuple[Window, ...]
    limits: Limits
    doubt: bool
    limit: Limit = UNLIMITED
    allowance: Allowance = field(default_factory=Allowance)
    history: Callable[[], Awaitable[Sequence[Measured]]] = _no_history
    watch: Watch = field(default_factory=Watch)


@dataclass(frozen=True)
class Limits:
    """How the copy is cut and how much of it runs at once.

    `window_documents` documents a window, at most `batch_documents` a batch (`source.size`); how
    many windows there are at once is a matter of the pace. A window that would take more than
    `window_seconds` is cut again before it starts; one of at most `synchronous_documents` that fits
    into one batch is copied by one request that waits for its end, without a task. A kept copy
    stays for `keep_days`. A target whose primary is lost is waited for for `lost_seconds`. A hold
    that has kept writes blocked for `block_seconds` (0: never) is told, and ends if `gives_back`.
    No index is blocked that is in no snapshot of the last `snapshot_seconds` (0: whether or not).
    Up to `full_up_to` every document is compared, where nobody has said how.
    """

    window_documents: int = 500_000
    batch_documents: int = 2_000
    window_seconds: float = 60.0
    synchronous_documents: int = 1_000
    keep_days: float = 7.0
    lost_seconds: float = 600.0
    block_seconds: float = 14_400.0
    gives_back: bool = False
    snapshot_seconds: float = 0.0
    full_up_to: FullUpTo = FULL_UP_TO
