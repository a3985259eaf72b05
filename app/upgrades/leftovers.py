"""What is left in the cluster by operations that have ended, for a person to look at.

A target that a failed operation leaves on purpose is one; so is what Elasticsearch did long after
an operation that had asked for it was given up.
"""

from __future__ import annotations

from dataclasses import dataclass

from app.domain.names import IndexName
from app.domain.reach import Reach
from app.elastic.cluster import ClusterView
from app.store.store import Store
from app.upgrades.steps.identity import marked_by


@dataclass(frozen=True)
class Leftovers:
    """`indices`: made by an operation and not given its end; `markers`: the hidden alias that an
    operation put on an index."""

    indices: list[IndexName]
    markers: list[tuple[IndexName, str]]

    def within(self, reach: Reach) -> Leftovers:
        """What of it is within `reach`."""
        return Leftovers(
            [name for name in self.indices if reach.covers(name)],
            [(name, marker) for name, marker in self.markers if reach.covers(name)],
        )


async def leftovers(store: Store, cluster: ClusterView) -> Leftovers:
    """Raises `ClusterTrouble`, `StoreTrouble`."""
    looked = await cluster.indices.look_at_everything()
    used = await store.operations.in_use()
    states = sorted(looked.values(), key=lambda state: state.name)
    return Leftovers(
        indices=[state.index_name for state in states if state.stamp and state.stamp not in used],
        markers=[
            (state.index_name, marker)
            for state in states
            for marker, operation in marked_by(state.aliases).items()
            if operation not in used
        ],
    )
