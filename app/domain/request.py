"""What a client may ask for one index."""

from __future__ import annotations

from dataclasses import dataclass

from app.domain.operation import ProofLevel
from app.domain.pace import NO_LIMIT, Pace


@dataclass(frozen=True)
class ReindexRequest:
    """One index to be reindexed, as it was posted: nothing here has been checked yet.

    `new_index_name` None: by Kibana's rule. `delete_old_index` is what the client said (None:
    nothing), `keeps_source` what follows from that and the route. `mode`: the new `index.mode`.
    `keep_old_index` (a clone for a rollback) and `proof` None: by the settings. `pace`: its own.
    `leaves_followers`: also where indices of other clusters follow it.
    """

    index_name: str
    new_index_name: str | None = None
    delete_old_index: bool | None = None
    keeps_source: bool = False
    mode: str | None = None
    keep_old_index: bool | None = None
    proof: ProofLevel | None = None
    leaves_followers: bool = False
    pace: Pace = NO_LIMIT


@dataclass(frozen=True)
class Defaults:
    """What holds where a request does not say."""

    keep_old_index: bool = False
    proof: ProofLevel = ProofLevel.AUTO
