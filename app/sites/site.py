"""A site: one cluster, and all parts of the service that are about it."""

from __future__ import annotations

from dataclasses import dataclass

from app.copying.pace import Pacing
from app.elastic.cluster import ClusterView
from app.jobs.worker import Worker
from app.sites.batch_progress import BatchWatch
from app.sites.checkup import Checkup
from app.sites.doctor import Doctor
from app.sites.overview import Overview
from app.sites.reading import Reading
from app.sites.steering import Control
from app.store.store import Store
from app.upgrades.batches import BatchDesk
from app.upgrades.outdated import Inventory
from app.upgrades.planning import Planner
from app.upgrades.queue import Queue
from app.upgrades.rollback import Rollback
from app.upgrades.small import SmallJobDesk
from app.upgrades.surroundings import Surroundings


@dataclass(frozen=True)
class Site:
    """One cluster with everything that belongs to it: the store's view of it, its readers, what
    steers it, and the worker that alone may change it."""

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
