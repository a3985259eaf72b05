"""Asking for the way back to a kept copy. A wish is written here; the worker goes the way."""

from __future__ import annotations

from app.domain.errors import CannotRollBack, UnknownOperation
from app.domain.operation import Operation
from app.domain.state import Goal, Status
from app.elastic.cluster import ClusterView
from app.jobs.wake_up import WakeUps
from app.store.store import Store
from app.telemetry import logger
from app.upgrades import objections
from app.upgrades.steps.identity import look
from app.upgrades.surroundings import Surroundings

log = logger(__name__)


class Rollback:
    def __init__(
        self, store: Store, cluster: ClusterView, surroundings: Surroundings, wake_ups: WakeUps
    ) -> None:
        self._store = store
        self._cluster = cluster
        self._surroundings = surroundings
        self._wake_ups = wake_ups

    async def request(self, operation_id: str, caller: str, *, forced: bool) -> Operation:
        """Lets the worker give the old name back to the kept copy, beside the queue.

        What can be known to be refused is refused here; the worker looks at all of it again. One
        that goes back, or has gone, is answered as it is.

        Raises `UnknownOperation`, `CannotRollBack`, `AlreadyInProgress`, `ClusterTrouble`.
        """
        operation = await self._store.operations.find(operation_id)
        if operation is None:
            raise UnknownOperation(operation_id)
        if operation.goal is Goal.ROLL_BACK and operation.status is not Status.COMPLETED:
            return operation
        if fault := objections.of_record(operation):
            raise fault
        if fault := await self._fault(operation, forced=forced):
            raise fault
        woken = await self._store.kept_copies.request_rollback(operation, caller, forced=forced)
        self._wake_ups.wake()
        log.info("rollback_requested", operation=operation_id, index=operation.index_name)
        return woken

    async def _fault(self, operation: Operation, *, forced: bool) -> CannotRollBack | None:
        looked = await look(operation.pair, self._cluster)
        fault = objections.of_indices(operation, looked)
        if fault or forced:
            return fault
        if fault := objections.of_age(operation, looked, await self._surroundings.one_major()):
            return fault
        target = looked[operation.new_index_name]
        if target.closed:  # 7.17 tells nothing of a closed one; the worker opens it to look
            return None
        stats = await self._cluster.shards.stats(target.index_name)
        return objections.of_writes(operation, [stats[n].max_seq_no for n in sorted(stats)])
