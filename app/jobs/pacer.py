"""What the machine and the worker ask about the pace."""

from __future__ import annotations

from typing import Protocol

from app.domain.job import Job
from app.domain.pace import Limit
from app.elastic.cluster import ClusterView


class Allowance(Protocol):
    """What the rate in force leaves for the next tasks."""

    def due(self) -> float:
        """Seconds until the next task may start."""
        ...

    def take(self, documents: int, rate: float) -> None:
        """So many are copied now; `rate`: documents a second."""
        ...


class Pacer(Protocol):
    """Every question raises `StoreTrouble`."""

    async def service(self) -> Limit:
        """That of a job for which nothing of its own is said."""
        ...

    async def limit(self, job: Job) -> Limit:
        """What is in force for it now."""
        ...

    def allowance(self, job: Job, limit: Limit) -> Allowance:
        """What the rate in force leaves, counted together for all that share it."""
        ...

    async def look_after(self, job: Job, cluster: ClusterView, token: str) -> bool:
        """Asks the cluster how it does, if it is time; True where that has changed the limit."""
        ...

    def leave(self, job: Job) -> None:
        """It is not in hand any more."""
        ...
