"""What the routes work with: made by the composition root, reached through the request."""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends, Path, Request
from pydantic import AfterValidator

from app.sites.site import Site, Sites
from app.wire.notation import without_nul


async def of_request(request: Request) -> Site:
    sites = request.app.state.sites
    assert isinstance(sites, Sites)
    return sites.of()


Current = Annotated[Site, Depends(of_request)]
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
