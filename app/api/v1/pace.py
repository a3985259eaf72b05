"""How fast copies may go: of the service, a batch, an operation; stop, and go on."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Body

from app.api.access import ADMIN, OPERATOR, VIEWER, BatchPath, Caller, Current, OperationPath
from app.api.documenting import BODIES
from app.api.v1 import documented
from app.api.v1.showing import limit_of
from app.copying.pace import PaceReport
from app.domain.pace import Scope
from app.domain.principal import Principal
from app.sites.site import Site
from app.store.paces import Change
from app.wire.pace import HealthReport, HoursReport, PaceAnswer, PaceBody, StopBody, StopReport

router = APIRouter(prefix="/api/v1", tags=["Pace"])

Wanted = Annotated[PaceBody, Body(openapi_examples=BODIES["v1_pace"])]
NO_REASON = StopBody()


@router.get("/pace", summary="Get the pace", dependencies=VIEWER, responses=documented.PACE)
async def get_pace(service: Current, caller: Caller) -> PaceAnswer:
    """What is set for all copies, what is in force now, and why."""
    return _answer(await service.pacing.get(Scope.SERVICE, reach=caller.reach))


@router.put("/pace", summary="Set the pace", dependencies=ADMIN, responses=documented.PACE_SET)
async def put_pace(body: Wanted, service: Current, caller: Caller) -> PaceAnswer:
    """As it is sent: what is absent is not limited. It is in force at once, also for copies that
    run, and stays so over a new start, for every service with the same database."""
    return _answer(await service.pacing.change(body.instead, caller.name, Scope.SERVICE))


@router.patch("/pace", summary="Change the pace", dependencies=ADMIN, responses=documented.PACE_SET)
async def patch_pace(body: Wanted, service: Current, caller: Caller) -> PaceAnswer:
    """What is absent stays as it is."""
    return _answer(await service.pacing.change(body.merged, caller.name, Scope.SERVICE))


@router.delete("/pace", summary="Forget the pace", dependencies=ADMIN, responses=documented.PACE)
async def delete_pace(service: Current, caller: Caller) -> PaceAnswer:
    """Goes back to what the settings say."""
    return _answer(await service.pacing.forget(caller.name, Scope.SERVICE))


@router.post(
    "/pace/stop", summary="Stop everything", dependencies=ADMIN, responses=documented.STOPPED
)
async def stop(
    service: Current,
    caller: Caller,
    body: Annotated[StopBody, Body(openapi_examples=BODIES["v1_stop"])] = NO_REASON,
) -> PaceAnswer:
    """Nothing new starts, and copies stop where they are, to be gone on with later.

    Writes to the indices in hand stay blocked: the answer names them. An operation can be cancelled
    all the same; after its swap it is tidied up.
    """
    return _answer(await service.pacing.stop(caller.name, body.reason))


@router.post("/pace/go-on", summary="Go on", dependencies=ADMIN, responses=documented.PACE)
async def go_on(service: Current, caller: Caller) -> PaceAnswer:
    """Ends a stop. Copies go on with the parts that were not done."""
    return _answer(await service.pacing.go_on(caller.name))


@router.get(
    "/batches/{batchId}/pace",
    summary="Get a batch's pace",
    dependencies=VIEWER,
    responses=documented.OF_BATCH,
)
async def get_batch_pace(batchId: BatchPath, service: Current, caller: Caller) -> PaceAnswer:
    return _answer(await service.pacing.get(Scope.BATCH, batchId, caller.reach))


@router.put(
    "/batches/{batchId}/pace",
    summary="Set a batch's pace",
    dependencies=OPERATOR,
    responses=documented.OF_BATCH_SET,
)
async def put_batch_pace(
    batchId: BatchPath, body: Wanted, service: Current, caller: Caller
) -> PaceAnswer:
    """For each of its operations; what is absent is not limited by the batch."""
    return await _changed(body.instead, Scope.BATCH, batchId, service, caller)


@router.patch(
    "/batches/{batchId}/pace",
    summary="Change a batch's pace",
    dependencies=OPERATOR,
    responses=documented.OF_BATCH_SET,
)
async def patch_batch_pace(
    batchId: BatchPath, body: Wanted, service: Current, caller: Caller
) -> PaceAnswer:
    """What is absent stays as it is."""
    return await _changed(body.merged, Scope.BATCH, batchId, service, caller)


@router.get(
    "/operations/{operationId}/pace",
    summary="Get an operation's pace",
    dependencies=VIEWER,
    responses=documented.OF_OPERATION,
)
async def get_operation_pace(
    operationId: OperationPath, service: Current, caller: Caller
) -> PaceAnswer:
    return _answer(await service.pacing.get(Scope.OPERATION, operationId, caller.reach))


@router.put(
    "/operations/{operationId}/pace",
    summary="Set an operation's pace",
    dependencies=OPERATOR,
    responses=documented.OF_OPERATION_SET,
)
async def put_operation_pace(
    operationId: OperationPath, body: Wanted, service: Current, caller: Caller
) -> PaceAnswer:
    """What is absent is not limited by the operation. Also for one that waits, or is paused."""
    return await _changed(body.instead, Scope.OPERATION, operationId, service, caller)


@router.patch(
    "/operations/{operationId}/pace",
    summary="Change an operation's pace",
    dependencies=OPERATOR,
    responses=documented.OF_OPERATION_SET,
)
async def patch_operation_pace(
    operationId: OperationPath, body: Wanted, service: Current, caller: Caller
) -> PaceAnswer:
    """What is absent stays as it is."""
    return await _changed(body.merged, Scope.OPERATION, operationId, service, caller)


async def _changed(
    change: Change, scope: Scope, owner_id: str, service: Site, caller: Principal
) -> PaceAnswer:
    return _answer(await service.pacing.change(change, caller.name, scope, owner_id, caller.reach))


def _answer(report: PaceReport) -> PaceAnswer:
    pace, stop = report.pace, report.stop
    return PaceAnswer(
        scope=report.scope.value,
        requests_per_second=pace.requests_per_second,
        windows_in_flight=pace.windows_in_flight,
        hours=None if pace.hours is None else [HoursReport.of(one) for one in pace.hours],
        stored=report.stored,
        in_force=limit_of(report.limit),
        stopped=stop and StopReport(**stop.model_dump(), blocked_indices=list(report.blocked)),
        health=HealthReport(
            windows_in_flight=report.health.windows,
            cause=report.health.cause,
            since=report.health.since,
            blind=report.health.blind,
        ),
    )
