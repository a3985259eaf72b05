"""`/healthz`: the process answers. `/readyz`: it can do its work."""

from __future__ import annotations

import asyncio

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, ConfigDict

from app.api.access import Caller, Current, is_anonymous
from app.api.documenting import answers
from app.domain.errors import OtherDatabase, ReindexQueueError, StoreTrouble
from app.jobs.worker import WorkerState
from app.sites.site import Site

PING_SECONDS = 2.0

router = APIRouter(tags=["Health"])


class Described(BaseModel):
    model_config = ConfigDict(use_attribute_docstrings=True)


class Health(Described):
    status: str = "ok"


class WorkerHealth(Described):
    state: WorkerState
    """`standby`: another service has the worker role. `restarting`: after a crash."""
    operations: list[str]
    """The ids of the operations it works on; none for whoever has not logged in, or is limited."""
    error: str | None
    """Why it changes nothing until a person says that this database goes on; or what ended its last
    term with the role, which after a crash stays until the worker has gone on well for a while."""


class Readiness(Described):
    ready: bool
    worker: WorkerHealth
    database: str
    """`ok`, or what is wrong; `away` for whoever has not logged in, or is limited."""
    elasticsearch: str
    """`ok`, or what is wrong; `away` for whoever has not logged in, or is limited."""


@router.head("/healthz", include_in_schema=False)
@router.get(
    "/healthz",
    summary="Is the process alive?",
    operation_id="healthz",
    responses=answers("It is", "alive"),
)
async def healthz() -> Health:
    """Asks nothing of anything else: no answer means that the process should be started again."""
    return Health()


_UNREADY = answers("The worker or the database is away", "unready", status=503)[503]


@router.head("/readyz", include_in_schema=False)
@router.get(
    "/readyz",
    summary="Can the service do its work?",
    operation_id="readyz",
    responses=answers("It can, or will as soon as Elasticsearch is back", "ready", "ready_away")
    | {503: {"model": Readiness, **_UNREADY}},
)
async def readyz(
    service: Current, request: Request, response: Response, caller: Caller
) -> Readiness:
    """200 also for a standby, and while Elasticsearch is away (work goes on when it returns).

    Where callers log in, a probe without a login is not told why, and neither is a caller who is
    limited to some indices, or to other clusters.
    """
    database, elasticsearch = await asyncio.gather(_database(service), _elasticsearch(service))
    conflict = await _conflict(service) if database == "ok" else None
    report = service.worker.report
    ready = report.alive and database == "ok"
    response.status_code = 200 if ready else 503
    if is_anonymous(request) or not caller.sees_all_of(service.name):
        worker = WorkerHealth(state=report.state, operations=[], error=None)
        return Readiness(
            ready=ready,
            worker=worker,
            database=_briefly(database),
            elasticsearch=_briefly(elasticsearch),
        )
    return Readiness(
        ready=ready,
        worker=WorkerHealth(
            state=report.state, operations=list(report.operations), error=conflict or report.error
        ),
        database=database,
        elasticsearch=elasticsearch,
    )


def _briefly(finding: str) -> str:
    return finding if finding == "ok" else "away"


async def _database(service: Site) -> str:
    try:
        await service.store.check(PING_SECONDS)
    except StoreTrouble as error:
        return error.message
    return "ok"


async def _elasticsearch(service: Site) -> str:
    try:
        await asyncio.wait_for(service.cluster.nodes.version(), PING_SECONDS)
    except ReindexQueueError as error:
        return error.message
    except TimeoutError:
        return f"no answer within {PING_SECONDS:g} s"
    return "ok"


async def _conflict(service: Site) -> str | None:
    """Why the worker changes nothing until a person says that this database goes on."""
    try:
        await asyncio.wait_for(service.ownership.refuse(), PING_SECONDS)
    except OtherDatabase as error:
        return error.message
    except (StoreTrouble, TimeoutError):
        return None  # told as what is wrong with the database from the next probe on
    return None
