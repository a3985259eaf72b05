"""The wire models of `/api/v1/plan`."""

from __future__ import annotations

from typing import Literal

from app.api.v1.index_schemas import Blocker
from app.api.v1.schemas import Wire
from app.domain.proof import ProofLevel


class SpanReport(Wire):
    """Between these, most likely: judged by the operations that this service has completed."""

    low_seconds: float
    high_seconds: float


class ReferenceReport(Wire):
    """Something in the cluster that names the old index, or applies to the new one.

    `effect`: what the reindex means for it.
    """

    kind: Literal["alias", "lifecycle", "pipeline", "enrichPolicy", "transform", "template"]
    name: str
    effect: str


class TrialReport(Wire):
    """`fits`: the new index comes out as the old one. `refused`: the cluster does not make it, or
    it does not come out so; `text` says why. `notTried`: something else stood in the way."""

    outcome: Literal["fits", "refused", "notTried"]
    text: str


class PlannedIndexReport(Wire):
    """What would be done to one index.

    `kind`: `index`, `alias`, `nothing` (no such index), or the kind that cannot be reindexed.
    `why`: what the next major version does with it. `proof`: how the copy will be proven, and
    `fullProof` what comparing every document takes. `droppedSettings`: no new index can have them.
    `documents` count nested ones, too. `windows`: about so many parts of the copy. `duration` and,
    of that, `writeBlock`: null before anything comparable was measured. `diskBytes`: of the new
    index with its replicas; `diskShortage`: why there is no room for it now; the operation would
    wait. `missingSnapshot`: that it is in none that is new enough, where that is asked for; the
    operation would wait for one. `warnings`: what to know beside, in sentences. `trial`: null where
    none was asked for, or something speaks against the index.
    """

    index: str
    kind: str
    why: str
    blockers: list[Blocker]
    missing_privileges: list[str]
    new_index_name: str | None
    keep_old_index: bool
    proof: ProofLevel | None
    full_proof: SpanReport | None
    mode: str | None
    references: list[ReferenceReport]
    dropped_settings: list[str]
    warnings: list[str]
    documents: int | None
    primary_bytes: int | None
    shards: int | None
    replicas: int | None
    windows: int | None
    duration: SpanReport | None
    write_block: SpanReport | None
    disk_bytes: int | None
    disk_shortage: str | None
    missing_snapshot: str | None
    trial: TrialReport | None


class NodeReport(Wire):
    """A data node. `roomBytes`: what fits on it below the low watermark; below zero: over it."""

    name: str
    total_bytes: int
    available_bytes: int
    room_bytes: int


class DiskReport(Wire):
    """Of the whole batch. `peakBytes`: the most that is needed at a time, the old index and the new
    one being there together; `stayingBytes`: what is used more in the end (kept copies).

    `checked` false: the cluster does not look after its disks. `shortage`: why it does not fit.
    """

    checked: bool
    peak_bytes: int
    staying_bytes: int
    room_bytes: int
    shortage: str | None
    nodes: list[NodeReport]


class ShardReport(Wire):
    """Shard copies that are needed at a time, and that `cluster.max_shards_per_node` leaves."""

    peak: int
    left: int
    shortage: str | None


class PlanReport(Wire):
    """In the order in which the indices would be worked off; the figures of the whole are those of
    the indices without blockers.

    `notLookedFor`: references that the cluster does not have, or does not show. `measured`: so many
    completed operations the estimates are made of. `disk` and `shards`: null where the service's
    user may not ask for them.
    """

    indices: list[PlannedIndexReport]
    ready: int
    blocked: int
    documents: int
    primary_bytes: int
    duration: SpanReport | None
    write_block: SpanReport | None
    disk: DiskReport | None
    shards: ShardReport | None
    not_looked_for: list[str]
    measured: int
