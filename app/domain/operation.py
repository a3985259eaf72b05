"""An operation: the job that rewrites one index in place; its proof, and the copy that is kept."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import IntEnum, StrEnum
from typing import Any, TypedDict

from pydantic import BaseModel, ConfigDict

from app.domain.failure import FailureDetails
from app.domain.formatting import parsed_size, size_text
from app.domain.job import Goal, Job, Record, Status
from app.domain.names import MAX_BYTES, IndexName
from app.domain.pair import Leftover, Pair
from app.domain.windows import TaskRef


class ProofLevel(StrEnum):
    """What is compared beyond identity, settings, mappings and counts of both indices."""

    COUNT = "count"
    SAMPLE = "sample"
    FULL = "full"
    AUTO = "auto"
    """`FULL` where that costs little (`FullUpTo`), else `SAMPLE`. Chosen when the copy is cut."""


@dataclass(frozen=True)
class FullUpTo:
    """So large may an index be that all its documents are compared unless somebody says otherwise.

    `size`: bytes of its primaries on disk.
    """

    documents: int = 100_000
    size: int = 256 * 2**20

    def choose(self, documents: int, size: int, *, possible: bool = True) -> ProofLevel:
        """What `AUTO` is for an index of so many documents and bytes. `possible`: a full comparison
        can be made of it at all."""
        full = possible and documents <= self.documents and size <= self.size
        return ProofLevel.FULL if full else ProofLevel.SAMPLE

    def __str__(self) -> str:
        return f"{self.documents:,} documents and {size_text(self.size)}"

    @classmethod
    def parse(cls, text: str) -> FullUpTo:
        """From `100000, 256mb`. Raises `ValueError`."""
        documents, _, size = text.partition(",")
        found = cls(int(documents.strip().replace("_", "")), parsed_size(size))
        if found.documents < 0 or found.size < 0:
            raise ValueError(text)
        return found


FULL_UP_TO = FullUpTo()


class Side(BaseModel):
    """What was read of one index: all shards before `shard`, and of it what lies below
    `from_seq_no`. `digest`: the sum over those documents (`upgrades/proving/digest.py`), in hex.
    """

    model_config = ConfigDict(frozen=True)

    shard: int = 0
    from_seq_no: int = 0
    documents: int = 0
    digest: str = "0"


class Proving(BaseModel):
    """A full comparison on its way: saved between its turns, so that it goes on after a crash.

    `one_by_one`: each document is looked for in the target, and `target` stays as it is.
    `target_seq_nos` are those of the target when it began: where they have changed in the end, it
    begins anew. `page_documents`: no more fit into an answer, where that is known.
    """

    model_config = ConfigDict(frozen=True)

    documents: int
    target_seq_nos: list[int]
    source: Side = Side()
    target: Side = Side()
    one_by_one: bool = False
    page_documents: int | None = None

    def begun_one_by_one(self) -> Proving:
        """From the beginning: what was summed is not compared yet."""
        return Proving(
            documents=self.documents,
            target_seq_nos=self.target_seq_nos,
            one_by_one=True,
            page_documents=self.page_documents,
        )

    @property
    def compared(self) -> int:
        """So much is done, in documents; both sides count half where both are read."""
        if self.one_by_one:
            return self.source.documents
        return (self.source.documents + self.target.documents) // 2


class Kept(BaseModel):
    """`uuid` and `seq_nos` (by shard) are None until the copy is there and proven.

    `found_closed` and `found_blocks` are of the target when a rollback began: where the rollback
    is refused half-way it is given back as it was.
    """

    model_config = ConfigDict(frozen=True)

    name: IndexName
    uuid: str | None = None
    seq_nos: list[int] | None = None
    found_closed: bool = False
    found_blocks: dict[str, str] | None = None


def kept_name(name: IndexName, operation_id: str) -> IndexName:
    """What the kept copy of `name` is called: `kept-logs-2019-1a2b3c4d`, `.kept-logs-…`.

    The operation's id makes it one of its own; a name that would be too long is cut.
    """
    dot, bare = (".", name[1:]) if name.startswith(".") else ("", name)
    begin, end = f"{dot}kept-", f"-{operation_id[:8]}"
    room = MAX_BYTES - len(begin) - len(end)
    return IndexName(f"{begin}{bare.encode()[:room].decode(errors='ignore')}{end}")


REWRITE = "rewrite"
"""The name of the kind; the partial indexes of `store/tables.py` have it in their condition."""


class Step(IntEnum):
    """Kibana's `ReindexStep`: the last step that is finished."""

    CREATED = 0
    READONLY = 20
    NEW_INDEX_CREATED = 30
    REINDEX_STARTED = 40
    REINDEX_COMPLETED = 50
    INDEX_SETTINGS_RESTORED = 55
    ALIAS_CREATED = 60


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


