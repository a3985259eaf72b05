"""Who asks: made once at the door, and the same for every family of routes."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from app.domain.errors import RoleMissing


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
    work on; `indices`: patterns with `*` of the index names there; None: all. `credentials`: what
    Elasticsearch is to be asked with on their behalf, as the value of an `Authorization` header;
    None: the service's own user asks.
    """

    name: str
    role: Role
    clusters: frozenset[str] | None = None
    indices: tuple[str, ...] | None = None
    credentials: str | None = field(default=None, repr=False)

    def require(self, role: Role) -> None:
        """Raises `RoleMissing` where this is somebody with less."""
        if not self.role.includes(role):
            raise RoleMissing(self.name, self.role, role)
