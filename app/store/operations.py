"""Operations and their windows: every question and every save."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import TypeAdapter
from sqlalchemy import Select, func, insert
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlmodel import col, select, update
from sqlmodel.ext.asyncio.session import AsyncSession
from sqlmodel.sql.expression import SelectOfScalar

from app.domain.errors import AlreadyInProgress, Outdated, Refused, TargetTaken
from app.domain.names import IndexName
from app.domain.operation import LIVE, Changes, Goal, Note, Operation, Status, Wish
from app.domain.windows import Window, WindowState
from app.store.tables import BatchRow, OperationRow, WindowRow
from app.store.transactions import TROUBLE, Transaction, Transactions, unavailable

_LIVE = [int(status) for status in LIVE]
_OPERATIONS = TypeAdapter(list[Operation])
_WINDOW_KEYS = ("operation_id", "number")


@dataclass(frozen=True)
class Wanted:
    """An index that somebody wants reindexed, and where to."""

    index_name: IndexName
    new_index_name: IndexName


@dataclass(frozen=True)
class Enqueued:
    operations: list[Operation]
    refused: dict[IndexName, Refused]


class Operations:
    def __init__(self, transactions: Transactions, reader: AsyncEngine, cluster_id: str) -> None:
        self._transactions = transactions
        self._reader = reader
        self._cluster_id = cluster_id

    # --- asking

    async def head(self) -> Operation | None:
        """The first waiting or started operation by `queued_at`."""
        found = await self._select(
            select(OperationRow)
            .where(col(OperationRow.status) == int(Status.IN_PROGRESS))
            .order_by(col(OperationRow.queued_at))
            .limit(1)
        )
        return found[0] if found else None

    async def queue(self) -> list[Operation]:
        """The batch queue: everything in progress that was not started singly, in order."""
        return await self._select(
            select(OperationRow)
            .where(
                col(OperationRow.status) == int(Status.IN_PROGRESS),
                col(OperationRow.single).is_(False),
            )
            .order_by(col(OperationRow.queued_at))
        )

    async def latest(self, index_name: IndexName) -> Operation | None:
        """The newest operation of that index, live or ended."""
        found = await self._select(
            select(OperationRow)
            .where(col(OperationRow.index_name) == index_name)
            .order_by(col(OperationRow.queued_at).desc())
            .limit(1)
        )
        return found[0] if found else None

    async def load(self, operation_id: str) -> Operation:
        return (await self._select(select(OperationRow).where(OperationRow.id == operation_id)))[0]

    async def windows(self, operation_id: str) -> tuple[Window, ...]:
        query = (
            select(WindowRow)
            .where(col(WindowRow.operation_id) == operation_id)
            .order_by(col(WindowRow.number))
        )
        return tuple(Window.model_validate(row) for row in await self._rows(query))

    async def waiting(self) -> int:
        """How many operations are in progress, the running one included."""
        query = select(func.count()).where(
            col(OperationRow.cluster_id) == self._cluster_id,
            col(OperationRow.status) == int(Status.IN_PROGRESS),
        )
        try:
            async with AsyncSession(self._reader) as session:
                return int((await session.exec(query)).one())
        except TROUBLE as error:
            raise unavailable(error) from error

    async def _select(self, query: SelectOfScalar[OperationRow]) -> list[Operation]:
        query = query.where(col(OperationRow.cluster_id) == self._cluster_id)
        return _OPERATIONS.validate_python(await self._rows(query))

    async def _rows(self, query: Select[Any]) -> list[dict[str, Any]]:
        """Rows by column name, without the ORM: it would take half of the time of a long queue."""
        try:
            async with self._reader.connect() as connection:
                found = await connection.execute(query)
                keys = list(found.keys())
                return [dict(zip(keys, row, strict=True)) for row in found]
        except TROUBLE as error:
            raise unavailable(error) from error

    # --- wishes, by anybody

    async def enqueue(
        self,
        wanted: Sequence[Wanted],
        caller: str,
        refused: Sequence[dict[str, str]] = (),
        *,
        single: bool = False,
    ) -> Enqueued:
        """Inserts all that can be, in order, in one transaction; the commit is before the answer.

        An index with a live operation, or one whose target another live operation fills, is
        refused and spoils nothing.
        """

        async def work(transaction: Transaction) -> Enqueued:
            operations, conflicts = await _divide(transaction, wanted)
            batch_id = None if single else uuid.uuid4().hex
            now = transaction.now
            common: dict[str, Any] = {"cluster_id": self._cluster_id, "caller": caller}
            common["created_at"] = now
            if batch_id:
                late = [{"indexName": n, "message": e.message} for n, e in conflicts.items()]
                batch = {"id": batch_id, **common, "refused": [*refused, *late]}
                await transaction.bulk(insert(BatchRow), [batch])
            blank = OperationRow(**common, batch_id=batch_id, single=single, updated_at=now)
            rows = _copies(blank, operations, transaction)
            await transaction.bulk(insert(OperationRow), rows)
            for row in rows:
                note = Note(what="queued", index=row["index_name"], after=row["new_index_name"])
                transaction.announce(caller, [note], row["id"], batch_id)
            return Enqueued([Operation.model_validate(row) for row in rows], conflicts)

        return await self._transactions.run(work)

    async def end_waiting(self, operation_id: str, caller: str) -> bool:
        """Cancels an operation that was never started; False where the worker was quicker."""

        async def work(transaction: Transaction) -> bool:
            now = transaction.now
            ended = await transaction.session.exec(
                update(OperationRow)
                .where(
                    col(OperationRow.id) == operation_id,
                    col(OperationRow.started_at).is_(None),
                    col(OperationRow.status).in_(_LIVE),
                )
                .values(
                    status=int(Status.CANCELLED),
                    goal=Goal.CANCEL.value,
                    updated_at=now,
                    ended_at=now,
                    version=OperationRow.version + 1,
                )
            )
            if ended.rowcount:
                note = Note(what="cancelled", text="before it was started")
                transaction.announce(caller, [note], operation_id)
            return bool(ended.rowcount)

        return await self._transactions.run(work)

    async def wish(self, operation_id: str, wish: Wish, caller: str) -> bool:
        """Leaves a wish for the worker, without touching its `version`; False if it has ended."""

        async def work(transaction: Transaction) -> bool:
            left = await transaction.session.exec(
                update(OperationRow)
                .where(col(OperationRow.id) == operation_id, col(OperationRow.status).in_(_LIVE))
                .values(requested=wish.value)
            )
            if left.rowcount:
                transaction.announce(caller, [Note(what=f"{wish} requested")], operation_id)
            return bool(left.rowcount)

        return await self._transactions.run(work)

    # --- saves, by the worker

    async def claim(self, token: str, operation_id: str, who: str) -> Operation | None:
        """Marks a waiting operation as started; None where it was cancelled meanwhile."""

        async def work(transaction: Transaction) -> Operation | None:
            claimed = await transaction.session.exec(
                update(OperationRow)
                .where(
                    col(OperationRow.id) == operation_id,
                    col(OperationRow.started_at).is_(None),
                    col(OperationRow.status) == int(Status.IN_PROGRESS),
                )
                .values(
                    started_at=int(transaction.now.timestamp() * 1000),
                    updated_at=transaction.now,
                    version=OperationRow.version + 1,
                )
                .returning(OperationRow)  # pyright: ignore[reportArgumentType]
            )
            row = claimed.scalars().one_or_none()
            if row is None:
                return None
            transaction.announce(who, [Note(what="started", index=row.index_name)], row.id)
            return _operation(row)

        return await self._transactions.run(work, token)

    async def save(
        self,
        token: str,
        operation: Operation,
        changes: Changes,
        windows: Sequence[Window],
        notes: Sequence[Note],
        who: str,
    ) -> Operation:
        """Saves one outcome: fields, windows and events, or nothing.

        Raises `LeaseLost`, and `Outdated` where the row is not the one that was read.
        """

        async def work(transaction: Transaction) -> Operation:
            saved = await transaction.session.exec(
                update(OperationRow)
                .where(
                    col(OperationRow.id) == operation.id,
                    col(OperationRow.version) == operation.version,
                )
                .values(
                    **_columns(changes),
                    updated_at=transaction.now,
                    version=operation.version + 1,
                )
                .returning(OperationRow)  # pyright: ignore[reportArgumentType]
            )
            row = saved.scalars().one_or_none()
            if row is None:
                raise Outdated(operation.id)
            await _put_windows(transaction, operation.id, windows)
            transaction.announce(who, notes, operation.id, operation.batch_id)
            return _operation(row)

        return await self._transactions.run(work, token)


def _operation(row: OperationRow) -> Operation:
    return Operation.model_validate(row.model_dump())


def _columns(changes: Changes) -> dict[str, Any]:
    """`changes` as column values: enums as what they are stored as, records as JSON."""
    columns: dict[str, Any] = {}
    for key, value in changes.items():
        dump = getattr(value, "model_dump", None)
        columns[key] = dump(mode="json") if dump else getattr(value, "value", value)
    return columns


async def _divide(
    transaction: Transaction, wanted: Sequence[Wanted]
) -> tuple[list[tuple[Wanted, str | None]], dict[IndexName, Refused]]:
    """Which of `wanted` can be queued, each with the target an earlier operation left behind."""
    live = await transaction.session.exec(
        select(OperationRow.index_name, OperationRow.new_index_name).where(
            col(OperationRow.cluster_id) == transaction.cluster_id,
            col(OperationRow.status).in_(_LIVE),
        )
    )
    filler = {target: name for name, target in live}
    names = set(filler.values())
    leftovers = await _leftovers(transaction)
    possible: list[tuple[Wanted, str | None]] = []
    conflicts: dict[IndexName, Refused] = {}
    for want in wanted:
        if want.index_name in names:
            conflicts[want.index_name] = AlreadyInProgress(want.index_name)
        elif want.new_index_name in filler:
            conflicts[want.index_name] = TargetTaken(
                f"{want.index_name} would be copied to {want.new_index_name}, which is also the "
                f"target of {filler[want.new_index_name]}. Wait until that one has ended."
            )
        else:
            possible.append((want, leftovers.get((want.index_name, want.new_index_name))))
            names.add(want.index_name)
            filler[want.new_index_name] = want.index_name
    return possible, conflicts


def _copies(
    blank: OperationRow, wanted: list[tuple[Wanted, str | None]], transaction: Transaction
) -> list[dict[str, Any]]:
    """As dicts: 10,000 row objects take seconds to make, and the cluster's row is locked."""
    defaults, rows = blank.model_dump(), list[dict[str, Any]]()
    for want, leftover in wanted:
        own = {"id": uuid.uuid4().hex, "queued_at": transaction.next_queued_at()}
        rows.append({**defaults, **vars(want), **own, "leftover_uuid": leftover})
    return rows


