"""The read model: what is shown about operations, one for every face."""

from __future__ import annotations

from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from app.domain.brief import QueueEntry
from app.domain.compatibility import warnings_of
from app.domain.errors import (
    ClusterRefused,
    ClusterTrouble,
    IndexNotFound,
    MixedVersions,
    OperationNotFound,
)
from app.domain.names import IndexName
from app.domain.operation import Operation
from app.domain.reach import EVERYTHING, Reach
from app.elastic.answers import IndexState
from app.elastic.cluster import ClusterView
from app.store.listing import Listing
from app.store.operations import Operations
from app.upgrades.admission import Surroundings
from app.upgrades.caller_privileges import CallerPrivileges
from app.upgrades.privileges import Need
from app.upgrades.queue import Queue
from app.upgrades.steps.identity import named


@dataclass(frozen=True)
class IndexView:
    """What the cluster says of an index beside its operation; `index` None: no such index."""

    index: IndexState | None
    new_index_name: IndexName
    data_stream: bool
    privileged: bool
    warnings: list[dict[str, Any]] | None


@dataclass(frozen=True)
class StatusReport:
    """`cluster` is None while the cluster is away: the operation is known all the same."""

    operation: Operation | None
    cluster: IndexView | None


class Reading:
    def __init__(
        self,
        operations: Operations,
        listing: Listing,
        cluster: ClusterView,
        surroundings: Surroundings,
        queue: Queue,
        caller_privileges: CallerPrivileges,
    ) -> None:
        self._operations = operations
        self._listing = listing
        self._cluster = cluster
        self._surroundings = surroundings
        self._queue = queue
        self._caller_privileges = caller_privileges

    async def queue(self, reach: Reach = EVERYTHING) -> list[QueueEntry]:
        """The batch queue in order, the running head included; what is within `reach` of it."""
        return await self._listing.queue(reach)

    async def operation(self, name: str) -> Operation:
        """The newest operation of that index. Raises `OperationNotFound`."""
        found = await self._operations.latest(IndexName(name))
        if found is None:
            raise OperationNotFound(name)
        return found

    async def status(
        self, name: str, reach: Reach = EVERYTHING, credentials: str | None = None
    ) -> StatusReport:
        """The newest operation of an index, and what the cluster says of the index. `reach` and
        `credentials`: of the caller.

        Raises `OutOfReach`, `IndexNotFound` where there is neither, and `MixedVersions`. With an
        operation at hand the cluster may be away, or refuse our user; without one that is a
        `ClusterTrouble` or a `ClusterRefused`.
        """
        index = IndexName(name)
        reach.require(index)
        operation = await self._operations.latest(index)
        if operation and not reach.covers_pair(operation):
            operation = None
        try:
            report = await self._report(index, operation, credentials)
        except (ClusterTrouble, MixedVersions):
            if operation is None:
                raise
            return StatusReport(operation, None)
        except ClusterRefused as refused:
            if operation is None or refused.http_status != HTTPStatus.FORBIDDEN:
                raise
            return StatusReport(operation, _unseen(operation))
        if operation is None and report.index is None:
            raise IndexNotFound(name)
        return StatusReport(operation, report)

    async def _report(
        self, name: IndexName, operation: Operation | None, credentials: str | None
    ) -> IndexView:
        major = await self._surroundings.one_major()
        target = operation.new_index_name if operation else await self._queue.target_of(name)
        state = (await self._cluster.indices.look(name)).get(name)
        need = Need(name, target, state.aliases if state else ())
        privileged = not (
            await self._surroundings.missing_privileges([need])
            or await self._caller_privileges.missing({name: need}, credentials)
        )
        streams = await self._cluster.indices.data_streams()
        warnings = warnings_of(state.settings, major) if state else None
        return IndexView(
            index=state,
            new_index_name=target,
            data_stream=any(name in indices for indices in streams.values()),
            privileged=privileged,
            warnings=warnings if privileged else [],
        )


def _unseen(operation: Operation) -> IndexView:
    """For a user who may not even look at the cluster."""
    return IndexView(
        index=None,
        new_index_name=operation.new_index_name,
        data_stream=False,
        privileged=False,
        warnings=[],
    )


def shown_aliases(state: IndexState | None) -> list[str]:
    """The aliases of an index as a client should see them."""
    return named(state.aliases) if state else []
