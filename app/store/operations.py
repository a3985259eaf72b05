"""Operations: what is asked about rewrites, live and ended, and about the copies that are kept."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import timedelta
from typing import TypeVar

from sqlalchemy import func
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlmodel import col, or_, select, update
from sqlmodel.sql.expression import SelectOfScalar

from app.domain import clock
from app.domain.errors import AlreadyInProgress, CannotRollBack, InUse, UnknownOperation
from app.domain.events import EventKind, Note
from app.domain.job import Goal, Lane, Requested, Status
from app.domain.names import IndexName
from app.domain.operation import Kept, Operation
from app.domain.pace import NO_LIMIT, Pace
from app.domain.reach import EVERYTHING, Reach
from app.store import jobs
from app.store.enqueueing import ENDED_WITHOUT_SWAP, BatchKey, Enqueued, Wanted, enqueue, left_uuid
from app.store.tables import (
    ENDED_REWRITES,
    KEPT_ROWS,
    LIVE_REWRITES,
    LIVE_ROWS,
    REWRITES,
    WHOLE_JOB,
    JobRow,
    operation_of,
    read_rows,
    read_tuples,
    record_of,
)
from app.store.transactions import Transaction, Transactions

T = TypeVar("T")

LATELY = timedelta(minutes=1)


class Operations:
    def __init__(self, transactions: Transactions, reader: AsyncEngine, cluster_id: str) -> None:
        self._transactions = transactions
        self._reader = reader
        self._cluster_id = cluster_id

    async def latest(self, index_name: IndexName) -> Operation | None:
        """The newest operation of that index, live or ended."""
        found = await self._select(
            select(JobRow)
            .where(col(JobRow.index_name) == index_name)
            .order_by(col(JobRow.queued_at).desc())
            .limit(1)
        )
        return found[0] if found else None

    async def in_use(self) -> set[str]:
        """The jobs of any kind that may have something in the cluster: live ones, those with a kept
        copy, and those that were changed in the last minute."""
        since, until = clock.shown_within(LATELY.total_seconds())
        query = select(JobRow.id).where(
            col(JobRow.cluster_id) == self._cluster_id,
            or_(
                LIVE_ROWS,
                KEPT_ROWS,
                col(JobRow.updated_at).between(since, until + LATELY),
            ),
        )
        return set(await self._column(query))

    async def live_names(self) -> set[str]:
        """The indices that have an operation in progress or paused."""
        query = select(JobRow.index_name).where(
            col(JobRow.cluster_id) == self._cluster_id,
            LIVE_REWRITES,
        )
        return set(await self._column(query))

    async def completed_targets(self, names: Sequence[IndexName]) -> dict[str, str]:
        """Where the newest completed operation of each of `names` has put it."""
        query = select(JobRow.queued_at, JobRow.index_name, JobRow.new_index_name).where(
            col(JobRow.cluster_id) == self._cluster_id,
            col(JobRow.index_name).in_(names),
            REWRITES,
            col(JobRow.status) == int(Status.COMPLETED),
        )
        # put in order here: for an order SQLite would walk through the index of all rewrites
        rows = sorted(await read_rows(self._reader, query), key=lambda row: row["queued_at"])
        return {row["index_name"]: row["new_index_name"] for row in rows}

    async def leftover_targets(self) -> set[str]:
        """UUIDs of the targets that operations without a swap left for a person to look at."""
        query = select(left_uuid()).where(
            col(JobRow.cluster_id) == self._cluster_id,
            ENDED_REWRITES,
            col(JobRow.status).in_(ENDED_WITHOUT_SWAP),
            col(JobRow.keep_target).is_(True),
        )
        return {uuid for uuid in await self._column(query) if uuid}

    async def _column(self, query: SelectOfScalar[T]) -> list[T]:
        return [value for (value,) in await read_tuples(self._reader, query)]

    async def load(self, operation_id: str) -> Operation:
        """One that must be there. Raises `UnknownOperation`."""
        found = await self.find(operation_id)
        if found is None:
            raise UnknownOperation(operation_id)
        return found

    async def find(self, operation_id: str) -> Operation | None:
        found = await self._select(select(JobRow).where(JobRow.id == operation_id))
        return found[0] if found else None

    async def of_batch(self, batch_id: str) -> list[Operation]:
        """All that belong to it now, by `queued_at`."""
        found = await self._select(select(JobRow).where(col(JobRow.batch_id) == batch_id))
        return sorted(found, key=lambda one: one.queued_at)  # as in `completed_targets`

    async def live_of(self, names: Sequence[IndexName]) -> list[Operation]:
        """The operations in progress or paused of these indices."""
        wanted = select(JobRow).where(LIVE_REWRITES, col(JobRow.index_name).in_(names))
        return await self._select(wanted)

    async def _select(self, query: SelectOfScalar[JobRow]) -> list[Operation]:
        query = query.where(col(JobRow.cluster_id) == self._cluster_id, REWRITES)
        return [operation_of(row) for row in await read_rows(self._reader, query)]

    async def enqueue(
        self,
        wanted: Sequence[Wanted],
        caller: str,
        refused: Sequence[dict[str, str]] = (),
        *,
        single: bool = False,
        key: BatchKey | None = None,
        pace: Pace = NO_LIMIT,
        reach: Reach = EVERYTHING,
    ) -> Enqueued:
        """Queues all that can be, in order, in one transaction; see `enqueueing.enqueue`."""

        async def work(transaction: Transaction) -> Enqueued:
            return await enqueue(
                transaction, wanted, caller, refused, single=single, key=key, pace=pace, reach=reach
            )

        return await self._transactions.run(work)


class KeptCopies:
    def __init__(self, transactions: Transactions, reader: AsyncEngine, cluster_id: str) -> None:
        self._transactions = transactions
        self._reader = reader
        self._cluster_id = cluster_id

    async def expired(self, but: Collection[str] = ()) -> Operation | None:
        """The completed operation whose kept copy has been there for longest beyond its time; none
        of the ids in `but`."""
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
            if operation_id not in but and clock.reached(kept_until, updated_at):
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
        return await jobs.in_use(self._reader, self._cluster_id, operation.kept.name)

    async def request_rollback(
        self, operation: Operation, caller: str, *, forced: bool, reach: Reach = EVERYTHING
    ) -> Operation:
        """Wakes a completed operation for the way back to its kept copy, beside the queue. `reach`:
        of the caller; the operation keeps it.

        Raises `AlreadyInProgress` where something else is done with one of its indices, and
        `CannotRollBack` where it is not any more as it was read.
        """

        asked = {"forced": forced, "allowed": reach.patterns}

        async def work(transaction: Transaction) -> Operation:
            names = await self._free_names(transaction, operation, reach)
            try:
                await jobs.take_claim(transaction, operation.id, names)
            except InUse as error:
                raise _in_progress(error.about, operation, reach) from error
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
                    record=record_of(operation.model_copy(update=asked)),
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

    async def _free_names(
        self, transaction: Transaction, operation: Operation, reach: Reach
    ) -> list[IndexName]:
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
            raise _in_progress(busy, operation, reach)
        return names


def _in_progress(busy: str, operation: Operation, reach: Reach) -> AlreadyInProgress:
    """With the name of the index that is worked on, if the caller may know it."""
    return AlreadyInProgress(busy if reach.covers(busy) else operation.index_name)
