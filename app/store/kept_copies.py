"""Kept copies: which are there, which may go, and the request to go back to one."""

from __future__ import annotations

from collections.abc import Sequence

from pydantic import TypeAdapter
from sqlalchemy import func
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlmodel import col, or_, select, update

from app.domain import clock
from app.domain.errors import AlreadyInProgress, CannotRollBack
from app.domain.events import EventKind, Note
from app.domain.kept import Kept
from app.domain.names import IndexName
from app.domain.operation import Goal, Operation, Status, Wish
from app.store.rows import operation_of, read_rows, read_tuples
from app.store.tables import ENDED_ROWS, KEPT_ROWS, LIVE_ROWS, OperationRow
from app.store.transactions import Transaction, Transactions

_OPERATIONS = TypeAdapter(list[Operation])


class KeptCopies:
    def __init__(self, transactions: Transactions, reader: AsyncEngine, cluster_id: str) -> None:
        self._transactions = transactions
        self._reader = reader
        self._cluster_id = cluster_id

    async def expired(self) -> Operation | None:
        """The completed operation whose kept copy has been there for longest beyond its time."""
        columns = col(OperationRow.id), col(OperationRow.kept_until), col(OperationRow.updated_at)
        query = (
            select(*columns)
            .where(
                col(OperationRow.cluster_id) == self._cluster_id,
                KEPT_ROWS,
                col(OperationRow.kept_until) <= clock.latest(),
                col(OperationRow.status) == int(Status.COMPLETED),
            )
            .order_by(col(OperationRow.kept_until))
        )
        for operation_id, kept_until, updated_at in await read_tuples(self._reader, query):
            if clock.reached(kept_until, updated_at):
                of_it = select(OperationRow).where(col(OperationRow.id) == operation_id)
                (found,) = _OPERATIONS.validate_python(await read_rows(self._reader, of_it))
                return found
        return None

    async def behind(self, names: Sequence[IndexName]) -> dict[str, IndexName]:
        """Of `names`, those that a rollback has made aliases of a kept copy, and of which."""
        columns = col(OperationRow.index_name), col(OperationRow.kept)
        query = (
            select(*columns)
            .where(
                col(OperationRow.cluster_id) == self._cluster_id,
                col(OperationRow.index_name).in_(names),
                ENDED_ROWS,
                col(OperationRow.status) == int(Status.CANCELLED),
                col(OperationRow.goal) == Goal.ROLL_BACK.value,
            )
            .order_by(col(OperationRow.queued_at))
        )
        rows = await read_rows(self._reader, query)
        return {row["index_name"]: Kept.model_validate(row["kept"]).name for row in rows}

    async def request_rollback(
        self, operation: Operation, caller: str, *, forced: bool
    ) -> Operation:
        """Wakes a completed operation for the way back to its kept copy, beside the queue.

        Raises `AlreadyInProgress` where something else is done with one of its indices, and
        `CannotRollBack` where it is not any more as it was read.
        """

        async def work(transaction: Transaction) -> Operation:
            await self._check_free(transaction, operation)
            woken = await transaction.execute(
                update(OperationRow)
                .where(
                    col(OperationRow.id) == operation.id,
                    col(OperationRow.version) == operation.version,
                    col(OperationRow.status) == int(Status.COMPLETED),
                    KEPT_ROWS,
                )
                .values(
                    status=int(Status.IN_PROGRESS),
                    goal=Goal.ROLL_BACK.value,
                    requested=Wish.NONE.value,
                    position_back="",
                    single=True,
                    forced=forced,
                    ended_at=None,
                    updated_at=transaction.now,
                    version=operation.version + 1,
                )
                .returning(OperationRow)  # pyright: ignore[reportArgumentType]
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

    async def _check_free(self, transaction: Transaction, operation: Operation) -> None:
        """Raises `AlreadyInProgress` where another operation reads or fills one of its indices."""
        names = [operation.index_name, operation.new_index_name]
        if operation.kept:
            names.append(operation.kept.name)
        source = func.coalesce(OperationRow.concrete_name, OperationRow.index_name)
        found = await transaction.execute(
            select(OperationRow.index_name).where(
                col(OperationRow.cluster_id) == self._cluster_id,
                LIVE_ROWS,
                or_(
                    col(OperationRow.index_name).in_(names),
                    col(OperationRow.new_index_name).in_(names),
                    source.in_(names),
                ),
            )
        )
        if busy := found.scalar():
            raise AlreadyInProgress(busy)
