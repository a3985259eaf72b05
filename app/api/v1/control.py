"""Steering an operation, or all of a batch: cancel, pause, resume, retry, roll back."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Body

from app.api.access import OPERATOR, BatchPath, Caller, Current, OperationPath
from app.api.documenting import BODIES
from app.api.v1 import documented
from app.api.v1.showing import steered, summary_of
from app.domain.brief import Brief
from app.domain.job import Action
from app.domain.operation import Operation
from app.domain.principal import Principal
from app.sites.site import Site
from app.wire.batches import SteeredBatch
from app.wire.operations import OperationSummary, RollbackBody

NOT_FORCED = RollbackBody()

router = APIRouter(prefix="/api/v1/operations/{operationId}", tags=["Operations"])
batches = APIRouter(prefix="/api/v1/batches/{batchId}", tags=["Batches"])


@router.post(
    "/cancel", summary="Cancel an operation", dependencies=OPERATOR, responses=documented.CANCELLED
)
async def cancel(operationId: OperationPath, service: Current, caller: Caller) -> OperationSummary:
    """Ends it in any state before the swap: the source is then as it was found.

    A waiting one is out of the queue with the answer; of a running one the copy tasks are seen to
    have ended before the new index is removed.
    """
    return await _one(Action.CANCEL, operationId, service, caller)


@router.post(
    "/pause", summary="Pause an operation", dependencies=OPERATOR, responses=documented.PAUSED
)
async def pause(operationId: OperationPath, service: Current, caller: Caller) -> OperationSummary:
    """Puts it aside: the queue goes on, what has been copied stays.

    Writes to the index stay blocked if they are already: `writesBlocked` says so, and the event.
    """
    return await _one(Action.PAUSE, operationId, service, caller)


@router.post(
    "/resume", summary="Resume an operation", dependencies=OPERATOR, responses=documented.RESUMED
)
async def resume(operationId: OperationPath, service: Current, caller: Caller) -> OperationSummary:
    """A paused operation goes on where it stopped, at its old place in the queue; of one that is
    not paused yet the pause is taken back."""
    return await _one(Action.RESUME, operationId, service, caller)


@router.post(
    "/retry",
    summary="Try an operation again",
    dependencies=OPERATOR,
    responses=documented.RETRIED,
)
async def retry(operationId: OperationPath, service: Current, caller: Caller) -> OperationSummary:
    """A failed or cancelled one is queued anew (the answer is the new operation); one that waits
    for something tries again at once."""
    return await _one(Action.RETRY, operationId, service, caller)


@router.post(
    "/rollback",
    summary="Roll an operation back",
    dependencies=OPERATOR,
    responses=documented.ROLLED_BACK,
)
async def roll_back(
    operationId: OperationPath,
    service: Current,
    caller: Caller,
    body: Annotated[RollbackBody, Body(openapi_examples=BODIES["v1_rollback"])] = NOT_FORCED,
) -> OperationSummary:
    """Gives the old name and every alias back to the kept copy of the old index, and removes the
    new index, in one step.

    Only for a completed operation with a kept copy that is still there. Refused where documents
    were written to the new index since, unless `force` is true: they are lost. It runs beside the
    queue; `state` is `rolledBack` in the end. Until it takes hold of the new index it can be
    cancelled.
    """
    found = await service.rollback.request(
        operationId,
        caller.name,
        forced=body.force,
        reach=caller.reach,
        credentials=caller.credentials,
    )
    return await _shown(service, found)


@batches.post(
    "/cancel", summary="Cancel a batch", dependencies=OPERATOR, responses=documented.BATCH_CANCELLED
)
async def cancel_batch(batchId: BatchPath, service: Current, caller: Caller) -> SteeredBatch:
    """Cancels every operation of the batch that has not swapped yet; each has its answer.

    Those that wait are out of the queue with the answer, all in one step.
    """
    return await _batch(Action.CANCEL, batchId, service, caller)


@batches.post(
    "/pause", summary="Pause a batch", dependencies=OPERATOR, responses=documented.BATCH_PAUSED
)
async def pause_batch(batchId: BatchPath, service: Current, caller: Caller) -> SteeredBatch:
    """Pauses every operation of the batch that has not swapped yet; each has its answer.

    Only one that was begun keeps its index from being written to: `writesBlocked`.
    """
    return await _batch(Action.PAUSE, batchId, service, caller)


@batches.post(
    "/resume", summary="Resume a batch", dependencies=OPERATOR, responses=documented.BATCH_RESUMED
)
async def resume_batch(batchId: BatchPath, service: Current, caller: Caller) -> SteeredBatch:
    """The paused operations of the batch go on, at their old places in the queue."""
    return await _batch(Action.RESUME, batchId, service, caller)


@batches.post(
    "/retry", summary="Try a batch again", dependencies=OPERATOR, responses=documented.BATCH_RETRIED
)
async def retry_batch(batchId: BatchPath, service: Current, caller: Caller) -> SteeredBatch:
    """What failed or was cancelled is queued anew, as one batch; what waits for something tries
    again at once."""
    return await _batch(Action.RETRY, batchId, service, caller)


@batches.post(
    "/rollback",
    summary="Roll a batch back",
    dependencies=OPERATOR,
    responses=documented.BATCH_ROLLED_BACK,
)
async def roll_batch_back(
    batchId: BatchPath,
    service: Current,
    caller: Caller,
    body: Annotated[RollbackBody, Body(openapi_examples=BODIES["v1_rollback"])] = NOT_FORCED,
) -> SteeredBatch:
    """Rolls every operation of the batch back that can be, as a rollback of each would."""
    return await _batch(Action.ROLL_BACK, batchId, service, caller, forced=body.force)


async def _one(
    action: Action, operation_id: str, service: Site, caller: Principal
) -> OperationSummary:
    done = await service.control.one(
        action, operation_id, caller.name, caller.reach, caller.credentials
    )
    return await _shown(service, done)


async def _batch(
    action: Action, batch_id: str, service: Site, caller: Principal, *, forced: bool = False
) -> SteeredBatch:
    done, others = await service.control.batch(
        action,
        batch_id,
        caller.name,
        forced=forced,
        reach=caller.reach,
        credentials=caller.credentials,
    )
    return steered(batch_id, done, others)


async def _shown(service: Site, operation: Operation) -> OperationSummary:
    (view,) = await service.overview.views([Brief.of(operation)])
    return summary_of(view)
