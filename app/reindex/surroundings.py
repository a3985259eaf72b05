"""What a request must know of the cluster around it, remembered for a few seconds."""

from __future__ import annotations

import time
from collections.abc import Sequence

from app.domain.errors import MixedVersions
from app.domain.names import IndexName
from app.elastic.answers import Version
from app.elastic.view import ClusterView
from app.reindex.privileges import Need, missing

REMEMBERED_SECONDS = 5.0


class Surroundings:
    """Versions and security, so that polling clients do not ask the cluster for them each time."""

    def __init__(self, cluster: ClusterView) -> None:
        self._cluster = cluster
        self._versions: tuple[float, list[Version]] = (0.0, [])
        self._security: tuple[float, bool] = (0.0, False)

    async def versions(self) -> list[Version]:
        """The nodes' versions, oldest first. Raises `ClusterTrouble`."""
        known_at, versions = self._versions
        if not versions or time.monotonic() - known_at > REMEMBERED_SECONDS:
            versions = await self._cluster.node_versions()
            self._versions = (time.monotonic(), versions)
        return versions

    async def one_major(self) -> int:
        """The cluster's major. Raises `MixedVersions` (426) where its nodes have several."""
        majors = {version.major for version in await self.versions()}
        if len(majors) > 1:
            raise MixedVersions
        return majors.pop()

    async def missing_privileges(self, needs: Sequence[Need]) -> dict[IndexName, list[str]]:
        """What our own user lacks for each index, in words; empty without security."""
        if not needs or not await self._security_on():
            return {}
        return await missing(self._cluster, needs, await self.one_major())

    async def _security_on(self) -> bool:
        known_at, on = self._security
        if not known_at or time.monotonic() - known_at > REMEMBERED_SECONDS:
            on = await self._cluster.security_on()
            self._security = (time.monotonic(), on)
        return on
