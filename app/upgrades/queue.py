"""The queue: enqueue, start or resume, cancel by name; batches, found again by their key."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from app.copying.pace import Pacing
from app.domain.brief import Brief
from app.domain.errors import KeyReused, NotInProgress, OperationNotFound, UnknownBatch
from app.domain.job import Requested, State
from app.domain.names import IndexName
from app.domain.operation import Operation
from app.domain.pace import NO_LIMIT, Pace
from app.domain.principal import ANYBODY, Principal
from app.domain.reach import EVERYTHING, Reach
from app.domain.request import ReindexRequest
from app.jobs.term import WakeUps
from app.jobs.verdicts import cancel_refusal
from app.store.enqueueing import BatchKey, BatchRecord, Enqueued, refusal_entry
from app.store.listing import Filter
from app.store.operations import Operations
from app.store.requested_actions import RequestedActions
from app.store.store import Store
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
        self,
        operations: Operations,
        requested_actions: RequestedActions,
        admission: Admission,
        wake_ups: WakeUps,
    ) -> None:
        self._operations = operations
        self._requested_actions = requested_actions
        self._admission = admission
        self._wake_ups = wake_ups

    async def enqueue_batch(
        self,
        requests: Sequence[ReindexRequest],
        caller: str,
        key: BatchKey | None = None,
        pace: Pace = NO_LIMIT,
        reach: Reach = EVERYTHING,
        credentials: str | None = None,
    ) -> Batch:
        """Queues every index that can be, in order; the others are in `refused`. `reach` and
        `credentials`: of the caller.

        Raises `MixedVersions`, `ClusterTrouble` and `StoreTrouble`: then nothing was queued.
        """
        queued, refused = await self._enqueue(
            requests,
            caller,
            single=False,
            key=key,
            pace=pace,
            reach=reach,
            credentials=credentials,
        )
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
        reach: Reach = EVERYTHING,
        credentials: str | None = None,
    ) -> Operation:
        """Starts or resumes one index beside the queue, or in it where `enqueue` is set, as a batch
        with that `pace`. `reach` and `credentials`: of the caller.

        Raises `Refused`, `ClusterTrouble`, `StoreTrouble`.
        """
        queued, refused = await self._enqueue(
            [request],
            caller,
            single=not enqueue,
            pace=pace,
            reach=reach,
            credentials=credentials,
        )
        for fault in refused:
            raise fault.error
        log.info("operation_queued", index=request.index_name)
        return queued.operations[0]

    async def cancel(self, name: str, caller: str, reach: Reach = EVERYTHING) -> None:
        """Cancels the index's operation: at once where it was not started, else soon. `reach`: of
        the caller.

        Raises `OutOfReach`, `OperationNotFound`, `CannotCancel`.
        """
        index = IndexName(name)
        reach.require(index)
        operation = await self._operations.latest(index)
        if operation is None or not reach.covers_pair(operation):
            raise OperationNotFound(name)
        if error := cancel_refusal(operation):
            raise error
        ids = [operation.id]
        if not await self._requested_actions.end_waiting(ids, caller) and not (
            await self._requested_actions.leave(ids, Requested.CANCEL, caller)
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
        reach: Reach = EVERYTHING,
        credentials: str | None = None,
    ) -> tuple[Enqueued, list[RefusedName]]:
        good, refused = await self._admission.admit(requests, reach, credentials)
        earlier = [refusal_entry(name.name, name.error) for name in _in_order(requests, refused)]
        queued = await self._operations.enqueue(
            good, caller, earlier, single=single, key=key, pace=pace, reach=reach
        )
        refused += [RefusedName(name, error) for name, error in queued.refused.items()]
        self._wake_ups.wake()
        return queued, _in_order(requests, refused)


def _in_order(requests: Sequence[ReindexRequest], refused: list[RefusedName]) -> list[RefusedName]:
    position = {request.index_name: n for n, request in enumerate(requests)}
    return sorted(refused, key=lambda r: position[r.name])


Refusals = Sequence[dict[str, str]]
"""`index`, `code` and `message` of each name that was not queued."""


@dataclass(frozen=True)
class PostedBatch:
    """`others`: as in `BatchState`, where the batch was there before."""

    id: str
    operations: list[Brief]
    refused: Refusals
    others: int | None = None


@dataclass(frozen=True)
class BatchState:
    """A batch, how many of its operations are in each state, and what was refused. `others`: so
    many operations more, which the asker may not see; None where there is no limit for them."""

    record: BatchRecord
    counts: dict[State, int]
    refused: Refusals
    others: int | None = None


class BatchDesk:
    def __init__(self, store: Store, queue: Queue, pacing: Pacing) -> None:
        self._pacing = pacing
        self._store = store
        self._queue = queue

    async def post(
        self,
        requests: Sequence[ReindexRequest],
        caller: str,
        key: BatchKey | None,
        pace: Pace = NO_LIMIT,
        reach: Reach = EVERYTHING,
        credentials: str | None = None,
    ) -> PostedBatch:
        """Queues a batch; with a key that was used before, answers the batch of then. `reach` and
        `credentials`: of the caller.

        Raises `InvalidPace`, `KeyReused`, and what `Queue.enqueue_batch` raises.
        """
        if key and (known := await self._store.batches.posted_with(key.key)):
            return await self._known(known, key, requests, caller, reach)
        await self._pacing.check_batch(pace)
        batch = await self._queue.enqueue_batch(requests, caller, key, pace, reach, credentials)
        if batch.id is None:  # another request with this key was quicker
            assert key is not None
            known = await self._store.batches.posted_with(key.key)
            assert known is not None
            return await self._known(known, key, requests, caller, reach)
        return PostedBatch(
            batch.id,
            [Brief.of(operation) for operation in batch.enqueued],
            [refusal_entry(refused.name, refused.error) for refused in batch.refused],
        )

    async def find(self, batch_id: str, asker: Principal = ANYBODY) -> BatchState:
        """A batch, as far as `asker` may see it; `UnknownBatch` also where that is nothing."""
        record = await self._store.batches.find(batch_id)
        if record is None:
            raise UnknownBatch(batch_id)
        reach = asker.reach
        counts = await self._store.listing.counts(Filter(batch=batch_id, reach=reach))
        if not sum(counts.values()) and reach.limited and not record.is_of(asker.name, reach):
            raise UnknownBatch(batch_id)
        refused = _seen(record, asker.name, reach)
        others = await self._store.listing.others_of_batch(batch_id, reach)
        return BatchState(record, counts, refused, others)

    async def _known(
        self,
        record: BatchRecord,
        key: BatchKey,
        requests: Sequence[ReindexRequest],
        caller: str,
        reach: Reach,
    ) -> PostedBatch:
        if record.request_hash != key.request_hash:
            raise KeyReused
        seen = Filter(batch=record.id, reach=reach)
        found = await self._store.listing.page(seen, len(requests))
        if not found and reach.limited and not record.is_of(caller, reach):
            raise KeyReused(by_another=True)
        place = {request.index_name: n for n, request in enumerate(requests)}
        refused = _seen(record, caller, reach)
        return PostedBatch(
            record.id,
            found,
            sorted(refused, key=lambda entry: place.get(entry["index"], 0)),
            await self._store.listing.others_of_batch(record.id, reach),
        )


def _seen(record: BatchRecord, name: str, reach: Reach) -> Refusals:
    """What was refused, as far as whoever has that name and reach may see it. It says of names
    whether they exist, and names other indices here and there: who is limited to some sees it of
    their own batches only."""
    return record.refused if not reach.limited or record.is_of(name, reach) else ()
