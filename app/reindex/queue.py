"""The queue: what API, command line and dashboard call. Wishes are written here, never effects."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from app.domain.errors import (
    AlreadyInProgress,
    CannotCancel,
    InvalidIndexName,
    MissingPrivileges,
    OperationNotFound,
    Refused,
)
from app.domain.names import IndexName, target_name
from app.domain.operation import Operation, Status, Step, Wish
from app.domain.request import ReindexRequest
from app.elastic.answers import Looked
from app.elastic.view import ClusterView
from app.reindex.announcements import Bell
from app.reindex.classifier import mode_refusal, refusal, target_refusal
from app.reindex.privileges import Need
from app.reindex.surroundings import Surroundings
from app.store.enqueueing import Wanted
from app.store.operations import Operations
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
        self,
        operations: Operations,
        cluster: ClusterView,
        surroundings: Surroundings,
        bell: Bell,
        major: int | None,
    ) -> None:
        self._operations = operations
        self._cluster = cluster
        self._surroundings = surroundings
        self._bell = bell
        self._major = major

    async def enqueue_batch(self, requests: Sequence[ReindexRequest], caller: str) -> Batch:
        """Queues every index that can be, in order; the others are in `refused`.

        Raises `MixedVersions`, `ClusterTrouble` and `StoreTrouble`: then nothing was queued.
        """
        queued, refused = await self._enqueue(requests, caller, single=False)
        log.info("batch_queued", queued=len(queued), refused=len(refused))
        return Batch(queued, refused)

    async def start(
        self, request: ReindexRequest, caller: str, *, enqueue: bool = False
    ) -> Operation:
        """Starts or resumes one index beside the queue, or in it where `enqueue` is set.

        Raises `Refused`, `ClusterTrouble`, `StoreTrouble`.
        """
        queued, refused = await self._enqueue([request], caller, single=not enqueue)
        for fault in refused:
            raise fault.error
        log.info("operation_queued", index=request.index_name)
        return queued[0]

    async def cancel(self, name: str, caller: str) -> None:
        """Cancels the index's operation: at once where it was not started, else soon.

        Raises `OperationNotFound`, `CannotCancel`.
        """
        operation = await self._operations.latest(IndexName(name))
        if operation is None:
            raise OperationNotFound(name)
        if not operation.live:
            raise CannotCancel("Reindex operation is not in progress")
        if operation.status is Status.IN_PROGRESS and (
            operation.last_completed_step >= Step.ALIAS_CREATED
        ):
            raise CannotCancel(
                "Reindex operation is not currently waiting for reindex task to complete"
            )
        if not await self._operations.end_waiting(operation.id, caller) and not (
            await self._operations.wish(operation.id, Wish.CANCEL, caller)
        ):
            raise CannotCancel("Reindex operation is not in progress")
        self._bell.ring()
        log.info("cancel_requested", index=name, operation=operation.id)

    async def target_of(self, name: IndexName) -> IndexName:
        """What `name` would be copied to by Kibana's rule."""
        return target_name(name, self._major or await self._surroundings.one_major())

    async def _enqueue(
        self, requests: Sequence[ReindexRequest], caller: str, *, single: bool
    ) -> tuple[list[Operation], list[RefusedName]]:
        running = await self._surroundings.one_major()
        wanted, refused = _well_formed(requests, self._major or running)
        faults = await self._faults(wanted, requests)
        refused += [RefusedName(name, error) for name, error in faults.items()]
        good = [wish for wish in wanted if wish.index_name not in faults]
        earlier = [{"indexName": r.name, "message": r.error.message} for r in refused]
        queued = await self._operations.enqueue(good, caller, earlier, single=single)
        refused += [RefusedName(name, error) for name, error in queued.refused.items()]
        self._bell.ring()
        return queued.operations, _in_order(requests, refused)

    async def _faults(
        self, wanted: Sequence[Wanted], requests: Sequence[ReindexRequest]
    ) -> dict[IndexName, Refused]:
        """Who of `wanted` the cluster's state, our privileges or our history speak against.

        An index that has a live operation is left to the store: it is refused or resumed there.
        `named`: the indices whose target the client named.
        """
        live = await self._operations.live_names()
        new = [wish for wish in wanted if wish.index_name not in live]
        if not new:
            return {}
        looked = await self._cluster.look_at_all(
            [name for wish in new for name in (wish.index_name, wish.new_index_name)]
        )
        streams = await self._cluster.data_streams()
        earlier = await self._operations.completed_targets([wish.index_name for wish in new])
        leftovers = await self._operations.leftover_targets()
        faults = {
            wish.index_name: fault
            for wish in new
            if (
                fault := refusal(wish.index_name, looked, streams, earlier)
                or _of_target(wish, looked, leftovers)
            )
        }
        needs = [
            Need(wish.index_name, wish.new_index_name, looked[wish.index_name].aliases)
            for wish in new
            if wish.index_name not in faults
        ]
        return faults | await self._privilege_faults(needs, requests)

    async def _privilege_faults(
        self, needs: Sequence[Need], requests: Sequence[ReindexRequest]
    ) -> dict[IndexName, Refused]:
        lacking = await self._surroundings.missing_privileges(needs)
        if lacking:
            log.warning(
                "privileges_missing", indices=len(lacking), first=next(iter(lacking.items()))
            )
        given = {request.index_name: request.new_index_name for request in requests}
        return {
            name: MissingPrivileges(name, given[name], words) for name, words in lacking.items()
        }


def _of_target(wish: Wanted, looked: Looked, leftovers: set[str]) -> Refused | None:
    return target_refusal(wish.index_name, wish.new_index_name, looked, leftovers) or mode_refusal(
        wish.mode, looked[wish.index_name]
    )


def _well_formed(
    requests: Sequence[ReindexRequest], major: int
) -> tuple[list[Wanted], list[RefusedName]]:
    """What was asked for with names checked by their form; a name asked for twice counts once."""
    wanted: dict[IndexName, Wanted] = {}
    refused: list[RefusedName] = []
    for request in requests:
        try:
            wish = _wanted(request, major)
        except InvalidIndexName as error:
            refused.append(RefusedName(request.index_name, error))
            continue
        if wish.index_name in wanted:
            refused.append(RefusedName(wish.index_name, AlreadyInProgress(wish.index_name)))
        else:
            wanted[wish.index_name] = wish
    return list(wanted.values()), refused


def _wanted(request: ReindexRequest, major: int) -> Wanted:
    name = IndexName(request.index_name)
    given = request.new_index_name
    return Wanted(
        index_name=name,
        new_index_name=IndexName(given) if given is not None else target_name(name, major),
        keeps_source=request.keeps_source,
        delete_old_index=request.delete_old_index,
        mode=request.mode,
    )


def _in_order(requests: Sequence[ReindexRequest], refused: list[RefusedName]) -> list[RefusedName]:
    position = {request.index_name: n for n, request in enumerate(requests)}
    return sorted(refused, key=lambda r: position[r.name])
