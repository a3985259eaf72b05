"""Kibana's reindex API: its paths, bodies, codes and texts, under the two bases it has had."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import APIRouter, Body, Depends, Request, Response
from fastapi.routing import APIRoute
from pydantic_core import to_json

from app.api import documented
from app.api.access import OPERATOR, VIEWER, Caller, Current, IndexPath
from app.api.documenting import BODIES
from app.domain.brief import QueueEntry
from app.domain.errors import AlreadyInProgress
from app.domain.job import Lane, Status
from app.domain.operation import Operation, Step
from app.domain.principal import Principal
from app.domain.request import ReindexRequest
from app.sites.reading import IndexView, StatusReport, shown_aliases
from app.sites.site import Site
from app.wire.kibana import (
    BatchAnswer,
    BatchBody,
    BatchError,
    CancelAnswer,
    Meta,
    QueueAnswer,
    ReindexBody,
    ReindexOperation,
    StatusAnswer,
    Warning,
)


def status_of(name: str, report: StatusReport) -> StatusAnswer:
    operation = reindex_operation_of(report.operation) if report.operation else None
    cluster = report.cluster
    if cluster is None:
        return StatusAnswer(reindex_op=operation)
    found = cluster.warnings
    return StatusAnswer(
        reindex_op=operation,
        warnings=None if found is None else [Warning.model_validate(w) for w in found],
        has_required_privileges=cluster.privileged,
        meta=_meta(name, cluster),
    )


def _meta(name: str, report: IndexView) -> Meta:
    settings: Mapping[str, Any] = report.index.settings if report.index else {}
    return Meta(
        index_name=name,
        reindex_name=report.new_index_name,
        aliases=shown_aliases(report.index),
        is_readonly=bool(report.index and report.index.verified_read_only),
        is_frozen=str(settings.get("index.frozen")) == "true",
        is_in_data_stream=report.data_stream,
        is_follower_index=str(settings.get("index.xpack.ccr.following_index")) == "true",
    )


def reindex_operation_of(operation: Operation | QueueEntry) -> ReindexOperation:
    """Checked in one go with its parts, which takes half the time of making each by itself."""
    return ReindexOperation.model_validate(wire_of(operation))


def queue_body(entries: Iterable[QueueEntry]) -> bytes:
    """The answer that shows the queue, byte for byte as `QueueAnswer` would write it."""
    return to_json({"queue": [wire_of(entry) for entry in entries]})


def wire_of(operation: Operation | QueueEntry) -> dict[str, Any]:
    """The JSON object of `ReindexOperation`, key by key in its order, without the model.

    Ten thousand models take longer than all the rest of the queue's answer.
    """
    running = operation.status == Status.IN_PROGRESS and operation.started_at is not None
    at = operation.updated_at if running else None
    wire: dict[str, Any] = {
        "indexName": operation.index_name,
        "newIndexName": operation.new_index_name,
        "status": operation.status,
        "lastCompletedStep": operation.last_completed_step,
        "locked": at.isoformat(timespec="seconds") if at else None,
        "reindexTaskId": operation.reindex_task_id,
        "reindexTaskPercComplete": operation.reindex_task_perc_complete,
        "errorMessage": operation.error_message,
        "runningReindexCount": None,
    }
    if options := _options(operation):
        wire["reindexOptions"] = options
    backup = _backup(operation)
    if backup is not None:
        wire["backupSettings"] = backup
    if operation.mode:
        wire["settings"] = json.dumps({"mode": operation.mode})
    return wire


def _options(operation: Operation | QueueEntry) -> dict[str, Any]:
    options: dict[str, Any] = {}
    if operation.source and operation.last_completed_step >= Step.REINDEX_STARTED:
        options["openAndClose"] = operation.source.closed
    if operation.lane == Lane.QUEUE:
        options["queueSettings"] = {"queuedAt": operation.queued_at}
        if operation.started_at is not None:
            options["queueSettings"]["startedAt"] = operation.started_at
    if operation.delete_old_index:
        options["deleteOldIndex"] = True
    return options


def _backup(operation: Operation | QueueEntry) -> dict[str, str] | None:
    if operation.source is None or operation.last_completed_step < Step.NEW_INDEX_CREATED:
        return None
    keys = ("index.number_of_replicas", "index.refresh_interval")
    found = {key: operation.source.settings.get(key) for key in keys}
    return {key: value for key, value in found.items() if value is not None}


@dataclass(frozen=True)
class Family:
    """One of the two bases, and where it differs from the other; `api/errors.py` knows one more.

    `keeps_by_default`: the old index is kept where the request does not say.
    """

    base: str
    tag: str
    keeps_by_default: bool


FAMILIES = (
    Family("/api/upgrade_assistant/reindex", "Upgrade Assistant", False),
    Family("/api/reindex_service/reindex", "Reindex service", True),
)


async def _keeps_by_default(request: Request) -> bool:
    """As the family of the route has it."""
    path = request.url.path
    return next(one.keeps_by_default for one in FAMILIES if path.startswith(one.base))


KeepsByDefault = Annotated[bool, Depends(_keeps_by_default)]


async def batch(
    body: Annotated[BatchBody, Body(openapi_examples=BODIES["batch"])],
    service: Current,
    caller: Caller,
    keeps: KeepsByDefault,
) -> BatchAnswer:
    """Queues the indices in the order given; they are worked off one after the other.

    A name that cannot be queued is in `errors` and spoils nothing: the answer is still 200.
    The good ones are durable before the answer. At most 10,000 names.
    """
    requests = body.requests(keeps_by_default=keeps)
    queued = await service.queue.enqueue_batch(
        requests, caller.name, reach=caller.reach, credentials=caller.credentials
    )
    return BatchAnswer(
        enqueued=[reindex_operation_of(operation) for operation in queued.enqueued],
        errors=[
            BatchError(index_name=fault.name, message=fault.error.message)
            for fault in queued.refused
        ],
    )


async def batch_queue(service: Current, caller: Caller) -> Response:
    """The operations of the queue that have not ended, in order, the running one first."""
    body = queue_body(await service.reading.queue(caller.reach))
    return Response(body, media_type="application/json")


async def start_with(
    body: Annotated[ReindexBody, Body(openapi_examples=BODIES["reindex"])],
    service: Current,
    caller: Caller,
    keeps: KeepsByDefault,
) -> ReindexOperation:
    """Starts one index with a new name of one's own, other settings, or the old index kept.

    It runs beside the queue, or in it where `enqueue` says so. An operation that is resumed
    keeps what was asked for when it was made.
    """
    enqueue = bool(body.reindex_options.enqueue)
    request = body.request(keeps_by_default=keeps)
    return await _started(service, request, caller, enqueue=enqueue)


async def start(
    indexName: IndexPath, service: Current, caller: Caller, keeps: KeepsByDefault
) -> ReindexOperation:
    """Starts one index beside the queue, or resumes it where it was paused.

    An operation that has ended is followed by a new one. A few run at once
    (`REINDEX_MAX_SINGLES`); the others wait.
    """
    request = ReindexRequest(indexName, keeps_source=keeps)
    return await _started(service, request, caller)


async def _started(
    service: Site, request: ReindexRequest, caller: Principal, *, enqueue: bool = False
) -> ReindexOperation:
    try:
        operation = await service.queue.start(
            request,
            caller.name,
            enqueue=enqueue,
            reach=caller.reach,
            credentials=caller.credentials,
        )
    except AlreadyInProgress as error:
        # It may name the index whose operation fills this one; Kibana names the one asked for.
        raise AlreadyInProgress(request.index_name) from error
    return reindex_operation_of(operation)


async def status(indexName: IndexPath, service: Current, caller: Caller) -> StatusAnswer:
    """The newest operation of the index; `reindexOp` is absent where there is none."""
    found = await service.reading.status(indexName, caller.reach, caller.credentials)
    return status_of(indexName, found)


async def cancel(indexName: IndexPath, service: Current, caller: Caller) -> CancelAnswer:
    """Cancels the operation in any state before the swap: the source is then as found."""
    await service.queue.cancel(indexName, caller.name, caller.reach)
    return CancelAnswer()


def make_router(family: Family) -> APIRouter:
    """The reindex routes of `family`. `/batch` comes before the names of indices."""
    router = APIRouter(
        prefix=family.base, tags=[family.tag], generate_unique_id_function=_operation_id
    )
    router.post(
        "/batch",
        summary="Batch start or resume a reindex",
        dependencies=OPERATOR,
        responses=documented.BATCH,
    )(batch)
    router.get(
        "/batch/queue",
        summary="Get the batch reindex queue",
        dependencies=VIEWER,
        response_model=QueueAnswer,
        responses=documented.QUEUE,
    )(batch_queue)
    router.post(
        "",
        summary="Start or resume a reindex with options",
        dependencies=OPERATOR,
        responses=documented.started_with(family.base),
    )(start_with)
    _add_routes_of_an_index(router, family)
    return router


def _add_routes_of_an_index(router: APIRouter, family: Family) -> None:
    router.post(
        "/{indexName}",
        summary="Start or resume a reindex",
        dependencies=OPERATOR,
        responses=documented.started(family.base),
    )(start)
    router.get(
        "/{indexName}",
        summary="Get the reindex status",
        dependencies=VIEWER,
        responses=documented.STATUS,
    )(status)
    router.post(
        "/{indexName}/cancel",
        summary="Cancel a reindex",
        dependencies=OPERATOR,
        responses=documented.CANCELLED,
    )(cancel)


def _operation_id(route: APIRoute) -> str:
    """Such as `upgrade_assistant_batch`: it is part of the address of an operation at `/docs`."""
    return f"{str(route.tags[0]).lower().replace(' ', '_')}_{route.name}"
