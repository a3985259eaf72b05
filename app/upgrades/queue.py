"""The queue: what API, command line and dashboard call. Wishes are written here, never effects."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from app.domain.errors import NotInProgress, OperationNotFound
from app.domain.job import Requested
from app.domain.names import IndexName
from app.domain.operation import Operation
from app.domain.pace import NO_LIMIT, Pace
from app.domain.request import ReindexRequest
from app.jobs.verdicts import cancel_refusal
from app.jobs.wake_up import WakeUps
from app.store.enqueueing import BatchKey, Enqueued, refusal_entry
from app.store.operations import Operations
from app.store.wishes import Wishes
from app.telemetry import logger
from app.upgrades.admission import Admission, RefusedName

log = logger(__name__)


@dataclass(frozen=True)
class Batch:
    """The answer to a batch: what was queued, in order, and what was not and why.

    `id` None: one with this key was there already, and nothing was queued.
    """

    id: str | None
    enqueued: list[Operation]
    refused: list[RefusedName]


class Queue:
    def __init__(
        self, operations: Operations, wishes: Wishes, admission: Admission, wake_ups: WakeUps
    ) -> None:
        self._operations = operations
        self._wishes = wishes
        self._admission = admission
        self._wake_ups = wake_ups

    async def enqueue_batch(
        self,
        requests: Sequence[ReindexRequest],
        caller: str,
        key: BatchKey | None = None,
        pace: Pace = NO_LIMIT,
    ) -> Batch:
        """Queues every index that can be, in order; the others are in `refused`.

        Raises `MixedVersions`, `ClusterTrouble` and `StoreTrouble`: then nothing was queued.
        """
        queued, refused = await self._enqueue(requests, caller, single=False, key=key, pace=pace)
        if queued.repeated:
            return Batch(None, [], [])
        log.info("batch_queued", queued=len(queued.operations), refused=len(refused))
        return Batch(queued.batch_id, queued.operations, refused)

    async def start(
        self,
        request: ReindexRequest,
        caller: str,
        *,
        enqueue: bool = False,
        pace: Pace = NO_LIMIT,
    ) -> Operation:
        """Starts or resumes one index beside the queue, or in it where `enqueue` is set, as a batch
        with that `pace`.

        Raises `Refused`, `ClusterTrouble`, `StoreTrouble`.
        """
        queued, refused = await self._enqueue([request], caller, single=not enqueue, pace=pace)
        for fault in refused:
            raise fault.error
        log.info("operation_queued", index=request.index_name)
        return queued.operations[0]

    async def cancel(self, name: str, caller: str) -> None:
        """Cancels the index's operation: at once where it was not started, else soon.

        Raises `OperationNotFound`, `CannotCancel`.
        """
        operation = await self._operations.latest(IndexName(name))
        if operation is None:
            raise OperationNotFound(name)
        if error := cancel_refusal(operation):
            raise error
        ids = [operation.id]
        if not await self._wishes.end_waiting(ids, caller) and not (
            await self._wishes.leave(ids, Requested.CANCEL, caller)
        ):
            raise NotInProgress
        self._wake_ups.wake()
        log.info("cancel_requested", index=name, operation=operation.id)

    async def target_of(self, name: IndexName) -> IndexName:
        """What `name` would be copied to by Kibana's rule."""
        return await self._admission.target_of(name)

    async def _enqueue(
        self,
        requests: Sequence[ReindexRequest],
        caller: str,
        *,
        single: bool,
        key: BatchKey | None = None,
        pace: Pace = NO_LIMIT,
    ) -> tuple[Enqueued, list[RefusedName]]:
        good, refused = await self._admission.admit(requests)
        earlier = [refusal_entry(name.name, name.error) for name in _in_order(requests, refused)]
        queued = await self._operations.enqueue(
            good, caller, earlier, single=single, key=key, pace=pace
        )
        refused += [RefusedName(name, error) for name, error in queued.refused.items()]
        self._wake_ups.wake()
        return queued, _in_order(requests, refused)


def _in_order(requests: Sequence[ReindexRequest], refused: list[RefusedName]) -> list[RefusedName]:
    position = {request.index_name: n for n, request in enumerate(requests)}
    return sorted(refused, key=lambda r: position[r.name])
