"""Writing transactions: fenced, shielded, and in one order with their events."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, TypeVar

from sqlalchemy import (
    ColumnElement,
    CursorResult,
    Executable,
    Insert,
    bindparam,
    insert,
    literal_column,
)
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine
from sqlmodel import col, update

from app.domain import clock
from app.domain.errors import LeaseLost
from app.domain.events import Note
from app.store.engine import limits_idle
from app.store.tables import ClusterStateRow, EventRow
from app.store.trouble import translating

T = TypeVar("T")

_CLUSTER = update(ClusterStateRow).where(col(ClusterStateRow.cluster_id) == bindparam("cluster"))
_LOCK = _CLUSTER.values(last_event=ClusterStateRow.last_event + bindparam("foreseen")).returning(
    col(ClusterStateRow.last_event), col(ClusterStateRow.last_queued_at)
)
_ADD_EVENTS = insert(EventRow)
_COUNT = _CLUSTER.values(last_event=bindparam("event"), last_queued_at=bindparam("place"))
_ONE: ColumnElement[str] = literal_column("1")
"""Made once: to build a statement takes as long as to run it."""


@dataclass
class Transaction:
    """An open writing transaction that holds the cluster's row, and so its place in the order.

    Without the ORM, which would take half of the time of a save.
    """

    connection: AsyncConnection
    cluster_id: str
    last_event: int
    last_queued_at: int
    now: datetime
    stored: tuple[int, int]
    """The last event and `queued_at` as the cluster's row has them now."""
    _events: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])

    def next_queued_at(self) -> int:
        """Milliseconds, greater than every one handed out before, whatever the clock does."""
        self.last_queued_at = max(int(self.now.timestamp() * 1000), self.last_queued_at + 1)
        return self.last_queued_at

    def announce(
        self,
        who: str,
        notes: Sequence[Note],
        job_id: str | None = None,
        batch_id: str | None = None,
    ) -> None:
        """Adds events; they become visible with the commit, numbered in commit order."""
        for note in notes:
            self.last_event += 1
            self._events.append(
                {
                    "cluster_id": self.cluster_id,
                    "number": self.last_event,
                    "job_id": job_id,
                    "batch_id": batch_id,
                    "at": self.now,
                    "who": who,
                    "what": note.what,
                    "index_name": note.index,
                    "text": note.text,
                    "before": note.before,
                    "after": note.after,
                }
            )

    async def execute(self, statement: Executable, **given: Any) -> CursorResult[*tuple[Any, ...]]:
        """`given`: the values of its `bindparam`s."""
        return await self.connection.execute(statement, given)

    async def bulk(self, statement: Insert, rows: list[dict[str, Any]]) -> None:
        """Inserts `rows`, many at a time.

        On PostgreSQL with RETURNING, which makes SQLAlchemy send them as one statement. Otherwise
        psycopg sends a pipeline, and after one PostgreSQL (18.4) does not end a transaction that is
        left idle: an owner frozen there would keep the cluster's row, and so the role.
        """
        if not rows:
            return
        on_postgres = self.connection.dialect.name == "postgresql"
        inserting: Executable = statement.returning(_ONE) if on_postgres else statement
        await self.connection.execute(inserting, rows)

    async def finish(self) -> None:
        """Adds the events, and counts them where their number was not foreseen."""
        await self.bulk(_ADD_EVENTS, self._events)
        event, place = counters = self.last_event, self.last_queued_at
        if counters != self.stored:
            await self.execute(_COUNT, cluster=self.cluster_id, event=event, place=place)


class Transactions:
    """Runs writing transactions on one cluster's data, one after the other.

    Each begins by updating the cluster's row: the worker's with `WHERE token = :mine`, so that an
    owner whose lease was taken over cannot save (on PostgreSQL a check inside a later statement
    would be too late), everybody else's without. Because they all wait for that row, a take-over
    waits for an open save, and event numbers become visible in order.
    """

    def __init__(self, writer: AsyncEngine, cluster_id: str) -> None:
        self._writer = writer
        self._cluster_id = cluster_id
        self._open: set[asyncio.Task[Any]] = set()
        self._lock: Any = limits_idle(_LOCK, writer)
        self._lock_as_owner: Any = self._lock.where(col(ClusterStateRow.token) == bindparam("mine"))

    async def run(
        self,
        work: Callable[[Transaction], Awaitable[T]],
        token: str | None = None,
        *,
        foreseen: int = 0,
    ) -> T:
        """Runs `work` and commits. A cancelled caller does not cancel the transaction.

        `foreseen`: so many events it will most likely announce. They are counted by the statement
        that locks, which spares one; another number of them is put right at the end.

        Raises `LeaseLost` where `token` is not the worker's any more, `StoreUnavailable` or
        `StoreFault` where the database failed: then the commit may have happened, so read again
        before going on.
        """
        task = asyncio.ensure_future(self._run(work, token, foreseen))
        self._open.add(task)
        task.add_done_callback(self._open.discard)
        return await asyncio.shield(task)

    async def drain(self) -> None:
        """Waits for the transactions whose callers went away."""
        while self._open:
            await asyncio.wait(self._open)

    async def _run(
        self, work: Callable[[Transaction], Awaitable[T]], token: str | None, foreseen: int
    ) -> T:
        with translating():
            async with self._writer.begin() as connection:
                transaction = await self._fenced(connection, token, foreseen)
                result = await work(transaction)
                await transaction.finish()
        return result

    async def _fenced(
        self, connection: AsyncConnection, token: str | None, foreseen: int
    ) -> Transaction:
        statement: Any = self._lock
        given: dict[str, Any] = {"cluster": self._cluster_id, "foreseen": foreseen}
        if token is not None:
            statement, given = self._lock_as_owner, {**given, "mine": token}
        row = (await connection.execute(statement, given)).one_or_none()
        if row is None:
            raise LeaseLost
        return Transaction(
            connection=connection,
            cluster_id=self._cluster_id,
            last_event=row.last_event - foreseen,
            last_queued_at=row.last_queued_at,
            now=clock.now(),
            stored=(row.last_event, row.last_queued_at),
        )
