"""Kept copies: which are there, which may go, and the request to go back to one."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import func
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlmodel import col, or_, select, update

from app.domain import clock
from app.domain.errors import AlreadyInProgress, CannotRollBack, InUse
from app.domain.events import EventKind, Note
from app.domain.job import Lane, Requested
from app.domain.kept import Kept
from app.domain.names import IndexName
from app.domain.operation import Operation
from app.domain.state import Goal, Status
from app.store import claims
from app.store.rows import WHOLE_JOB, operation_of, read_rows, read_tuples, record_of
from app.store.tables import ENDED_REWRITES, KEPT_ROWS, LIVE_REWRITES, REWRITES, JobRow
from app.store.transactions import Transaction, Transactions


class KeptCopies:
    def __init__(self, transactions: Transactions, reader: AsyncEngine, cluster_id: str) -> None:
        self._transactions = transactions
        self._reader = reader
        self._cluster_id = cluster_id

    async def expired(self) -> Operation | None:
        """The completed operation whose kept copy has been there for longest beyond its time."""
        columns = col(JobRow.id), col(JobRow.kept_until), col(JobRow.updated_at)
        query = (
            select(*columns)
            .where(
                col(JobRow.cluster_id) == self._cluster_id,
                REWRITES,
                KEPT_ROWS,
                col(JobRow.kept_until) <= clock.latest(),
                col(JobRow.status) == int(Status.COMPLETED),
            )
            .order_by(col(JobRow.kept_until))
        )
        for operation_id, kept_until, updated_at in await read_tuples(self._reader, query):
            if clock.reached(kept_until, updated_at):
                of_it = select(JobRow).where(col(JobRow.id) == operation_id)
                (row,) = await read_rows(self._reader, of_it)
                return operation_of(row)
        return None

    async def behind(self, names: Sequence[IndexName]) -> dict[str, IndexName]:
        """Of `names`, those that a rollback has made aliases of a kept copy, and of which."""
        columns = col(JobRow.index_name), col(JobRow.kept)
        query = (
            select(*columns)
            .where(
                col(JobRow.cluster_id) == self._cluster_id,
                col(JobRow.index_name).in_(names),
                ENDED_REWRITES,
                col(JobRow.status) == int(Status.CANCELLED),
                col(JobRow.goal) == Goal.ROLL_BACK.value,
            )
            .order_by(col(JobRow.queued_at))
        )
        rows = await read_rows(self._reader, query)
        return {row["index_name"]: Kept.model_validate(row["kept"]).name for row in rows}

    async def in_use(self, operation: Operation) -> InUse | None:
        """Which job uses its kept copy; None where none does, or there is no copy."""
        if operation.kept is None:
            return None
        return await claims.in_use(self._reader, self._cluster_id, operation.kept.name)

    async def request_rollback(
        self, operation: Operation, caller: str, *, forced: bool
    ) -> Operation:
        """Wakes a completed operation for the way back to its kept copy, beside the queue.

        Raises `AlreadyInProgress` where something else is done with one of its indices, and
        `CannotRollBack` where it is not any more as it was read.
        """

        async def work(transaction: Transaction) -> Operation:
            names = await self._free_names(transaction, operation)
            try:
                await claims.take(transaction, operation.id, names)
            except InUse as error:
                raise AlreadyInProgress(error.about) from error
            woken = await transaction.execute(
                update(JobRow)
                .where(
                    col(JobRow.id) == operation.id,
                    col(JobRow.version) == operation.version,
                    col(JobRow.status) == int(Status.COMPLETED),
                    KEPT_ROWS,
                )
                .values(
                    status=int(Status.IN_PROGRESS),
                    goal=Goal.ROLL_BACK.value,
                    requested=Requested.NONE.value,
                    position_back="",
                    lane=Lane.BESIDE.value,
                    record=record_of(operation.model_copy(update={"forced": forced})),
                    ended_at=None,
                    updated_at=transaction.now,
                    version=operation.version + 1,
                )
                .returning(WHOLE_JOB)
            )
            row = woken.mappings().one_or_none()
            if row is None:
                raise CannotRollBack(
                    "changed", "The operation has changed in this moment. Please try again."
                )
            note = Note(
                what=EventKind.ROLLBACK_REQUESTED,
                index=operation.index_name,
                text="forced" if forced else "",
            )
            transaction.announce(caller, [note], operation.id, operation.batch_id)
            return operation_of(row)

        return await self._transactions.run(work)

    async def _free_names(self, transaction: Transaction, operation: Operation) -> list[IndexName]:
        """Its indices. Raises `AlreadyInProgress` where another one is to read or fill one."""
        names = [operation.index_name, operation.new_index_name]
        if operation.kept:
            names.append(operation.kept.name)
        source = func.coalesce(JobRow.concrete_name, JobRow.index_name)
        found = await transaction.execute(
            select(JobRow.index_name).where(
                col(JobRow.cluster_id) == self._cluster_id,
                LIVE_REWRITES,
                or_(
                    col(JobRow.index_name).in_(names),
                    col(JobRow.new_index_name).in_(names),
                    source.in_(names),
                ),
            )
        )
        if busy := found.scalar():
            raise AlreadyInProgress(busy)
        return names
