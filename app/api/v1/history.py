"""The history: how long it stays, and the request to remove what is older."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Body

from app.api.access import ADMIN, VIEWER, Caller, Current
from app.api.documenting import BODIES
from app.api.v1 import documented
from app.domain.pruning import Pruning
from app.sites.history import History
from app.wire.pruning import HistoryAnswer, PruneBody, PruningReport, RemovedReport

router = APIRouter(prefix="/api/v1", tags=["History"])

AS_SET = PruneBody()


@router.get(
    "/prune", summary="Get the last pruning", dependencies=VIEWER, responses=documented.HISTORY
)
async def get_pruning(service: Current) -> HistoryAnswer:
    """How long history stays, and how far the pruning is that goes on."""
    return _answer(service.history, await service.history.last())


@router.post("/prune", summary="Prune the history", dependencies=ADMIN, responses=documented.PRUNE)
async def prune(
    service: Current,
    caller: Caller,
    body: Annotated[PruneBody, Body(openapi_examples=BODIES["v1_prune"])] = AS_SET,
) -> HistoryAnswer:
    """Asks the worker to remove batches, operations, their parts and events that are older.

    It does so between its saves, and nothing in the cluster is touched. What lives stays, and so
    does what has a kept copy or a target to be looked at, a rollback whose name is still on the
    kept copy, the 50 newest completed operations, and a batch of the last 7 days with an
    idempotency key. GET the same path to see how far it is.
    """
    return _answer(service.history, await service.history.prune(caller.name, body.days))


def _answer(history: History, pruning: Pruning | None) -> HistoryAnswer:
    return HistoryAnswer(
        history_days=history.retention.history,
        audit_days=history.retention.audit,
        pruning=pruning
        and PruningReport(
            by=pruning.by,
            asked_at=pruning.asked_at,
            older_than=pruning.before,
            audit_older_than=pruning.audit_before,
            removed=RemovedReport(**pruning.removed.model_dump()),
            ended_at=pruning.ended_at,
        ),
    )
