"""Kibana's way around a reindex: the write block alone lets an index boot on the next major."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Body, Response

from app.api.access import OPERATOR, Caller, Current, IndexPath
from app.api.documenting import BAD_NAME, BODIES, error_answers
from app.domain.errors import AlreadyInProgress, NotAnIndex, Refused
from app.wire.kibana import UpdateBody

router = APIRouter(prefix="/api/upgrade_assistant", tags=["Upgrade Assistant"])


def no_unfreeze() -> Refused:
    return Refused(
        "unfreeze is not offered here: reindex the index instead, the new one is not frozen."
    )


@router.post(
    "/update_index/{indexName}",
    summary="Make an index read-only",
    dependencies=OPERATOR,
    operation_id="update_index",
    response_class=Response,
    responses={200: {"description": "The write block is in force; the body is empty"}}
    | error_answers(
        no_unfreeze(),
        AlreadyInProgress("logs-2019"),
        BAD_NAME,
        NotAnIndex("logs", ["logs-2019"]),
        *(403, 404, 415, 502, 503),
    ),
)
async def update_index(
    indexName: IndexPath,
    body: Annotated[UpdateBody, Body(openapi_examples=BODIES["update"])],
    service: Current,
    caller: Caller,
) -> Response:
    """Adds the write block and answers when it is in force, with an empty body.

    Refused while an operation on the index lives.
    """
    if "unfreeze" in body.operations:
        raise no_unfreeze()
    await service.small_jobs.block_writes(indexName, caller.name, caller.reach, caller.credentials)
    return Response(status_code=200)