async def _leftovers(transaction: Transaction) -> dict[tuple[str, str], str | None]:
    """By source and target name, what failed operations left to look at: their own or inherited."""
    left = func.coalesce(OperationRow.target_uuid, OperationRow.leftover_uuid)
    rows = await transaction.session.exec(
        select(OperationRow.index_name, OperationRow.new_index_name, left)
        .where(
            col(OperationRow.cluster_id) == transaction.cluster_id,
            col(OperationRow.status) == int(Status.FAILED),
            col(OperationRow.keep_target).is_(True),
        )
        .order_by(col(OperationRow.queued_at))
    )
    return {(index, target): target_uuid for index, target, target_uuid in rows}


async def _put_windows(
    transaction: Transaction, operation_id: str, windows: Sequence[Window]
) -> None:
    if not windows:
        return
    rows: list[dict[str, Any]] = [
        {
            **window.model_dump(),
            "state": WindowState(window.state).value,
            "operation_id": operation_id,
            "cluster_id": transaction.cluster_id,
        }
        for window in windows
    ]
    statement = transaction.insert_or_ignore(WindowRow)
    changed = {key: statement.excluded[key] for key in rows[0] if key not in _WINDOW_KEYS}
    await transaction.bulk(
        statement.on_conflict_do_update(index_elements=list(_WINDOW_KEYS), set_=changed), rows
    )
