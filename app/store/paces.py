"""What was said about the pace: of the service, of batches and operations, and a stop of all."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import func
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlmodel import col, select, update

from app.domain.errors import UnknownBatch, UnknownOperation, WrongState
from app.domain.events import EventKind, Note
from app.domain.job import LIVE, Goal, Job
from app.domain.operation import Step
from app.domain.pace import NO_LIMIT, ClusterHealth, Pace, Scope, Stop
from app.store.tables import (
    IN_HAND_ROWS,
    LIVE_ROWS,
    REWRITES,
    BatchRow,
    ClusterStateRow,
    JobRow,
    read_rows,
    read_tuples,
)
from app.store.transactions import Transaction, Transactions

Change = Callable[[Pace], Pace | None]
"""From the pace that is set, or what holds where none is, to the one that is to be; None: none."""


@dataclass(frozen=True)
class ServicePace:
    """`pace` None: nobody has set one, the settings hold."""

    pace: Pace | None
    stop: Stop | None
    health: ClusterHealth


@dataclass(frozen=True)
class _Owner:
    """Whose pace was changed, in the words of the event, and in whose history it is told."""

    words: str
    operation_id: str | None = None
    batch_id: str | None = None


def _service(_row: Any, _id: str) -> _Owner:
    return _Owner("of the service")


def _batch(row: Any, batch_id: str) -> _Owner:
    if row is None:
        raise UnknownBatch(batch_id)
    return _Owner("of the batch", batch_id=batch_id)


def _operation(row: Any, operation_id: str) -> _Owner:
    if row is None:
        raise UnknownOperation(operation_id)
    if row.status not in [int(status) for status in LIVE]:
        raise WrongState(f"The operation on {row.index_name} has ended.")
    return _Owner(f"of the operation on {row.index_name}", operation_id, row.batch_id)


@dataclass(frozen=True)
class _Place:
    """Where the pace of a scope is stored.

    `query` reads the pace and what `owner` judges: `owner` is given the row that was found, or
    None, and raises where that pace cannot be changed. `only`: conditions for rows that count.
    """

    table: type[Any]
    query: Any
    owner: Callable[[Any, str], _Owner]
    only: tuple[Any, ...] = ()


_PLACES = {
    Scope.SERVICE: _Place(ClusterStateRow, select(col(ClusterStateRow.pace)), _service),
    Scope.BATCH: _Place(BatchRow, select(col(BatchRow.pace)), _batch),
    Scope.OPERATION: _Place(
        JobRow,
        select(col(JobRow.pace), JobRow.status, JobRow.index_name, JobRow.batch_id),
        _operation,
        (REWRITES,),
    ),
}


class Paces:
    """`generation` grows with every change by this service: what was read before it is old."""

    def __init__(self, transactions: Transactions, reader: AsyncEngine, cluster_id: str) -> None:
        self._transactions = transactions
        self._reader = reader
        self._cluster_id = cluster_id
        self.generation = 0

    # --- asking

    async def of_service(self) -> ServicePace:
        state = ClusterStateRow
        query = select(
            col(state.pace), col(state.stop_all), col(state.stop), col(state.health)
        ).where(col(state.cluster_id) == self._cluster_id)
        (row,) = await read_rows(self._reader, query)
        return ServicePace(
            pace=Pace.model_validate(row["pace"]) if row["pace"] else None,
            stop=Stop.model_validate(row["stop"]) if row["stop_all"] else None,
            health=ClusterHealth.model_validate(row["health"] or {}),
        )

    async def get(self, scope: Scope, owner_id: str | None) -> Pace:
        """`NO_LIMIT` where none is set, and for an operation of no batch."""
        if not owner_id:
            return NO_LIMIT
        return (await self.get_all(scope, [owner_id])).get(owner_id, NO_LIMIT)

    async def get_all(self, scope: Scope, owner_ids: Sequence[str]) -> dict[str, Pace]:
        """Those of these batches or operations that have one, by their id."""
        if not owner_ids:
            return {}
        table = _PLACES[scope].table
        query = select(col(table.id), col(table.pace)).where(*self._rows(scope, owner_ids))
        rows = await read_rows(self._reader, query)
        return {row["id"]: Pace.model_validate(row["pace"]) for row in rows if row["pace"]}

    async def of_job(self, job_id: str) -> tuple[Pace, Pace]:
        """Its own, and that of its batch; `NO_LIMIT` where none is set."""
        batch = BatchRow
        query = (
            select(col(JobRow.pace), col(batch.pace))
            .join(batch, col(batch.id) == col(JobRow.batch_id), isouter=True)
            .where(col(JobRow.cluster_id) == self._cluster_id, col(JobRow.id) == job_id)
        )
        for own, of_batch in await read_tuples(self._reader, query):
            return _load(own), _load(of_batch)
        return NO_LIMIT, NO_LIMIT

    async def copying(self) -> int:
        """The operations that are copying now, more or less: the service's rate is for all."""
        row = JobRow
        query = select(func.count().label("copying")).where(
            col(row.cluster_id) == self._cluster_id,
            REWRITES,
            IN_HAND_ROWS,
            col(row.suspended).is_(False),
            col(row.goal) == Goal.FINISH.value,
            col(row.last_completed_step) == int(Step.REINDEX_STARTED),
        )
        (found,) = await read_rows(self._reader, query)
        return int(found["copying"])

    async def blocked_indices(self) -> list[str]:
        """The indices that take no writes, or will in a moment."""
        query = (
            select(JobRow.index_name)
            .where(
                col(JobRow.cluster_id) == self._cluster_id,
                LIVE_ROWS,
                col(JobRow.writes_blocked_since).is_not(None),
            )
            .order_by(col(JobRow.queued_at))
        )
        return [row["index_name"] for row in await read_rows(self._reader, query)]

    # --- requested actions, by anybody

    async def change(
        self, change: Change, by: str, scope: Scope, owner_id: str = "", unset: Pace = NO_LIMIT
    ) -> None:
        """`owner_id`: of the batch or the operation. `unset`: what holds where nothing is set.

        Raises `UnknownBatch`, `UnknownOperation`, `WrongState` where the operation has ended.
        """
        place, this = _PLACES[scope], self._rows(scope, [owner_id])

        async def work(transaction: Transaction) -> None:
            row = (await transaction.execute(place.query.where(*this))).one_or_none()
            owner = place.owner(row, owner_id)
            before = Pace.model_validate(row.pace) if row and row.pace else unset
            after = change(before)
            await self._put(transaction, place.table, this, pace=_dump(after))
            note = _note(before, after or unset, owner.words)
            transaction.announce(by, [note], owner.operation_id, owner.batch_id)

        await self._run(work)

    async def stop(self, by: str, reason: str) -> None:
        """Stops everything; a second one leaves the first as it is."""

        async def work(transaction: Transaction) -> None:
            if await self._locked(transaction, ClusterStateRow.stop_all, self._state):
                return
            stop = Stop(by=by, at=transaction.now, reason=reason).model_dump(mode="json")
            await self._put(transaction, ClusterStateRow, self._state, stop_all=True, stop=stop)
            transaction.announce(by, [Note(what=EventKind.EVERYTHING_STOPPED, text=reason)])

        await self._run(work)

    async def go_on(self, by: str) -> None:
        async def work(transaction: Transaction) -> None:
            if not await self._locked(transaction, ClusterStateRow.stop_all, self._state):
                return
            await self._put(transaction, ClusterStateRow, self._state, stop_all=False, stop=None)
            transaction.announce(by, [Note(what=EventKind.EVERYTHING_GOES_ON)])

        await self._run(work)

    # --- saves, by the worker

    async def save_health(
        self, token: str, health: ClusterHealth, note: Note, job: Job, who: str
    ) -> None:
        """`job`: the one for which the cluster was asked. Raises `LeaseLost`."""

        async def work(transaction: Transaction) -> None:
            dumped = health.model_dump(mode="json")
            await self._put(transaction, ClusterStateRow, self._state, health=dumped)
            transaction.announce(who, [note], job.id, job.batch_id)

        await self._run(work, token)

    def _rows(self, scope: Scope, owner_ids: Sequence[str]) -> tuple[Any, ...]:
        """The conditions for the rows of these; for the service, for the cluster's row."""
        table = _PLACES[scope].table
        if scope is Scope.SERVICE:
            return self._state
        return (
            col(table.cluster_id) == self._cluster_id,
            col(table.id).in_(owner_ids),
            *_PLACES[scope].only,
        )

    @property
    def _state(self) -> tuple[Any, ...]:
        return (col(ClusterStateRow.cluster_id) == self._cluster_id,)

    async def _locked(self, transaction: Transaction, column: Any, where: tuple[Any, ...]) -> Any:
        """A value of the cluster's row, which every transaction has locked."""
        return (await transaction.execute(select(column).where(*where))).scalar_one()

    async def _put(
        self, transaction: Transaction, table: type[Any], where: tuple[Any, ...], **values: Any
    ) -> None:
        await transaction.execute(update(table).where(*where).values(**values))

    async def _run(self, work: Callable[[Transaction], Any], token: str | None = None) -> None:
        try:
            await self._transactions.run(work, token)
        finally:
            self.generation += 1


def _load(stored: Any) -> Pace:
    return Pace.model_validate(stored) if stored else NO_LIMIT


def _dump(pace: Pace | None) -> dict[str, Any] | None:
    """Nothing is stored where nothing is said."""
    return None if pace is None else pace.model_dump(mode="json")


def _note(before: Pace, after: Pace, whose: str) -> Note:
    return Note(
        what=EventKind.PACE_CHANGED,
        text=whose,
        before=before.model_dump(mode="json"),
        after=after.model_dump(mode="json"),
    )
