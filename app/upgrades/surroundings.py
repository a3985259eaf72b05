"""What a request must know of the cluster around it, at most a few seconds old."""

from __future__ import annotations

from collections.abc import Sequence

from app.domain.errors import MixedVersions
from app.domain.names import IndexName
from app.elastic.answers import Version
from app.elastic.cluster import ClusterView
from app.elastic.connection import REMEMBERED_SECONDS
from app.upgrades.privileges import Need, missing


class Surroundings:
    """Versions and security, so that polling clients do not ask the cluster for them each time."""

    def __init__(self, cluster: ClusterView) -> None:
        self._cluster = cluster

    async def versions(self) -> list[Version]:
        """The nodes' versions, oldest first. Raises `ClusterTrouble`."""
        return await self._cluster.nodes.versions(REMEMBERED_SECONDS)

    async def one_major(self) -> int:
        """The cluster's major. Raises `MixedVersions` (426) where its nodes have several."""
        majors = {version.major for version in await self.versions()}
        if len(majors) > 1:
            raise MixedVersions
        return majors.pop()

    async def missing_privileges(self, needs: Sequence[Need]) -> dict[IndexName, list[str]]:
        """What our own user lacks for each index, in words; empty without security."""
        if not needs or not await self._cluster.security.is_on(REMEMBERED_SECONDS):
            return {}
        return await missing(self._cluster, needs, await self.one_major())
