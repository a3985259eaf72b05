"""`/api/v1/worker` and `/api/v1/doctor`: is it at work, and what is wrong if not."""

from __future__ import annotations

from importlib.metadata import version

from fastapi import APIRouter

from app.api.access import VIEWER, Caller, Current
from app.api.v1 import documented
from app.api.v1.showing import limit_of, summary_of
from app.domain.job import LIVE_STATES, State
from app.sites.doctor import Severity
from app.wire.service import (
    CheckReport,
    DoctorAnswer,
    ElasticsearchReport,
    RoleReport,
    WorkerAnswer,
)

router = APIRouter(prefix="/api/v1", tags=["Worker"])
VERSION = version("reindex-queue")


@router.get("/worker", summary="Get the worker", dependencies=VIEWER, responses=documented.WORKER)
async def get_worker(service: Current, caller: Caller) -> WorkerAnswer:
    """Who works, at what, how much waits, and why nothing moves if nothing does.

    Elasticsearch is asked at most once in five seconds, however often this is.
    """
    situation = await service.checkup.situation(caller.reach)
    cluster = situation.cluster
    return WorkerAnswer(
        state=situation.worker.state.value,
        error=situation.worker.error,
        role=RoleReport(holder=situation.holder, mine=situation.worker.at_work),
        waits_for=situation.waits_for,
        queue_length=sum(
            situation.counts[state] for state in LIVE_STATES if state is not State.PAUSED
        ),
        counts=situation.counts,
        head=summary_of(situation.head) if situation.head else None,
        in_hand=[summary_of(view) for view in situation.in_hand],
        pace=limit_of(situation.limit),
        elasticsearch=ElasticsearchReport(
            reachable=cluster.error is None,
            versions=[found.number for found in cluster.versions],
            error=cluster.error,
        ),
        database=situation.database,
        version=VERSION,
    )


@router.get(
    "/doctor", summary="Find out what is wrong", dependencies=VIEWER, responses=documented.DOCTOR
)
async def get_doctor(service: Current, caller: Caller) -> DoctorAnswer:
    """Looks at everything the queue needs, and says in words how to mend what is wrong.

    200 also where something is; `healthy` tells.
    """
    checks = await service.doctor.examine(caller.reach)
    return DoctorAnswer(
        healthy=all(check.verdict is not Severity.WRONG for check in checks),
        version=VERSION,
        checks=[
            CheckReport(
                name=check.name,
                verdict=check.verdict.value,
                finding=check.finding,
                remedy=check.remedy,
            )
            for check in checks
        ],
    )
