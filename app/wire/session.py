"""The shape of a session: who somebody is to the service."""

from __future__ import annotations

from app.domain.principal import Principal, Role
from app.domain.session import PageSession
from app.wire.notation import Time, Wire


class SessionReport(Wire):
    """Who asks, and until when."""

    name: str
    """As the event log names them."""
    role: Role
    """What they may do."""
    clusters: list[str] | None
    """The clusters that they may work on. null: all."""
    indices: list[str] | None
    """Patterns of the indices that they may work on. null: all."""
    expires_at: Time | None
    """When the session ends unless it is used before. null: they came without one."""

    @classmethod
    def of(cls, principal: Principal, session: PageSession | None) -> SessionReport:
        patterns = principal.reach.patterns
        return cls(
            name=principal.name,
            role=principal.role,
            clusters=None if principal.clusters is None else sorted(principal.clusters),
            indices=None if patterns is None else list(patterns),
            expires_at=session.expires_at if session else None,
        )
