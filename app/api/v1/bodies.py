"""What is sent to `/api/v1`."""

from __future__ import annotations

import hashlib
import json
from typing import Annotated, Literal

from pydantic import Field, StrictBool, model_validator
from pydantic_core import PydanticCustomError

from app.api.patterns import NOT_BLANK
from app.api.schemas import MOST_CHARACTERS, MOST_NAMES, Body, GivenName
from app.api.v1.pace_schemas import PaceBody
from app.domain.proof import ProofLevel
from app.domain.request import ReindexRequest


class WantedIndex(Body):
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
    mode: Literal["standard", "lookup", "logsdb", "time_series"] | None = None
    """`index.mode` of the new index."""
    force: StrictBool | None = None
    """Also where an index of another cluster follows it (CCR), and is left behind?"""


class Options(Body):
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
    pace: PaceBody | None = None
    """How fast they may be copied, and when. It can be changed later."""

    def requests(self) -> list[ReindexRequest]:
        return [self.request_for(wanted) for wanted in self.indices]

    def digest(self) -> str:
        """The same for the same request, however its JSON is laid out (SHA-256)."""
        body = self.model_dump(mode="json", exclude_unset=True)
        return hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()


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
            raise PydanticCustomError(
                "said", "[request body]: give either indices, or outdated true"
            )
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


class RollbackBody(Body):
    force: StrictBool = False
    """Also where documents were written since the swap: they are lost."""
