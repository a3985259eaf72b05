"""Batches with their own options: posted once under an idempotency key, and looked at later."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from app.copying.pace import Pacing
from app.domain.brief import Brief
from app.domain.errors import KeyReused, UnknownBatch
from app.domain.pace import NO_LIMIT, Pace
from app.domain.request import ReindexRequest
from app.domain.state import State
from app.store.batches import BatchRecord
from app.store.enqueueing import BatchKey, refusal_entry
from app.store.listing import Filter
from app.store.store import Store
from app.upgrades.queue import Queue

Refusals = Sequence[dict[str, str]]
"""`index`, `code` and `message` of each name that was not queued."""


@dataclass(frozen=True)
class PostedBatch:
    id: str
    operations: list[Brief]
    refused: Refusals


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
    ) -> PostedBatch:
        """Queues a batch; with a key that was used before, answers the batch of then.

        Raises `InvalidPace`, `KeyReused`, and what `Queue.enqueue_batch` raises.
        """
        if key and (known := await self._store.batches.posted_with(key.key)):
            return await self._known(known, key, requests)
        await self._pacing.check_batch(pace)
        batch = await self._queue.enqueue_batch(requests, caller, key, pace)
        if batch.id is None:  # another request with this key was quicker
            assert key is not None
            known = await self._store.batches.posted_with(key.key)
            assert known is not None
            return await self._known(known, key, requests)
        return PostedBatch(
            batch.id,
            [Brief.of(operation) for operation in batch.enqueued],
            [refusal_entry(refused.name, refused.error) for refused in batch.refused],
        )

    async def find(self, batch_id: str) -> tuple[BatchRecord, dict[State, int]]:
        """A batch, and how many of its operations are in each state. Raises `UnknownBatch`."""
        record = await self._store.batches.find(batch_id)
        if record is None:
            raise UnknownBatch(batch_id)
        return record, await self._store.listing.counts(Filter(batch=batch_id))

    async def _known(
        self, record: BatchRecord, key: BatchKey, requests: Sequence[ReindexRequest]
    ) -> PostedBatch:
        if record.request_hash != key.request_hash:
            raise KeyReused
        found = await self._store.listing.page(Filter(batch=record.id), len(requests))
        place = {request.index_name: n for n, request in enumerate(requests)}
        refused = sorted(record.refused, key=lambda entry: place.get(entry["index"], 0))
        return PostedBatch(record.id, found, refused)
