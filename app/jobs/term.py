"""A term: one worker's time with the role, all that it does in it as children of one group;
what wakes it, and the identity of the cluster that its jobs are for."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Protocol

from app.domain.clock import boot_seconds
from app.domain.errors import LeaseLost, OtherCluster, ReindexQueueError, StoreFault, StoreTrouble
from app.domain.formatting import capped
from app.elastic.cluster import ClusterView
from app.store.role import ClusterIdentities, Lease, WorkerRole
from app.telemetry import logger

log = logger(__name__)


class WakeUps:
    """Wakes every subscriber. A wake-up carries no data: what is true stands in the store."""

    def __init__(self) -> None:
        self._subscribers: set[asyncio.Event] = set()

    def wake(self) -> None:
        for event in self._subscribers:
            event.set()

    @contextmanager
    def subscribed(self) -> Generator[Subscription]:
        """A subscription that misses no wake-up from now on, also between two waits."""
        event = asyncio.Event()
        self._subscribers.add(event)
        try:
            yield Subscription(event)
        finally:
            self._subscribers.discard(event)


class Subscription:
    """One subscriber's side of the wake-ups."""

    def __init__(self, event: asyncio.Event) -> None:
        self._event = event

    def wake(self) -> None:
        """Wakes this subscriber alone."""
        self._event.set()

    async def wait(self, seconds: float) -> bool:
        """Waits for a wake-up since the last wait, or for the time; True where one came."""
        try:
            # `wait_for` would lose a cancel that comes together with a wake-up (Python 3.11).
            async with asyncio.timeout(max(seconds, 0)):
                await self._event.wait()
        except TimeoutError:
            return False
        # Cleared before the caller looks: what changes while it looks wakes it once more.
        self._event.clear()
        return True


class ClusterIdentity:
    """Asks until it has seen the right cluster, and again after `forget_last_check`."""

    def __init__(
        self, identities: ClusterIdentities, cluster: ClusterView, accepted: str | None
    ) -> None:
        self._identities = identities
        self._cluster = cluster
        self._accepted = accepted
        self._seen = False

    def forget_last_check(self) -> None:
        """There was trouble: what answers next may be another cluster at the same address."""
        self._seen = False

    async def check(self, *, anew: bool = False, moves: bool = True) -> None:
        """`anew`: also where it was seen before. `moves`: data that need no cluster any more become
        those of the one that answers. Raises `OtherCluster`, `ClusterTrouble`, `StoreTrouble`."""
        if self._seen and not anew:
            return
        self._seen = False
        found = await self._cluster.nodes.cluster_uuid()
        kept = await self._identities.settle(found, self._accepted, moves=moves)
        if kept != found:
            raise OtherCluster(found, kept)
        self._seen = True


STEADY_SECONDS = 60.0
"""After so long without a crash, and two renewals, a worker has recovered."""


class EndKind(StrEnum):
    """`STOPPED`: on request. `ROLE_LOST`: another service has the role. `TROUBLE`: the database
    does not answer, or a row was changed meanwhile. `CRASH`: anything else, so a fault of this
    service, or a right or a table that somebody has taken from it."""

    STOPPED = "stopped"
    ROLE_LOST = "role_lost"
    TROUBLE = "trouble"
    CRASH = "crash"


@dataclass(frozen=True)
class Ending:
    """`crashes`: those that were not expected, for the log."""

    kind: EndKind
    reason: str = ""
    crashes: tuple[Exception, ...] = ()

    @classmethod
    def of(cls, met: Sequence[Exception]) -> Ending:
        """`met`: whatever the parts of the term ended with. The worst of it is how it ended."""
        if crashes := tuple(error for error in met if _is_crash(error)):
            return cls(EndKind.CRASH, _words(crashes[0]), crashes)
        if lost := [error for error in met if isinstance(error, LeaseLost)]:
            return cls(EndKind.ROLE_LOST, _words(lost[0]))
        return cls(EndKind.TROUBLE, _words(met[0])) if met else cls(EndKind.STOPPED)


def _is_crash(error: Exception) -> bool:
    return isinstance(error, StoreFault) or not isinstance(error, StoreTrouble)


def _words(error: Exception) -> str:
    if isinstance(error, ReindexQueueError):
        return capped(error.message)
    return capped(f"{type(error).__name__}: {error}")


class Companion(Protocol):
    """Runs beside the jobs of a term, and ends by itself where that is over."""

    async def run(self, term: Term, /) -> None: ...


class Term:
    """The renewal of the lease, the look at the queue and each operation in hand.

    The first of them that ends with an exception ends the term. The others are not cancelled for
    that, for they may be in the middle of a step: they see that the term is `over` and end between
    two steps. What each of them ended with is kept, and `Ending.of` judges all of it. `show` is
    told at once, for a step may take long.
    """

    def __init__(
        self,
        role: WorkerRole,
        lease: Lease,
        wake_ups: WakeUps,
        stopping: Callable[[], bool],
        show: Callable[[Ending], None],
    ) -> None:
        self._role = role
        self._lease = lease
        self._wake_ups = wake_ups
        self._stopping = stopping
        self._show = show
        self._began = boot_seconds()
        self._over = asyncio.Event()
        self._met: list[Exception] = []
        self._group = asyncio.TaskGroup()

    @property
    def lease(self) -> Lease:
        """As last renewed."""
        return self._lease

    @property
    def over(self) -> bool:
        return self._over.is_set() or self._stopping()

    @property
    def steady(self) -> bool:
        """It has lasted for so long that what ended the last one is over."""
        renewed = 2 * (self._role.renew_seconds or 0.0)
        return not self._over.is_set() and boot_seconds() - self._began > max(
            STEADY_SECONDS, renewed
        )

    async def run(self, work: Coroutine[Any, Any, None]) -> Ending:
        """Until `work` ends, which it does where the term is `over`, and all that it started."""
        async with self._group:
            if self._role.renew_seconds:
                self.start(self._renew(self._role.renew_seconds))
            await self._keep(work)
            # Ends the renewal, too. A job that is still in a step has what is left of the lease: no
            # change is sent after that, and no save finds the token once another has the role.
            self._over.set()
        return Ending.of(self._met)

    def start(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Runs `work` beside the others; no exception comes out of the task."""
        task = self._group.create_task(self._keep(work))
        task.add_done_callback(lambda _: work.close())  # one that was cancelled before it began
        return task

    async def _keep(self, work: Coroutine[Any, Any, None]) -> None:
        try:
            await work
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if task and task.cancelling():
                raise
            # A task group takes no notice of a child that was cancelled: the job would be gone, and
            # the term would go on without it.
            self._end(RuntimeError("a part of the worker was cancelled by nobody"))
        except Exception as error:
            self._end(error)

    def _end(self, error: Exception) -> None:
        # In this order: whoever wakes must find the term over.
        self._met.append(error)
        self._over.set()
        self._show(Ending.of(self._met))
        self._wake_ups.wake()

    async def _renew(self, seconds: float) -> None:
        """Keeps the lease. A renewal that the database did not answer is tried again; the deadline
        decides."""
        while not await self.over_within(seconds):
            try:
                self._lease = await self._role.renew(self._lease)
            except (LeaseLost, StoreFault):
                raise
            except StoreTrouble as error:
                # The lease in hand still runs, and may even have been renewed: the answer was lost.
                log.warning("role_not_renewed", reason=error.message)

    async def over_within(self, seconds: float) -> bool:
        """Waits for the end of the term; False where it does not come in that time."""
        try:
            await asyncio.wait_for(self._over.wait(), seconds)
        except TimeoutError:
            return False
        return True
