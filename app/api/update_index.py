"""Kibana's way around a reindex: the write block alone lets an index boot on the next major."""

from __future__ import annotations

from fastapi import APIRouter, Response

from app.api.errors import error_answers
from app.api.schemas import UpdateBody
from app.api.service import Caller, Current
from app.domain.errors import Refused

router = APIRouter(prefix="/api/upgrade_assistant", tags=["Upgrade Assistant"])


@router.post(
    "/update_index/{indexName}",
    summary="Make an index read-only",
    response_class=Response,
    responses=error_answers(400, 403, 404, 415, 502, 503),
)
async def update_index(
    indexName: str,
    body: UpdateBody,
    service: Current,
    caller: Caller,
) -> Response:
    """Adds the write block and answers when it is in force, with an empty body.

    Refused while an operation on the index lives.
    """
    if "unfreeze" in body.operations:
        raise Refused(
            "unfreeze is not offered here: reindex the index instead, the new one is not frozen."
        )
    await service.errands.block_writes(indexName, caller)
    return Response(status_code=200)
