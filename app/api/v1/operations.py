"""`/api/v1/operations`: what Kibana's answers cannot say of them."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query

from app.api.access import VIEWER, Caller, Current, OperationPath
from app.api.v1 import documented
from app.api.v1.showing import details_of, summary_of
from app.domain.errors import ClusterTrouble, Refused
from app.domain.principal import Principal
from app.sites.overview import OperationDetail
from app.sites.site import Site
from app.store.listing import Filter
from app.wire.operations import OperationDetails, OperationList, OperationQuery

router = APIRouter(prefix="/api/v1/operations", tags=["Operations"])


@router.get("", summary="List operations", dependencies=VIEWER, responses=documented.LIST)
async def list_operations(
    query: Annotated[OperationQuery, Query()], service: Current, caller: Caller
) -> OperationList:
    """All operations, also those that have ended, by the page.

    The order is that of the queue, and stable: a page begins where `after` says, whatever has
    happened to the operations of the page before.
    """
    page = await service.overview.page(
        Filter(query.state, query.index, query.batch, caller.reach),
        query.limit,
        None if query.after is None else int(query.after),
        newest_first=query.order == "desc",
        counted=query.counts,
    )
    return OperationList(
        operations=[summary_of(view) for view in page.operations],
        next=None if page.next is None else str(page.next),
        counts=page.counts,
        others=page.others,
    )


@router.get(
    "/{operationId}",
    summary="Get an operation",
    dependencies=VIEWER,
    responses=documented.OPERATION,
)
async def get_operation(
    operationId: OperationPath, service: Current, caller: Caller
) -> OperationDetails:
    """One operation with its windows, its proof and its events.

    Which documents were refused, or differ, is shown to operators and admins; viewers see how many.
    """
    whole = await service.overview.whole(operationId, caller.reach)
    return details_of(whole, may_read=await _may_read(service, caller, whole))


async def _may_read(service: Site, caller: Principal, whole: OperationDetail) -> bool:
    """Whether the caller may be told the ids of documents of that index; where the cluster cannot
    say, they are not."""
    if whole.failure is None or not whole.failure.documents:
        return False  # there are none, so nobody is asked
    try:
        return bool(await service.callers.readable(caller, [whole.view.brief.index_name]))
    except (ClusterTrouble, Refused):
        return False
