"""Steering an operation: cancel, pause, resume, retry."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Body

from app.api.service import Caller, Current, OperationPath, Service
from app.api.v1 import documented
from app.api.v1.bodies import RollbackBody
from app.api.v1.examples import ROLLBACK_BODIES
from app.api.v1.schemas import OperationSummary
from app.api.v1.showing import summary_of
from app.domain.brief import Brief
from app.domain.operation import Operation

NOT_FORCED = RollbackBody()

router = APIRouter(prefix="/api/v1/operations/{operationId}", tags=["Operations"])


@router.post("/cancel", summary="Cancel an operation", responses=documented.CANCELLED)
async def cancel(operationId: OperationPath, service: Current, caller: Caller) -> OperationSummary:
    """Ends it in any state before the swap: the source is then as it was found.

    A waiting one is out of the queue with the answer; of a running one the copy tasks are seen to
    have ended before the new index is removed.
    """
    return await _shown(service, await service.control.cancel(operationId, caller))


@router.post("/pause", summary="Pause an operation", responses=documented.PAUSED)
async def pause(operationId: OperationPath, service: Current, caller: Caller) -> OperationSummary:
    """Puts it aside: the queue goes on, what has been copied stays.

    Writes to the index stay blocked if they are already; the event says so.
    """
    return await _shown(service, await service.control.pause(operationId, caller))


@router.post("/resume", summary="Resume an operation", responses=documented.RESUMED)
async def resume(operationId: OperationPath, service: Current, caller: Caller) -> OperationSummary:
    """A paused operation goes on where it stopped, at its old place in the queue."""
    return await _shown(service, await service.control.resume(operationId, caller))


@router.post(
    "/retry",
    summary="Try an operation again",
    responses=documented.RETRIED,
)
async def retry(operationId: OperationPath, service: Current, caller: Caller) -> OperationSummary:
    """A failed or cancelled one is queued anew (the answer is the new operation); one that waits
    for something tries again at once."""
    return await _shown(service, await service.control.retry(operationId, caller))


@router.post("/rollback", summary="Roll an operation back", responses=documented.ROLLED_BACK)
async def roll_back(
    operationId: str,
    service: Current,
    caller: Caller,
    body: Annotated[RollbackBody, Body(openapi_examples=ROLLBACK_BODIES)] = NOT_FORCED,
) -> OperationSummary:
    """Gives the old name and every alias back to the kept copy of the old index, and removes the
    new index, in one step.

    Only for a completed operation with a kept copy that is still there. Refused where documents
    were written to the new index since, unless `force` is true: they are lost. It runs beside the
    queue; `state` is `rolledBack` in the end. Until it takes hold of the new index it can be
    cancelled.
    """
    forced = body.force
    return await _shown(service, await service.rollback.request(operationId, caller, forced=forced))


async def _shown(service: Service, operation: Operation) -> OperationSummary:
    (sight,) = await service.overview.sights([Brief.of(operation)])
    return summary_of(sight)
