"""Access: what the routes work with, who asks, and what role a route needs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Path, Request
from pydantic import AfterValidator

from app.api.door import ENTRY, Entry, settings_principal, site_of, sites_of
from app.api.logins import address_of
from app.domain.principal import Principal, Role
from app.domain.reach import Reach
from app.sites.site import Site, Sites
from app.wire.notation import without_nul


async def all_of_request(request: Request) -> Sites:
    return sites_of(request.scope)


async def of_request(request: Request) -> Site:
    return site_of(request.scope)


Current = Annotated[Site, Depends(of_request)]
AllSites = Annotated[Sites, Depends(all_of_request)]
IndexPath = Annotated[
    str,
    Path(
        title="Index name",
        description="A concrete index: no alias, no pattern. Characters beyond `a-z0-9._-` must be "
        "percent-encoded.",
        examples=["logs-2019"],
    ),
]
OperationPath = Annotated[
    str,
    AfterValidator(without_nul),
    Path(title="Operation", description="Its id", examples=["0b9d2f7c6e5a4d3c8b1a0f9e8d7c6b5a"]),
]
BatchPath = Annotated[
    str,
    AfterValidator(without_nul),
    Path(title="Batch", description="Its id", examples=["5f0c1b2a3d4e5f60718293a4b5c6d7e8"]),
]


async def principal_of(request: Request) -> Principal:
    """Who asks. Nothing else makes a principal of a request."""
    entry = entry_of(request)
    if entry is None:
        return settings_principal(None, address_of(request.scope))
    return entry.principal or NOBODY


NOBODY = Principal("nobody", Role.VIEWER, reach=Reach(()))
"""A probe that did not log in where others must: it sees no index."""
Caller = Annotated[Principal, Depends(principal_of)]


def is_anonymous(request: Request) -> bool:
    """True for a probe that did not log in where others must."""
    entry = entry_of(request)
    return entry is not None and entry.principal is None


async def may_stay(request: Request) -> bool:
    """Of an answer that goes on: False where its caller would not be let in any more with the same
    rights, because a login was changed, or a token was revoked."""
    entry = entry_of(request)
    return entry is None or await entry.is_as_it_was()


def entry_of(request: Request) -> Entry | None:
    """None where nobody has to log in."""
    entry = request.scope.get(ENTRY)
    return entry if isinstance(entry, Entry) else None


@dataclass(frozen=True)
class Needs:
    """A dependency that lets nobody through who has not `role`, or is not for this cluster. What
    takes an admin concerns all of it, and so nobody who is limited to some indices may do it.

    Raises `RoleMissing`, `ClusterOutOfReach`, `LimitedCaller`.
    """

    role: Role

    async def __call__(self, caller: Caller, request: Request) -> None:
        caller.require(self.role)
        if caller.clusters is not None:
            caller.require_cluster((await of_request(request)).name)
        if self.role is Role.ADMIN:
            caller.require_all_indices()


VIEWER = (Depends(Needs(Role.VIEWER)),)
"""As every route says it: `dependencies=VIEWER`. It reads."""
OPERATOR = (Depends(Needs(Role.OPERATOR)),)
"""It changes operations, batches, their pace, or an index."""
ADMIN = (Depends(Needs(Role.ADMIN)),)
"""It changes what is of the whole service."""
