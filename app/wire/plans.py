"""The shapes of a plan: what a batch would do."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, StrictBool, model_validator

from app.domain.operation import ProofLevel
from app.domain.request import ReindexRequest
from app.wire.batches import Options, WantedIndex
from app.wire.indices import Blocker
from app.wire.notation import MOST_NAMES, Wire, said


class WantedPlan(Options):
    """The indices to plan for, named or `outdated`."""

    indices: Annotated[list[WantedIndex], Field(min_length=1, max_length=MOST_NAMES)] | None = None
    """In the order in which they are to be worked off."""
    outdated: StrictBool = False
    """All that the next major version does not open."""
    trial: StrictBool = False
    """Make each new index, empty and write-blocked, look at it, and remove it again.

    For 25 seconds at most, and only where nothing speaks against the index. The worker does it; the
    old indices are not touched but for a hidden alias that guards the removal and goes with it.
    """

    @model_validator(mode="after")
    def _one_of_both(self) -> WantedPlan:
        if (self.indices is None) != self.outdated:
            raise said("[request body]: give either indices, or outdated true")
        return self

    def requests(self) -> list[ReindexRequest]:
        return [self.request_for(wanted) for wanted in self.indices or ()]

    def pattern(self) -> ReindexRequest:
        """The options alone, without a name."""
        return ReindexRequest(
            "",
            keep_old_index=self.keep_old_index,
            proof=self.proof,
            leaves_followers=bool(self.force),
        )


class SpanReport(Wire):
    """How long something takes, judged by completed operations that the caller may see."""

    low_seconds: float
    """It most likely takes at least so long."""
    high_seconds: float
    """It most likely takes at most so long."""


class ReferenceReport(Wire):
    """Something in the cluster that names the old index, or applies to the new one."""

    kind: Literal["alias", "lifecycle", "pipeline", "enrichPolicy", "transform", "template"]
    """What it is."""
    name: str
    """As the cluster calls it."""
    effect: str
    """What the reindex means for it, in words."""


class TrialReport(Wire):
    """What came of making the new index, empty."""

    outcome: Literal["fits", "refused", "notTried"]
    """`fits`: the new index comes out as the old one. `refused`: the cluster does not make it, or
    it does not come out so. `notTried`: something else stood in the way."""
    text: str
    """Why it was refused, or not tried."""


class PlannedIndexReport(Wire):
    """What would be done to one index."""

    index: str
    """As it was named in the request, or is found in the cluster."""
    kind: str
    """`index`, `alias`, `nothing` (there is no such index), or the kind that cannot be
    reindexed."""
    why: str
    """What the next major version does with the index as it is, in words."""
    blockers: list[Blocker]
    """What speaks against reindexing it. Empty: it can be reindexed."""
    missing_privileges: list[str]
    """What the service's user may not do and would have to."""
    new_index_name: str | None
    """The index that it would be copied to."""
    keep_old_index: bool
    """True: a clone of the old index is kept for a rollback."""
    proof: ProofLevel | None
    """How the copy will be proven."""
    full_proof: SpanReport | None
    """How long it takes to compare every document."""
    mode: str | None
    """The `index.mode` that was asked for."""
    references: list[ReferenceReport]
    """What names the old index, or applies to the new one."""
    dropped_settings: list[str]
    """Settings of the old index that no new index can have."""
    warnings: list[str]
    """What to know beside, in sentences."""
    documents: int | None
    """Nested documents count, too."""
    primary_bytes: int | None
    """Of the old index on disk, without replicas."""
    shards: int | None
    """Its primary shards."""
    replicas: int | None
    """Copies of each primary shard."""
    windows: int | None
    """The copy is divided into about so many parts."""
    duration: SpanReport | None
    """From start to end. null before anything comparable was measured."""
    write_block: SpanReport | None
    """How long of that the index takes no writes. null before anything comparable was measured."""
    disk_bytes: int | None
    """What the new index takes on disk, with its replicas."""
    disk_shortage: str | None
    """Why there is no room for it now; the operation would wait. null: there is room."""
    missing_snapshot: str | None
    """That it is in no snapshot that is new enough, where that is asked for; the operation would
    wait for one."""
    trial: TrialReport | None
    """null where none was asked for, or where something speaks against the index."""


class NodeReport(Wire):
    """A data node."""

    name: str
    """As the node calls itself."""
    total_bytes: int
    """The size of its disk."""
    available_bytes: int
    """What is free on its disk."""
    room_bytes: int
    """What fits on it below the low watermark. Below zero: it is over it already."""


class DiskReport(Wire):
    """What the whole batch needs on the disks."""

    checked: bool
    """False: the cluster does not look after its disks."""
    peak_bytes: int
    """The most that is needed at a time, while an old index and its new one are both there."""
    staying_bytes: int
    """What is used more in the end: by kept copies."""
    room_bytes: int
    """What fits on all nodes below the low watermark."""
    shortage: str | None
    """Why the batch does not fit. null: it fits."""
    nodes: list[NodeReport]
    """The data nodes that the cluster has now."""


class ShardReport(Wire):
    """What the whole batch needs of the limit `cluster.max_shards_per_node`."""

    peak: int
    """The most shard copies that are needed at a time."""
    left: int
    """So many shard copies the limit leaves now."""
    shortage: str | None
    """Why the batch does not fit. null: it fits."""


class PlanReport(Wire):
    """What a batch would do. The figures of the whole are those of the indices without blockers."""

    indices: list[PlannedIndexReport]
    """In the order in which they would be worked off."""
    ready: int
    """Indices without blockers."""
    blocked: int
    """Indices with blockers."""
    documents: int
    """Nested documents count, too."""
    primary_bytes: int
    """Of the old indices on disk, without replicas."""
    duration: SpanReport | None
    """From the start of the first one to the end of the last one. null before anything comparable
    was measured."""
    write_block: SpanReport | None
    """The sum of the times in which an index takes no writes. null before anything comparable was
    measured."""
    disk: DiskReport | None
    """null where the service's user may not ask for it."""
    shards: ShardReport | None
    """null where the service's user may not ask for them."""
    not_looked_for: list[str]
    """Kinds of references that the cluster does not have, or does not show."""
    measured: int
    """The estimates are made of so many completed operations, of those that the caller may see."""
