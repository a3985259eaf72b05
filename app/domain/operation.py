"""An operation: one index on its way through the machine."""

from __future__ import annotations

from datetime import datetime
from enum import IntEnum, StrEnum
from typing import TypedDict

from pydantic import BaseModel, ConfigDict

from app.domain.failure import FailureDetails
from app.domain.kept import Kept
from app.domain.names import IndexName
from app.domain.proof import ProofLevel, Proving
from app.domain.tasks import TaskRef


class Status(IntEnum):
    """Kibana's `ReindexStatus`; a waiting operation is also `IN_PROGRESS`."""

    IN_PROGRESS = 0
    COMPLETED = 1
    FAILED = 2
    PAUSED = 3
    CANCELLED = 4


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


class Goal(StrEnum):
    """Where an operation is heading: forward, back by way of its list, or aside for a while.

    `PARK`: its copy stays, for later; `GIVE_BACK`: as if it had not begun. `ROLL_BACK`: after its
    end, back to the kept copy.
    """

    FINISH = "finish"
    FAIL = "fail"
    CANCEL = "cancel"
    PAUSE = "pause"
    PARK = "park"
    GIVE_BACK = "give_back"
    ROLL_BACK = "roll_back"


BACK = (Goal.FAIL, Goal.CANCEL)
"""The goals of an operation that ends without a swap."""

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
    `single`: started by name, so not in the batch queue on the wire. `position` is the phase that
    was finished last on the route to the end, `position_back` the one of the route in `goal` where
    that is another; each by its name, empty before the first. `past_return`: a phase is finished
    from which nothing rolls back by itself. `crashes` counts the tries in a row that nothing
    outside is sure to have spoilt (`HoldCause.patience`). `leftover_uuid` is the target that an
    earlier operation left for a person to look at, `leftover_source` the UUID of the index it was
    copied from. `aside`: it was begun, but is not in hand (it was paused or parked), so the one
    that is goes first. `unblocked`:
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
    kind: str = "rewrite"
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
    position: str = ""
    position_back: str = ""
    past_return: bool = False
    last_completed_step: Step = Step.CREATED
    single: bool = False
    queued_at: int
    started_at: int | None = None
    goal: Goal = Goal.FINISH
    requested: Wish = Wish.NONE
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
    def past_cancel(self) -> bool:
        """True where a cancel comes too late: after the swap, and in a rollback that has begun to
        take the new index out of use."""
        if self.goal is Goal.ROLL_BACK:
            return self.position_back != ""
        return self.past_return

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
    position: str
    position_back: str
    past_return: bool
    last_completed_step: Step
    goal: Goal
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
