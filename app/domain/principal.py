"""Who asks: made once at the door, and the same for every family of routes."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from app.domain.errors import ClusterOutOfReach, LimitedCaller, RoleMissing
from app.domain.reach import EVERYTHING, Reach


class Role(StrEnum):
    """What somebody may do. In this order each may what the one before may, and more.

    `VIEWER`: look at everything, and change nothing. `OPERATOR`: post, steer and pace operations
    and batches, and change single indices. `ADMIN`: what is of the service as a whole.
    """

    VIEWER = "viewer"
    OPERATOR = "operator"
    ADMIN = "admin"

    def includes(self, other: Role) -> bool:
        order = list(Role)
        return order.index(self) >= order.index(other)


@dataclass(frozen=True)
class Principal:
    """Somebody who was let in.

    `name`: as the event log has it, at most 255 characters. `clusters`: the names of those they may
    work on; None: all. `reach`: the indices there that they may work on, and see. `credentials`:
    what Elasticsearch is to be asked with on their behalf, as the value of an `Authorization`
    header; None: the service's own user asks.
    """

    name: str
    role: Role
    clusters: frozenset[str] | None = None
    reach: Reach = EVERYTHING
    credentials: str | None = field(default=None, repr=False)

    def require(self, role: Role) -> None:
        """Raises `RoleMissing` where this is somebody with less."""
        if not self.role.includes(role):
            raise RoleMissing(self.name, self.role, role, *self._remedy(role))

    def _remedy(self, role: Role) -> tuple[str, ...]:
        """What makes the role of somebody from a cluster; empty for others."""
        if self.credentials is None:
            return ()
        if role is Role.ADMIN:
            return (
                "No role over the whole service comes from a cluster: ask with the login of the "
                "service's settings, or with a token of an admin.",
            )
        return ("The privilege manage on the cluster makes it.",)

    def require_cluster(self, cluster: str) -> None:
        """Raises `ClusterOutOfReach` where this is somebody for other clusters."""
        if self.clusters is not None and cluster not in self.clusters:
            raise ClusterOutOfReach(self.name, cluster)

    def sees_all_of(self, cluster: str) -> bool:
        """True where no index of that cluster is beyond reach."""
        return not self.reach.limited and (self.clusters is None or cluster in self.clusters)

    @property
    def limited(self) -> bool:
        """True for somebody who may work on some clusters or indices only."""
        return self.clusters is not None or self.reach.limited

    def require_all_indices(self) -> None:
        """Raises `LimitedCaller` where this is somebody for some indices only."""
        if self.reach.limited:
            raise LimitedCaller(self.name, "indices")

    def require_everything(self) -> None:
        """Raises `LimitedCaller` where this is somebody for some clusters or indices only."""
        self.require_all_indices()
        if self.clusters is not None:
            raise LimitedCaller(self.name, "clusters")


ANYBODY = Principal("anybody", Role.VIEWER)
"""Who looks without a limit."""
