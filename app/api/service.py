"""What the routes work with: made by the composition root, reached through the request."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Path, Request
from pydantic import AfterValidator

from app.elastic.cluster import ClusterView
from app.reindex.batch_progress import BatchWatch
from app.reindex.batches import BatchDesk
from app.reindex.checkup import Checkup
from app.reindex.control import Control
from app.reindex.doctor import Doctor
from app.reindex.outdated import Inventory
from app.reindex.overview import Overview
from app.reindex.pacing.pacing import Pacing
from app.reindex.planning import Planner
from app.reindex.queue import Queue
from app.reindex.reading import Reading
from app.reindex.rollback import Rollback
from app.reindex.small import SmallJobDesk
from app.reindex.surroundings import Surroundings
from app.reindex.worker import Worker
from app.store.store import Store
from app.wire.notation import without_nul


@dataclass(frozen=True)
class Service:
    store: Store
    cluster: ClusterView
    surroundings: Surroundings
    queue: Queue
    batches: BatchDesk
    batch_watch: BatchWatch
    control: Control
    pacing: Pacing
    rollback: Rollback
    inventory: Inventory
    planner: Planner
    small_jobs: SmallJobDesk
    reading: Reading
    overview: Overview
    checkup: Checkup
    doctor: Doctor
    worker: Worker


async def of_request(request: Request) -> Service:
    service = request.app.state.service
    assert isinstance(service, Service)
    return service


Current = Annotated[Service, Depends(of_request)]
IndexPath = Annotated[
    str,
    Path(
        title="Index name",
        description="A concrete index: no alias, no pattern. Characters beyond `a-z0-9._-` must be "
        "percent-encoded.",
        examples=["logs-2019"],
    ),
]
OperationPath = Annotated[
    str,
    AfterValidator(without_nul),
    Path(title="Operation", description="Its id", examples=["0b9d2f7c6e5a4d3c8b1a0f9e8d7c6b5a"]),
]
BatchPath = Annotated[
    str,
    AfterValidator(without_nul),
    Path(title="Batch", description="Its id", examples=["5f0c1b2a3d4e5f60718293a4b5c6d7e8"]),
]
