"""`/api/v1/batches`: many indices at once, each with its own options."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Body, Header

from app.api.access import OPERATOR, VIEWER, BatchPath, Caller, Current
from app.api.documenting import BODIES
from app.api.v1 import documented
from app.api.v1.showing import progress_report, summary_of
from app.domain.pace import NO_LIMIT
from app.store.enqueueing import BatchKey
from app.wire.batches import BatchReport, NewBatch, NewBatchAnswer, RefusedIndex
from app.wire.notation import PRINTABLE

router = APIRouter(prefix="/api/v1/batches", tags=["Batches"])

Key = Annotated[
    str | None,
    Header(alias="Idempotency-Key", min_length=1, max_length=255, pattern=PRINTABLE),
]


@router.post("", summary="Post a batch", dependencies=OPERATOR, responses=documented.NEW_BATCH)
async def post_batch(
    body: Annotated[NewBatch, Body(openapi_examples=BODIES["v1_batch"])],
    service: Current,
    caller: Caller,
    key: Key = None,
) -> NewBatchAnswer:
    """Queues the indices in the order given.

    What cannot be queued is in `refused` and spoils nothing; the others are durable before the
    answer. With an `Idempotency-Key` the request can be sent again where its answer was lost: it
    is answered with the same batch, and nothing is queued twice.
    """
    batch_key = BatchKey(key, body.digest()) if key else None
    pace = body.pace.whole() if body.pace else NO_LIMIT
    posted = await service.batches.post(
        body.requests(), caller.name, batch_key, pace, caller.reach, caller.credentials
    )
    return NewBatchAnswer(
        id=posted.id,
        operations=[summary_of(s) for s in await service.overview.views(posted.operations)],
        refused=[RefusedIndex.of(entry) for entry in posted.refused],
        others=posted.others,
    )


@router.get("/{batchId}", summary="Get a batch", dependencies=VIEWER, responses=documented.BATCH)
async def get_batch(batchId: BatchPath, service: Current, caller: Caller) -> BatchReport:
    """How many of its operations are in each state, and how far they are together; they are listed
    by `GET /api/v1/operations?batch=…`."""
    state = await service.batches.find(batchId, caller)
    found = await service.batch_watch.progress(batchId, caller.reach)
    record, counts = state.record, state.counts
    return BatchReport(
        id=record.id,
        caller=record.caller,
        created_at=record.created_at,
        total=sum(counts.values()),
        counts=counts,
        progress=progress_report(found.progress),
        not_counted=found.not_counted,
        refused=[RefusedIndex.of(entry) for entry in state.refused],
        others=state.others,
    )