class Operation(Job):
    """One index on its way.

    The fields that no list shows and no query asks for have no column of their own: they are the
    record of the kind, and stored together.
    """

    kind: str = REWRITE
    new_index_name: IndexName
    keeps_source: bool = False
    """Only the aliases move in the end, the source stays under its name."""
    delete_old_index: bool | None = None
    """What was asked for; None: nothing."""
    mode: str | None = None
    """The target's `index.mode`; None: the source's."""
    proof_level: ProofLevel = ProofLevel.SAMPLE
    leaves_followers: bool = False
    """It is done also where indices of other clusters follow it."""
    last_completed_step: Step = Step.CREATED
    """Kibana's number of the position."""
    reindex_task_id: str | None = None
    reindex_task_perc_complete: float | None = None
    """0 to 1."""
    kept: Kept | None = None
    """The source is cloned before the swap."""
    kept_until: datetime | None = None
    """That clone is there until then, for a rollback."""

    # the record
    source: Source | None = None
    source_seq_nos: list[int] | None = None
    """How far each shard of it went when it stood still."""
    source_writable: bool = False
    """The source is in use, since no block of ours was put on it yet or the operation was parked:
    it has to be recorded and compared anew."""
    target_uuid: str | None = None
    leftover_uuid: str | None = None
    """Of the target that an earlier operation left for a person to look at."""
    leftover_source: str | None = None
    """The UUID of the index that one was copied from."""
    lost_since: datetime | None = None
    """Since then Elasticsearch says that a primary of the target is lost for good."""
    loose_tasks: list[TaskRef] | None = None
    """Copy tasks that no window waits for any more, and that were not seen to have ended."""
    proving: Proving | None = None
    proof: Proof | None = None
    forced: bool = False
    """It is rolled back also where documents were written since."""

    @property
    def copies(self) -> bool:
        return self.goal is Goal.FINISH and self.last_completed_step is Step.REINDEX_STARTED

    def bytes_a_document(self, planned: int) -> float:
        return self.source.primary_bytes / planned if self.source and planned else 0.0

    @property
    def keep(self) -> bool:
        """The source is kept as a clone."""
        return self.kept is not None

    @property
    def pair(self) -> Pair:
        """What making, knowing and removing an index of ours needs of it."""
        left = self.leftover_uuid
        return Pair(
            job_id=self.id,
            source_name=self.source_name,
            target_name=self.new_index_name,
            source_uuid=self.source.uuid if self.source else None,
            target_uuid=self.target_uuid,
            asked_name=self.index_name,
            kept_name=self.kept.name if self.kept else None,
            mode=self.mode,
            filled=self.source_seq_nos is not None,
            leftover=Leftover(left, self.leftover_source, self.keeps_source) if left else None,
            reach=self.reach,
        )

    @property
    def marker(self) -> IndexName:
        return self.pair.marker


class Changes(TypedDict, total=False):
    """The fields that a phase may change; the machine saves them."""

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
    suspended: bool
    source_writable: bool
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
    result: dict[str, Any] | None
    ended_at: datetime
