"""The queue: what API, command line and dashboard call. Wishes are written here, never effects."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from app.domain.errors import (
    AlreadyInProgress,
    CannotCancel,
    IndexNotFound,
    InvalidIndexName,
    NotAnIndex,
    OperationNotFound,
    Refused,
)
from app.domain.names import IndexName, target_name
from app.domain.operation import Operation, Status, Step, Wish
from app.elastic.answers import Looked
from app.elastic.view import ClusterView
from app.reindex.announcements import Bell
from app.store.operations import Operations, Wanted
from app.telemetry import logger

log = logger(__name__)


@dataclass(frozen=True)
class RefusedName:
    name: str
    error: Refused


@dataclass(frozen=True)
class Batch:
    """The answer to a batch: what was queued, in order, and what was not and why."""

    enqueued: list[Operation]
    refused: list[RefusedName]


class Queue:
    def __init__(
        self, operations: Operations, cluster: ClusterView, bell: Bell, major: int | None
    ) -> None:
        self._operations = operations
        self._cluster = cluster
        self._bell = bell
        self._major = major

    async def enqueue_batch(self, names: Sequence[str], caller: str) -> Batch:
        """Queues every name that can be, in order; the others are in `refused`.

        Raises `ClusterTrouble` and `StoreTrouble`: then nothing was queued.
        """
        good, refused = _valid(names)
        wanted: list[Wanted] = []
        major = await self._prefix_major()
        looked = await self._cluster.look_at_all(good) if good else Looked()
        for name in good:
            try:
                wanted.append(_wanted(name, looked, major))
            except Refused as error:
                refused.append(RefusedName(name, error))
        earlier = [{"indexName": r.name, "message": r.error.message} for r in refused]
        queued = await self._operations.enqueue(wanted, caller, earlier)
        refused += [RefusedName(name, error) for name, error in queued.refused.items()]
        self._bell.ring()
        log.info("batch_queued", queued=len(queued.operations), refused=len(refused))
        return Batch(queued.operations, _in_order(names, refused))

    async def start(self, name: str, caller: str) -> Operation:
        """Queues one index by itself. Raises `Refused`, `ClusterTrouble`, `StoreTrouble`."""
        index = IndexName(name)
        looked = await self._cluster.look(index)
        wanted = _wanted(index, looked, await self._prefix_major())
        queued = await self._operations.enqueue([wanted], caller, single=True)
        for error in queued.refused.values():
            raise error
        self._bell.ring()
        log.info("operation_queued", index=index)
        return queued.operations[0]

    async def cancel(self, name: str, caller: str) -> None:
        """Cancels the index's operation: at once where it was not started, else soon.

        Raises `OperationNotFound`, `CannotCancel`.
        """
        operation = await self._operations.latest(IndexName(name))
        if operation is None:
            raise OperationNotFound(name)
        if operation.status is not Status.IN_PROGRESS:
            raise CannotCancel("Reindex operation is not in progress")
        if operation.last_completed_step >= Step.ALIAS_CREATED:
            raise CannotCancel(
                "Reindex operation is not currently waiting for reindex task to complete"
            )
        if not await self._operations.end_waiting(operation.id, caller) and not (
            await self._operations.wish(operation.id, Wish.CANCEL, caller)
        ):
            raise CannotCancel("Reindex operation is not in progress")
        self._bell.ring()
        log.info("cancel_requested", index=name, operation=operation.id)

    async def _prefix_major(self) -> int:
        """The major in `reindexed-v8-…`: the cluster's own unless a setting says otherwise."""
        running = (await self._cluster.version()).major
        return self._major or running


def _valid(names: Sequence[str]) -> tuple[list[IndexName], list[RefusedName]]:
    good: dict[IndexName, None] = {}
    refused: list[RefusedName] = []
    for name in names:
        try:
            index = IndexName(name)
        except InvalidIndexName as error:
            refused.append(RefusedName(name, error))
            continue
        if index in good:
            refused.append(RefusedName(name, AlreadyInProgress(name)))
        good[index] = None
    return list(good), refused


def _wanted(name: IndexName, looked: Looked, major: int) -> Wanted:
    """Raises `Refused` where the cluster has no index of that name."""
    if name in looked:
        return Wanted(name, target_name(name, major))
    if holders := looked.holders(name):
        raise NotAnIndex(name, holders)
    raise IndexNotFound(name)


def _in_order(names: Sequence[str], refused: list[RefusedName]) -> list[RefusedName]:
    position = {name: n for n, name in enumerate(names)}
    return sorted(refused, key=lambda r: position[r.name])
