"""The shapes of a batch: what is posted, what is answered, and how all of it is steered."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Annotated

from pydantic import Field, StrictBool

from app.domain.job import Pending, State, Verdict
from app.domain.operation import ProofLevel
from app.domain.request import ReindexRequest
from app.wire.notation import (
    MOST_CHARACTERS,
    MOST_NAMES,
    NOT_BLANK,
    GivenName,
    IndexMode,
    Sent,
    Time,
    Wire,
    is_none,
)
from app.wire.operations import OperationSummary, ProgressReport
from app.wire.pace import PaceBody


class WantedIndex(Sent):
    """One index to be reindexed; what is absent is as the batch says."""

    index: Annotated[GivenName, Field(max_length=MOST_CHARACTERS)]
    """A concrete index; no alias, no pattern. After a rollback also the name that it has back."""
    new_index_name: (
        Annotated[GivenName, Field(max_length=MOST_CHARACTERS, pattern=NOT_BLANK)] | None
    ) = None
    """Where to. Nothing may have this name yet. Absent: `reindexed-v8-` and the old name."""
    keep_old_index: StrictBool | None = None
    """Is a clone of the old index kept for a rollback?"""
    proof: ProofLevel | None = None
    """How the copy is proven, beyond the counts that always are."""
    mode: IndexMode | None = None
    """`index.mode` of the new index."""
    force: StrictBool | None = None
    """Also where an index of another cluster follows it (CCR), and is left behind?"""


class Options(Sent):
    """What holds for every index of a request that does not say otherwise."""

    keep_old_index: StrictBool | None = None
    """For those that do not say. Absent: `REINDEX_KEEP_OLD_INDEX`."""
    proof: ProofLevel | None = None
    """For those that do not say: how the copy is proven, beyond the counts that always are.

    `sample`: documents taken at random are compared, all of them where there are few; `full`: every
    document is; `auto`: `full` where that costs little, else `sample`. Absent: `REINDEX_PROOF`.
    """
    force: StrictBool | None = None
    """For those that do not say. Absent: no."""

    def request_for(self, wanted: WantedIndex) -> ReindexRequest:
        keep = wanted.keep_old_index
        name = wanted.new_index_name
        return ReindexRequest(
            index_name=wanted.index,
            new_index_name=name.strip() if name is not None else None,
            mode=wanted.mode,
            keep_old_index=self.keep_old_index if keep is None else keep,
            proof=wanted.proof or self.proof,
            leaves_followers=bool(self.force if wanted.force is None else wanted.force),
        )


class NewBatch(Options):
    """The indices to queue, in the order in which they are to be worked off."""

    indices: Annotated[list[WantedIndex], Field(min_length=1, max_length=MOST_NAMES)]
    """Each with its own options."""
    pace: PaceBody | None = None
    """How fast they may be copied, and when. It can be changed later."""

    def requests(self) -> list[ReindexRequest]:
        return [self.request_for(wanted) for wanted in self.indices]

    def digest(self) -> str:
        """The same for the same request, however its JSON is laid out (SHA-256)."""
        body = self.model_dump(mode="json", exclude_unset=True)
        return hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()


class RefusedIndex(Wire):
    """A name that was not queued."""

    index: str
    """As it was sent."""
    code: str
    """Why, for programs."""
    message: str
    """Why, for people."""

    @classmethod
    def of(cls, entry: Mapping[str, str]) -> RefusedIndex:
        """From how a batch remembers it."""
        return cls(index=entry["index"], code=entry["code"], message=entry["message"])


class NewBatchAnswer(Wire):
    """What became of the indices of a batch."""

    id: str
    """The id of the batch."""
    operations: list[OperationSummary]
    """What was queued, in the order in which it is worked off."""
    refused: list[RefusedIndex]
    """What was not queued. The others are queued all the same."""
    others: Annotated[int | None, Field(exclude_if=is_none)] = None
    """So many operations more, on indices that the caller may not see: another caller has posted
    the batch with the same `Idempotency-Key`. Absent: the caller may see all."""


class BatchReport(Wire):
    """How far a batch is."""

    id: str
    """The id of the batch."""
    caller: str
    """Who posted it."""
    created_at: Time
    """When it was posted."""
    total: int
    """Its operations. One that was posted again later belongs to the later batch."""
    counts: dict[State, int]
    """How many are in each state."""
    progress: ProgressReport
    """Of all together, but for those that failed or were cancelled."""
    not_counted: int
    """So many indices that wait do not tell their size. They are not in `progress`, and it has no
    estimate."""
    refused: list[RefusedIndex]
    """What was not queued."""
    others: Annotated[int | None, Field(exclude_if=is_none)] = None
    """So many operations more, on indices that the caller may not see. Absent: the caller may see
    all."""


class SteeredOperation(Wire):
    """What a request for a whole batch has changed for one of its operations."""

    id: str
    """The id of the operation."""
    index_name: str
    """The index that is reindexed."""
    state: State
    """As it is now."""
    pending: Pending | None
    """What somebody asked for that is not done yet."""
    writes_blocked: bool
    """True: its index takes no writes, because of this operation."""
    outcome: Verdict
    """`changed`: done, or soon. `unchanged`: there is nothing to be changed. `tooLate`: the swap is
    done. `refused`: `reason` says why."""
    reason: str | None
    """Why it is `tooLate`, `refused` or `unchanged`, in a sentence."""
    followed_by: str | None
    """The operation that tries again. null: there is none."""


class SteeredBatch(Wire):
    """What a request for a whole batch has changed."""

    id: str
    """The id of the batch."""
    counts: dict[Verdict, int]
    """How many operations had each outcome."""
    operations: list[SteeredOperation]
    """All operations of the batch that the caller may work on."""
    others: Annotated[int | None, Field(exclude_if=is_none)] = None
    """So many operations more, on indices that the caller may not see: they are as they were.
    Absent: the caller may see all."""
