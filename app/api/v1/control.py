"""Steering an operation: cancel, pause, resume, retry."""

from __future__ import annotations

from fastapi import APIRouter

from app.api.service import Caller, Current, OperationPath, Service
from app.api.v1 import documented
from app.api.v1.schemas import OperationSummary
from app.api.v1.showing import summary_of
from app.domain.brief import Brief
from app.domain.operation import Operation

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


async def _shown(service: Service, operation: Operation) -> OperationSummary:
    (sight,) = await service.overview.sights([Brief.of(operation)])
    return summary_of(sight)
