"""`/api/v1/indices`: what has to be reindexed before the next major version."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query

from app.api.access import VIEWER, Caller, Current
from app.api.v1 import documented
from app.domain.names import owned_by
from app.upgrades.outdated import Candidate
from app.wire.indices import Blocker, IndexCounts, IndexList, IndexQuery, IndexReport

router = APIRouter(prefix="/api/v1/indices", tags=["Planning"])


@router.get("", summary="List indices", dependencies=VIEWER, responses=documented.INDICES)
async def list_indices(
    query: Annotated[IndexQuery, Query()], service: Current, caller: Caller
) -> IndexList:
    """The cluster's indices by name, and which of them the next major version does not open.

    Hidden and closed ones, too. Privileges are not looked at here: `POST /api/v1/plan` does.
    """
    page = await service.inventory.page(
        outdated=query.needs is not None,
        limit=query.limit,
        after=query.after,
        reach=caller.reach,
    )
    return IndexList(
        indices=[_report(candidate) for candidate in page.candidates],
        next=page.next,
        counts=IndexCounts(
            total=page.total,
            refused=page.outdated,
            blocked=page.blocked,
            read_only=page.read_only,
        ),
    )


def _report(candidate: Candidate) -> IndexReport:
    state, verdict, size = candidate.state, candidate.verdict, candidate.size
    return IndexReport(
        index=state.name,
        created_major=state.created_major,
        next_major=candidate.fate.value,
        why=candidate.because,
        new_index_name=verdict.target,
        blockers=[Blocker(code=fault.code, message=fault.message) for fault in verdict.blockers],
        closed=state.closed,
        documents=size.documents if size else None,
        primary_bytes=size.primary_bytes if size else None,
        owned_by=owned.owner if (owned := owned_by(state.name)) else None,
    )
