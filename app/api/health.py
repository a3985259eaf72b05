"""`/healthz`: the process answers. `/readyz`: it can do its work."""

from __future__ import annotations

import asyncio

from fastapi import APIRouter, Response
from pydantic import BaseModel

from app.api.service import Current, Service
from app.domain.errors import ReindexQueueError, StoreTrouble

PING_SECONDS = 2.0

router = APIRouter(tags=["Health"])


class Health(BaseModel):
    status: str = "ok"


class WorkerHealth(BaseModel):
    state: str
    operations: list[str]
    error: str | None


class Readiness(BaseModel):
    """`database` and `elasticsearch`: `ok`, or what is wrong."""

    ready: bool
    worker: WorkerHealth
    database: str
    elasticsearch: str


@router.get("/healthz", summary="Is the process alive?")
async def healthz() -> Health:
    return Health()


@router.get(
    "/readyz",
    summary="Can the service do its work?",
    responses={503: {"model": Readiness, "description": "The worker or the database is away"}},
)
async def readyz(service: Current, response: Response) -> Readiness:
    """200 also for a standby, and while Elasticsearch is away (work goes on when it returns)."""
    database, elasticsearch = await asyncio.gather(_database(service), _elasticsearch(service))
    report = service.worker.report
    ready = report.alive and database == "ok"
    response.status_code = 200 if ready else 503
    return Readiness(
        ready=ready,
        worker=WorkerHealth(
            state=report.state, operations=list(report.operations), error=report.error
        ),
        database=database,
        elasticsearch=elasticsearch,
    )


async def _database(service: Service) -> str:
    try:
        await service.store.ping()
    except StoreTrouble as error:
        return error.message
    return "ok"


async def _elasticsearch(service: Service) -> str:
    try:
        await asyncio.wait_for(service.cluster.version(), PING_SECONDS)
    except ReindexQueueError as error:
        return error.message
    except TimeoutError:
        return f"no answer within {PING_SECONDS:g} s"
    return "ok"
