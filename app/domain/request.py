"""What a client may ask for one index."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class ReindexRequest:
    """One index to be reindexed, as it was posted: nothing here has been checked yet.

    `new_index_name` None: by Kibana's rule. `delete_old_index` is what the client said (None:
    nothing), `keeps_source` what follows from that and the route. `mode`: the new `index.mode`.
    """

    index_name: str
    new_index_name: str | None = None
    delete_old_index: bool | None = None
    keeps_source: bool = False
    mode: str | None = None
