"""A site: one cluster, and all parts of the service that are about it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from app.copying.pace import Pacing
from app.elastic.cluster import ClusterView
from app.jobs.ownership import ClusterOwnership
from app.jobs.worker import Worker
from app.sites.adoption import Adoption
from app.sites.batch_progress import BatchWatch
from app.sites.caller_desk import CallerDesk
from app.sites.checkup import Checkup
from app.sites.doctor import Doctor
from app.sites.figures import Figures
from app.sites.history import History
from app.sites.key_rotation import KeyRotation
from app.sites.overview import Overview
from app.sites.reading import Reading
from app.sites.session_desk import SessionDesk
from app.sites.steering import Control
from app.sites.token_desk import TokenDesk
from app.sites.webhook_desk import WebhookDesk
from app.store.store import Store
from app.telemetry import Instruments
from app.upgrades.admission import Surroundings
from app.upgrades.outdated import Inventory
from app.upgrades.planning import Planner
from app.upgrades.queue import BatchDesk, Queue
from app.upgrades.rollback import Rollback
from app.upgrades.small import SmallJobDesk


@dataclass(frozen=True)
class Site:
    """One cluster with everything that belongs to it: the store's view of it, its readers, what
    steers it, and the worker that alone may change it."""

    name: str
    store: Store
    cluster: ClusterView
    surroundings: Surroundings
    callers: CallerDesk
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
    figures: Figures
    history: History
    ownership: ClusterOwnership
    adoption: Adoption
    worker: Worker


class Sites:
    """The sites of one process, by the name of their cluster, and what is of the whole service. One
    that cannot be reached holds, and stops no other."""

    def __init__(
        self,
        sites: Mapping[str, Site],
        tokens: TokenDesk,
        sessions: SessionDesk,
        webhooks: WebhookDesk,
        key_rotation: KeyRotation,
        instruments: Instruments | None = None,
    ) -> None:
        self._sites = dict(sites)
        self.tokens = tokens
        self.sessions = sessions
        self.key_rotation = key_rotation
        self.webhooks = webhooks
        self.instruments = instruments or Instruments()

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(self._sites)

    def of(self, name: str | None = None) -> Site:
        """That of the cluster `name`; None: the first. Raises `KeyError`."""
        return self._sites[name] if name is not None else next(iter(self._sites.values()))

    def each(self) -> Mapping[str, Site]:
        """All of them by the name of their cluster."""
        return self._sites
