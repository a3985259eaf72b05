"""Kibana's reindex API: its paths, bodies, codes and texts, under the two bases it has had."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from fastapi import APIRouter, Body, Response
from fastapi.routing import APIRoute

from app.api import documented
from app.api.examples import BATCH_BODIES, REINDEX_BODIES
from app.api.service import Caller, Current, IndexPath, Service
from app.api.showing import operation_of, queue_body, status_of
from app.domain.errors import AlreadyInProgress
from app.domain.request import ReindexRequest
from app.wire.kibana import (
    BatchAnswer,
    BatchBody,
    BatchError,
    CancelAnswer,
    QueueAnswer,
    ReindexBody,
    ReindexOperation,
    StatusAnswer,
)


@dataclass(frozen=True)
class Family:
    """One of the two bases, and where its answers differ from the other's.

    `keeps_by_default`: the old index is kept where the request does not say; `in_progress`: the
    status for an index that has an operation already.
    """

    base: str
    tag: str
    keeps_by_default: bool
    in_progress: int

    def refusal(self, name: str) -> AlreadyInProgress:
        error = AlreadyInProgress(name)
        error.status = self.in_progress
        return error


FAMILIES = (
    Family("/api/upgrade_assistant/reindex", "Upgrade Assistant", False, 400),
    Family("/api/reindex_service/reindex", "Reindex service", True, 409),
)


def make_router(family: Family) -> APIRouter:
    """The reindex routes of `family`."""
    router = APIRouter(
        prefix=family.base, tags=[family.tag], generate_unique_id_function=_operation_id
    )
    keeps = family.keeps_by_default

    async def started(
        service: Service, request: ReindexRequest, caller: str, *, enqueue: bool = False
    ) -> ReindexOperation:
        try:
            operation = await service.queue.start(request, caller, enqueue=enqueue)
        except AlreadyInProgress as error:
            raise family.refusal(request.index_name) from error
        return operation_of(operation)

    @router.post(
        "/batch",
        summary="Batch start or resume a reindex",
        responses=documented.BATCH,
    )
    async def batch(  # pyright: ignore[reportUnusedFunction]
        body: Annotated[BatchBody, Body(openapi_examples=BATCH_BODIES)],
        service: Current,
        caller: Caller,
    ) -> BatchAnswer:
        """Queues the indices in the order given; they are worked off one after the other.

        A name that cannot be queued is in `errors` and spoils nothing: the answer is still 200.
        The good ones are durable before the answer. At most 10,000 names.
        """
        queued = await service.queue.enqueue_batch(body.requests(keeps_by_default=keeps), caller)
        return BatchAnswer(
            enqueued=[operation_of(operation) for operation in queued.enqueued],
            errors=[
                BatchError(index_name=fault.name, message=fault.error.message)
                for fault in queued.refused
            ],
        )

    @router.get(
        "/batch/queue",
        summary="Get the batch reindex queue",
        response_model=QueueAnswer,
        responses=documented.QUEUE,
    )
    async def batch_queue(service: Current) -> Response:  # pyright: ignore[reportUnusedFunction]
        """The operations of the queue that have not ended, in order, the running one first."""
        body = queue_body(await service.reading.queue())
        return Response(body, media_type="application/json")

    @router.post(
        "",
        summary="Start or resume a reindex with options",
        responses=documented.started_with(family.refusal("logs-2019")),
    )
    async def start_with(  # pyright: ignore[reportUnusedFunction]
        body: Annotated[ReindexBody, Body(openapi_examples=REINDEX_BODIES)],
        service: Current,
        caller: Caller,
    ) -> ReindexOperation:
        """Starts one index with a new name of one's own, other settings, or the old index kept.

        It runs beside the queue, or in it where `enqueue` says so. An operation that is resumed
        keeps what was asked for when it was made.
        """
        enqueue = bool(body.reindex_options.enqueue)
        request = body.request(keeps_by_default=keeps)
        return await started(service, request, caller, enqueue=enqueue)

    @router.post(
        "/{indexName}",
        summary="Start or resume a reindex",
        responses=documented.started(family.refusal("logs-2019")),
    )
    async def start(  # pyright: ignore[reportUnusedFunction]
        indexName: IndexPath, service: Current, caller: Caller
    ) -> ReindexOperation:
        """Starts one index beside the queue, or resumes it where it was paused.

        An operation that has ended is followed by a new one. A few run at once
        (`REINDEX_MAX_SINGLES`); the others wait.
        """
        request = ReindexRequest(indexName, keeps_source=keeps)
        return await started(service, request, caller)

    @router.get(
        "/{indexName}",
        summary="Get the reindex status",
        responses=documented.STATUS,
    )
    async def status(indexName: IndexPath, service: Current) -> StatusAnswer:  # pyright: ignore[reportUnusedFunction]
        """The newest operation of the index; `reindexOp` is absent where there is none."""
        return status_of(indexName, await service.reading.status(indexName))

    @router.post(
        "/{indexName}/cancel",
        summary="Cancel a reindex",
        responses=documented.CANCELLED,
    )
    async def cancel(  # pyright: ignore[reportUnusedFunction]
        indexName: IndexPath, service: Current, caller: Caller
    ) -> CancelAnswer:
        """Cancels the operation in any state before the swap: the source is then as found."""
        await service.queue.cancel(indexName, caller)
        return CancelAnswer()

    return router


def _operation_id(route: APIRoute) -> str:
    """Such as `upgrade_assistant_batch`: it is part of the address of an operation at `/docs`."""
    return f"{str(route.tags[0]).lower().replace(' ', '_')}_{route.name}"
