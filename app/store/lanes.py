"""Lanes: whose turn it is, and the small jobs that nothing else waits for. Every question is
answered from the store, so any worker goes on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

from sqlalchemy import ColumnElement, TextClause, and_, or_
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlmodel import col, select, update
from sqlmodel.sql.expression import SelectOfScalar

from app.domain import clock
from app.domain.errors import AlreadyInProgress
from app.domain.events import EventKind
from app.domain.job import LONG_HELD, PARKED_SECONDS, WAYS_BACK, Goal, Job, Lane, Requested, Status
from app.domain.names import IndexName
from app.domain.reach import EVERYTHING, Reach
from app.store.jobs import Jobs, insert_job
from app.store.tables import (
    IN_HAND_ROWS,
    LIVE_REWRITES,
    WAITING_ROWS,
    JobRow,
    Models,
    job_of,
    read_rows,
    read_tuples,
)
from app.store.transactions import Transaction, Transactions

MOST_URGENT = 20
"""So many at once, beside those whose turn it is."""

_ALL_BUT_SMALL = [lane.value for lane in Lane if lane is not Lane.SMALL]
"""By name, so that SQLite takes the index of those in hand."""


class Lanes:
    def __init__(self, reader: AsyncEngine, cluster_id: str, models: Models) -> None:
        self._reader = reader
        self._cluster_id = cluster_id
        self._models = models

    async def head(self) -> Job | None:
        """The job of the batch queue that is next: one in hand, else the first in order.

        One that was parked is left out until it is to be tried again, and then comes after those
        that were not begun.
        """
        found = await self.first(Lane.QUEUE, 1)
        return found[0] if found else None

    async def small(self, most: int) -> list[Job]:
        """The first `most` small jobs, by `queued_at`."""
        of_lane = col(JobRow.lane) == Lane.SMALL.value
        return await self._in_order(most, [WAITING_ROWS, of_lane])

    async def urgent(self) -> list[Job]:
        """What waits for nobody: begun ones that are cancelled, rollbacks, and ways back that the
        queue passes by."""
        back = [Goal.CANCEL.value, Goal.ROLL_BACK.value]
        cancelled = col(JobRow.requested) == Requested.CANCEL.value
        query = select(JobRow).where(
            IN_HAND_ROWS,
            col(JobRow.lane).in_(_ALL_BUT_SMALL),
            or_(cancelled, col(JobRow.goal).in_(back), _gives_way()),
        )
        return await self._select(query.order_by(col(JobRow.queued_at)).limit(MOST_URGENT))

    async def first(self, lane: Lane, most: int) -> list[Job]:
        """The first `most` of a lane whose jobs may be parked: those in hand, then those that wait,
        each by `queued_at`."""
        of_lane = col(JobRow.lane) == lane.value
        in_hand = [IN_HAND_ROWS, of_lane, col(JobRow.suspended).is_(False), ~_gives_way()]
        found = await self._in_order(most, in_hand)
        begun = or_(col(JobRow.started_at).is_(None), col(JobRow.suspended))
        for due in (_in_turn(), _parked_until_now()):
            if len(found) < most:
                found += await self._in_order(
                    most - len(found), [WAITING_ROWS, of_lane, begun, due]
                )
        return found

    async def _in_order(
        self, most: int, conditions: Sequence[ColumnElement[bool] | TextClause]
    ) -> list[Job]:
        query = select(JobRow).where(*conditions)
        return await self._select(query.order_by(col(JobRow.queued_at)).limit(most))

    async def others_wait(self, job: Job) -> bool:
        """True where its lane has another job that could go on now."""
        query = (
            select(JobRow.id)
            .where(
                col(JobRow.cluster_id) == self._cluster_id,
                WAITING_ROWS,
                col(JobRow.lane) == job.lane.value,
                or_(_in_turn(), _parked_until_now()),
                col(JobRow.id) != job.id,
            )
            .limit(1)
        )
        return bool(await read_tuples(self._reader, query))

    async def _select(self, query: SelectOfScalar[JobRow]) -> list[Job]:
        query = query.where(col(JobRow.cluster_id) == self._cluster_id)
        return [job_of(row, self._models) for row in await read_rows(self._reader, query)]


def _gives_way() -> ColumnElement[bool]:
    """`Job.gives_way`."""
    back = [goal.value for goal in WAYS_BACK]
    return and_(col(JobRow.goal).in_(back), col(JobRow.attempts) >= LONG_HELD)


def _in_turn() -> ColumnElement[bool]:
    """Not parked: never begun, in hand, resumed, or something is asked of it."""
    return or_(
        col(JobRow.suspended).is_(False),
        col(JobRow.next_attempt_at).is_(None),
        col(JobRow.requested) != Requested.NONE.value,
    )


def _parked_until_now() -> ColumnElement[bool]:
    """Also one that was put aside in what is the future now: the clock was set back since."""
    now = clock.now()
    impossible = col(JobRow.updated_at) > now + timedelta(seconds=PARKED_SECONDS)
    return and_(~_in_turn(), or_(col(JobRow.next_attempt_at) <= now, impossible))


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
        reach: Reach = EVERYTHING,
    ) -> str:
        """The id of a new one, which keeps the caller's `reach`.

        Raises `AlreadyInProgress` where an operation on the index lives.
        """

        async def work(transaction: Transaction) -> str:
            live = select(JobRow.id).where(
                col(JobRow.cluster_id) == self._cluster_id,
                col(JobRow.index_name) == index,
                LIVE_REWRITES,
            )
            if (await transaction.execute(live)).first() is not None:
                raise AlreadyInProgress(index)
            return await insert_job(
                transaction, kind, Lane.SMALL, index, caller, request, event, reach
            )

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
