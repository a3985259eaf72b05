"""Small jobs: left for the worker, which does them at once; nothing else waits for them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlmodel import col, select, update

from app.domain.errors import AlreadyInProgress
from app.domain.events import EventKind
from app.domain.job import Job, Lane
from app.domain.names import IndexName
from app.domain.state import Goal, Status
from app.store.jobs import Jobs, insert_job
from app.store.tables import LIVE_REWRITES, WAITING_ROWS, JobRow
from app.store.transactions import Transaction, Transactions


class SmallJobs:
    def __init__(self, transactions: Transactions, jobs: Jobs, cluster_id: str) -> None:
        self._transactions = transactions
        self._jobs = jobs
        self._cluster_id = cluster_id

    async def leave(
        self,
        kind: str,
        index: IndexName,
        caller: str,
        request: Mapping[str, Any] | None = None,
        *,
        event: EventKind | None = None,
    ) -> str:
        """The id of a new one. Raises `AlreadyInProgress` where an operation on the index lives."""

        async def work(transaction: Transaction) -> str:
            live = select(JobRow.id).where(
                col(JobRow.cluster_id) == self._cluster_id,
                col(JobRow.index_name) == index,
                LIVE_REWRITES,
            )
            if (await transaction.execute(live)).first() is not None:
                raise AlreadyInProgress(index)
            return await insert_job(transaction, kind, Lane.SMALL, index, caller, request, event)

        return await self._transactions.run(work)

    async def leave_once(
        self, kind: str, index: IndexName, caller: str, request: Mapping[str, Any]
    ) -> None:
        """Leaves one where none of that kind waits or runs for the index."""

        async def work(transaction: Transaction) -> None:
            there = select(JobRow.id).where(
                col(JobRow.cluster_id) == self._cluster_id,
                col(JobRow.lane) == Lane.SMALL.value,
                col(JobRow.kind) == kind,
                col(JobRow.index_name) == index,
                WAITING_ROWS,
            )
            if (await transaction.execute(there)).first() is None:
                await insert_job(transaction, kind, Lane.SMALL, index, caller, request, None)

        await self._transactions.run(work)

    async def find(self, job_id: str) -> Job:
        """As it is now."""
        return await self._jobs.load(job_id)

    async def withdraw(self, job_id: str) -> bool:
        """Takes back one that no worker has begun; False where one has."""

        async def work(transaction: Transaction) -> bool:
            done = await transaction.execute(
                update(JobRow)
                .where(col(JobRow.id) == job_id, col(JobRow.started_at).is_(None), WAITING_ROWS)
                .values(
                    status=int(Status.CANCELLED),
                    goal=Goal.CANCEL.value,
                    ended_at=transaction.now,
                    version=JobRow.version + 1,
                )
            )
            return done.rowcount == 1

        return await self._transactions.run(work)
