"""Kibana's reindex API: its paths, bodies, codes and texts, under the two bases it has had."""

from __future__ import annotations

from fastapi import APIRouter, Response

from app.api.errors import error_answers
from app.api.schemas import (
    BatchAnswer,
    BatchBody,
    BatchError,
    CancelAnswer,
    QueueAnswer,
    ReindexBody,
    ReindexOperation,
    StatusAnswer,
)
from app.api.service import Caller, Current
from app.domain.request import ReindexRequest


def make_router(base: str, tag: str, *, keeps_by_default: bool) -> APIRouter:
    """The reindex routes under `base`.

    `keeps_by_default`: what becomes of the old index where the request does not say (the Upgrade
    Assistant removes it, the newer reindex service keeps it).
    """
    router = APIRouter(prefix=base, tags=[tag])

    @router.post(
        "/batch",
        summary="Batch start or resume a reindex",
        responses=error_answers(400, 415, 426, 503),
    )
    async def batch(body: BatchBody, service: Current, caller: Caller) -> BatchAnswer:  # pyright: ignore[reportUnusedFunction]
        """Queues the indices in the order given; they are worked off one after the other.

        A name that cannot be queued is in `errors` and spoils nothing: the answer is still 200.
        The good ones are durable before the answer. At most 10,000 names.
        """
        requests = body.requests(keeps_by_default=keeps_by_default)
        queued = await service.queue.enqueue_batch(requests, caller)
        return BatchAnswer(
            enqueued=[ReindexOperation.of(operation) for operation in queued.enqueued],
            errors=[
                BatchError(index_name=refused.name, message=refused.error.message)
                for refused in queued.refused
            ],
        )

    @router.get(
        "/batch/queue",
        summary="Get the batch reindex queue",
        response_model=QueueAnswer,
        responses=error_answers(503),
    )
    async def batch_queue(service: Current) -> Response:  # pyright: ignore[reportUnusedFunction]
        """The operations of the queue that have not ended, in order, the running one first."""
        body = QueueAnswer.body(await service.reading.queue())
        return Response(body, media_type="application/json")

    @router.post(
        "",
        summary="Start or resume a reindex with options",
        responses=error_answers(400, 403, 404, 409, 415, 426, 503),
    )
    async def start_with(  # pyright: ignore[reportUnusedFunction]
        body: ReindexBody, service: Current, caller: Caller
    ) -> ReindexOperation:
        """As below, with `newIndexName`, `deleteOldIndex` and `settings.mode`."""
        request = body.request(keeps_by_default=keeps_by_default)
        enqueue = body.reindex_options.enqueue
        return ReindexOperation.of(
            await service.queue.start(request, caller, enqueue=bool(enqueue))
        )

    @router.post(
        "/{indexName}",
        summary="Start or resume a reindex",
        responses=error_answers(400, 403, 404, 409, 426, 503),
    )
    async def start(  # pyright: ignore[reportUnusedFunction]
        indexName: str,
        service: Current,
        caller: Caller,
    ) -> ReindexOperation:
        """Starts one index beside the queue, or resumes it where it was paused.

        An operation that has ended is followed by a new one.
        """
        request = ReindexRequest(indexName, keeps_source=keeps_by_default)
        return ReindexOperation.of(await service.queue.start(request, caller))

    @router.get(
        "/{indexName}",
        summary="Get the reindex status",
        responses=error_answers(400, 404, 426, 503),
    )
    async def status(indexName: str, service: Current) -> StatusAnswer:  # pyright: ignore[reportUnusedFunction]
        """The newest operation of the index; `reindexOp` is absent where there is none."""
        return StatusAnswer.of(indexName, await service.reading.status(indexName))

    @router.post(
        "/{indexName}/cancel",
        summary="Cancel a reindex",
        responses=error_answers(400, 404, 503),
    )
    async def cancel(  # pyright: ignore[reportUnusedFunction]
        indexName: str,
        service: Current,
        caller: Caller,
    ) -> CancelAnswer:
        """Cancels the operation in any state before the swap: the source is then as found."""
        await service.queue.cancel(indexName, caller)
        return CancelAnswer()

    return router
