"""`POST /api/v1/worker/adopt`: a person says that this database goes on."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Body

from app.api.access import Caller, Current
from app.api.documenting import BODIES
from app.api.v1 import documented
from app.api.v1.tokens import UNLIMITED_ADMIN
from app.wire.adoption import AdoptAnswer, AdoptBody, MarkReport

router = APIRouter(prefix="/api/v1/worker", tags=["Worker"])

NOTHING_KEPT = AdoptBody()


@router.post(
    "/adopt", summary="Adopt the database", dependencies=UNLIMITED_ADMIN, responses=documented.ADOPT
)
async def adopt(
    service: Current,
    caller: Caller,
    body: Annotated[AdoptBody, Body(openapi_examples=BODIES["v1_adopt"])] = NOTHING_KEPT,
) -> AdoptAnswer:
    """Says that this database goes on: it was restored, or another one was at work on the cluster.

    Until then it changes nothing there. First see to it that no other service works on the cluster.
    All tokens of before are revoked, also the one that this is asked with, sessions end, and
    webhooks are switched off, unless `keepTokens` is true.
    """
    done = await service.adoption.adopt(caller.name, keep_tokens=body.keep_tokens)
    seen, own = done.conflict.seen, done.conflict.own
    return AdoptAnswer(
        kind=done.conflict.kind.value,
        seen=MarkReport(instance=seen.instance, term=seen.term),
        own=MarkReport(instance=own.instance, term=own.term),
        revoked_tokens=done.revoked,
        switched_off_webhooks=done.switched_off,
    )
