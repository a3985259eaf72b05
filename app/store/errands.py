"""Errands: left by the API, done by the worker, their end read by the API again."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import delete, insert
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlmodel import col, select, update

from app.domain.errand import Errand, ErrandKind
from app.domain.errors import AlreadyInProgress, ClusterRefused, ReindexQueueError
from app.domain.names import IndexName
from app.domain.operation import LIVE, Note
from app.store.rows import read_rows
from app.store.tables import ErrandRow, OperationRow
from app.store.transactions import Transaction, Transactions


class Errands:
    def __init__(self, transactions: Transactions, reader: AsyncEngine, cluster_id: str) -> None:
        self._transactions = transactions
        self._reader = reader
        self._cluster_id = cluster_id

    async def leave(
        self,
        kind: ErrandKind,
        index: IndexName,
        caller: str,
        request: Mapping[str, Any] | None = None,
    ) -> str:
        """The id of a new errand. Raises `AlreadyInProgress` where an operation on it lives."""

        async def work(transaction: Transaction) -> str:
            live = await transaction.execute(
                select(OperationRow.id).where(
                    col(OperationRow.cluster_id) == self._cluster_id,
                    col(OperationRow.index_name) == index,
                    col(OperationRow.status).in_([int(status) for status in LIVE]),
                )
            )
            if live.first() is not None:
                raise AlreadyInProgress(index)
            row = ErrandRow(
                id=uuid.uuid4().hex,
                cluster_id=self._cluster_id,
                kind=kind.value,
                index_name=index,
                caller=caller,
                created_at=transaction.now,
                request=dict(request) if request else None,
            )
            await transaction.bulk(insert(ErrandRow), [row.model_dump()])
            transaction.announce(caller, [Note(what=f"{kind} requested", index=index)])
            return row.id

        return await self._transactions.run(work)

    async def waiting(self) -> list[Errand]:
        """Those not done yet, oldest first."""
        query = (
            select(ErrandRow)
            .where(col(ErrandRow.cluster_id) == self._cluster_id, col(ErrandRow.ended_at).is_(None))
            .order_by(col(ErrandRow.created_at))
        )
        return [Errand.model_validate(row) for row in await read_rows(self._reader, query)]

    async def find(self, errand_id: str) -> Errand:
        query = select(ErrandRow).where(col(ErrandRow.id) == errand_id)
        (row,) = await read_rows(self._reader, query)
        return Errand.model_validate(row)

    async def withdraw(self, errand_id: str) -> None:
        """Takes back an errand that nobody did in time."""

        async def work(transaction: Transaction) -> None:
            await transaction.execute(
                delete(ErrandRow).where(
                    col(ErrandRow.id) == errand_id, col(ErrandRow.ended_at).is_(None)
                )
            )

        await self._transactions.run(work)

    async def end(
        self,
        token: str,
        errand: Errand,
        error: ReindexQueueError | None,
        notes: Sequence[Note],
        who: str,
        result: Mapping[str, Any] | None = None,
    ) -> None:
        """Saves how it ended, with the events of what was changed. Raises `LeaseLost`."""

        async def work(transaction: Transaction) -> None:
            await transaction.execute(
                update(ErrandRow)
                .where(col(ErrandRow.id) == errand.id)
                .values(
                    ended_at=transaction.now,
                    error_code=error.code if error else None,
                    error_status=error.http_status if isinstance(error, ClusterRefused) else None,
                    error_message=error.message if error else None,
                    result=dict(result) if result else None,
                )
            )
            transaction.announce(who, notes)

        await self._transactions.run(work, token)
