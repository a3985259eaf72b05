"""The cluster that the database is about: what was queued for one is not done to another."""

from __future__ import annotations

from app.domain.errors import OtherCluster
from app.elastic.cluster import ClusterView
from app.store.cluster_identity import ClusterIdentities


class ClusterIdentity:
    """Asks until it has seen the right cluster, and again after `forget_last_check`."""

    def __init__(
        self, identities: ClusterIdentities, cluster: ClusterView, accepted: str | None
    ) -> None:
        self._identities = identities
        self._cluster = cluster
        self._accepted = accepted
        self._seen = False

    def forget_last_check(self) -> None:
        """There was trouble: what answers next may be another cluster at the same address."""
        self._seen = False

    async def check(self, *, anew: bool = False) -> None:
        """`anew`: also where it was seen before. Raises `OtherCluster`, `ClusterTrouble`,
        `StoreTrouble`."""
        if self._seen and not anew:
            return
        self._seen = False
        found = await self._cluster.nodes.cluster_uuid()
        kept = await self._identities.settle(found, self._accepted)
        if kept != found:
            raise OtherCluster(found, kept)
        self._seen = True
