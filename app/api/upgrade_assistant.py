"""Kibana's Upgrade Assistant reindex API: its paths, bodies, codes and texts."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter

from app.api.schemas import (
    BatchAnswer,
    BatchBody,
    BatchError,
    CancelAnswer,
    ErrorEnvelope,
    QueueAnswer,
    ReindexOperation,
    StatusAnswer,
)
from app.api.service import Caller, Current

_BAD: dict[int | str, dict[str, Any]] = {
    400: {"model": ErrorEnvelope, "description": "The request cannot be done as asked"}
}
_AWAY: dict[int | str, dict[str, Any]] = {
    503: {"model": ErrorEnvelope, "description": "Elasticsearch or the database is away"}
}
_NO_INDEX: dict[int | str, dict[str, Any]] = {
    404: {"model": ErrorEnvelope, "description": "There is no such index or operation"}
}
_TAKEN: dict[int | str, dict[str, Any]] = {
    409: {"model": ErrorEnvelope, "description": "Another operation fills the same target"}
}
_MEDIA: dict[int | str, dict[str, Any]] = {
    415: {"model": ErrorEnvelope, "description": "The body is not sent as application/json"}
}

router = APIRouter(prefix="/api/upgrade_assistant/reindex", tags=["Upgrade Assistant"])


@router.post(
    "/batch", summary="Batch start or resume a reindex", responses={**_BAD, **_MEDIA, **_AWAY}
)
async def batch(body: BatchBody, service: Current, caller: Caller) -> BatchAnswer:
    """Queues the indices in the order given; they are worked off one after the other.

    A name that cannot be queued is in `errors` and spoils nothing: the answer is still 200.
    The good ones are durable before the answer. At most 10,000 names.
    """
    queued = await service.queue.enqueue_batch(body.index_names, caller)
    return BatchAnswer(
        enqueued=[ReindexOperation.of(operation) for operation in queued.enqueued],
        errors=[
            BatchError(index_name=refused.name, message=refused.error.message)
            for refused in queued.refused
        ],
    )


@router.get("/batch/queue", summary="Get the batch reindex queue", responses={**_AWAY})
async def batch_queue(service: Current) -> QueueAnswer:
    """The operations of the queue that have not ended, in order, the running one first."""
    return QueueAnswer(queue=[ReindexOperation.of(o) for o in await service.reading.queue()])


@router.post(
    "/{indexName}",
    summary="Start or resume a reindex",
    responses={**_BAD, **_NO_INDEX, **_TAKEN, **_AWAY},
)
async def start(indexName: str, service: Current, caller: Caller) -> ReindexOperation:
    """Queues one index; an operation that has ended is followed by a new one."""
    return ReindexOperation.of(await service.queue.start(indexName, caller))


@router.get(
    "/{indexName}",
    summary="Get the reindex status",
    responses={**_BAD, **_AWAY},
)
async def status(indexName: str, service: Current) -> StatusAnswer:
    """The newest operation of the index; `reindexOp` is absent where there is none."""
    operation = await service.reading.operation_of(indexName)
    return StatusAnswer(reindex_op=ReindexOperation.of(operation) if operation else None)


@router.post(
    "/{indexName}/cancel",
    summary="Cancel a reindex",
    responses={**_BAD, **_NO_INDEX, **_AWAY},
)
async def cancel(indexName: str, service: Current, caller: Caller) -> CancelAnswer:
    """Cancels the operation in any state before the swap: the source is then as it was found."""
    await service.queue.cancel(indexName, caller)
    return CancelAnswer()
