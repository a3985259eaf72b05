"""Jobs as the machine needs them: read, begun, and saved with windows, claims and events."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any, TypeVar, cast

from sqlalchemy import Insert, String, bindparam, case, delete, func, insert, or_
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlmodel import col, select, update

from app.domain.errors import Outdated, UnknownOperation
from app.domain.events import EventKind, Note
from app.domain.job import LIVE, Job, Lane, Requested
from app.domain.names import IndexName
from app.domain.operation import Changes
from app.domain.state import Status
from app.domain.windows import Window, WindowState
from app.store import claims
from app.store.rows import WHOLE_JOB, Models, columns_of, job_of, read_rows
from app.store.tables import JobRow, WindowRow
from app.store.transactions import Transaction, Transactions

J = TypeVar("J", bound=Job)

_SAVE = (
    update(JobRow)
    .where(
        col(JobRow.id) == bindparam("key"),
        col(JobRow.version) == bindparam("known"),
        or_(
            bindparam("granted", type_=String) == Requested.NONE.value,
            col(JobRow.requested) == bindparam("granted"),
        ),
    )
    .values(
        requested=case(
            (col(JobRow.requested) == bindparam("granted"), Requested.NONE.value),
            else_=JobRow.requested,
        ),
        version=JobRow.version + 1,
    )
    .returning(WHOLE_JOB)
)
_PAUSED: Any = case(
    (col(JobRow.requested) == Requested.CANCEL.value, int(Status.IN_PROGRESS)),
    else_=int(Status.PAUSED),
)
_WINDOW_KEYS = ("job_id", "number")


class Jobs:
    def __init__(
        self, transactions: Transactions, reader: AsyncEngine, cluster_id: str, models: Models
    ) -> None:
        self._transactions = transactions
        self._reader = reader
        self._cluster_id = cluster_id
        self._models = models

    async def enqueue(
        self,
        kind: str,
        lane: Lane,
        index: IndexName,
        caller: str,
        request: Mapping[str, Any] | None = None,
        *,
        event: EventKind | None = EventKind.QUEUED,
    ) -> str:
        """The id of a new job of any kind, the last of its lane. Rewrites are queued many at a
        time by `Operations.enqueue`, which reserves their indices; any other job may wait for one
        that is in use.
        """

        async def work(transaction: Transaction) -> str:
            return await insert_job(transaction, kind, lane, index, caller, request, event)

        return await self._transactions.run(work)

    async def load(self, job_id: str) -> Job:
        """Raises `UnknownOperation`."""
        query = select(JobRow).where(
            col(JobRow.cluster_id) == self._cluster_id, col(JobRow.id) == job_id
        )
        for row in await read_rows(self._reader, query):
            return job_of(row, self._models)
        raise UnknownOperation(job_id)

    async def windows(self, job_id: str) -> tuple[Window, ...]:
        """In the order of their numbers."""
        query = (
            select(WindowRow).where(col(WindowRow.job_id) == job_id).order_by(col(WindowRow.number))
        )
        return tuple(Window.model_validate(row) for row in await read_rows(self._reader, query))

    async def begin(self, token: str, job_id: str, who: str) -> Job | None:
        """Marks a waiting job as started, or one that was suspended as in hand again.

        None where it was cancelled or paused meanwhile. Raises `LeaseLost`.
        """

        async def work(transaction: Transaction) -> Job | None:
            now = int(transaction.now.timestamp() * 1000)
            begun = await transaction.execute(
                update(JobRow)
                .where(
                    col(JobRow.id) == job_id,
                    or_(col(JobRow.started_at).is_(None), col(JobRow.suspended)),
                    col(JobRow.status) == int(Status.IN_PROGRESS),
                )
                .values(
                    started_at=func.coalesce(JobRow.started_at, now),
                    suspended=False,
                    hold_reason=None,
                    hold_since=None,
                    next_attempt_at=None,
                    updated_at=transaction.now,
                    version=JobRow.version + 1,
                )
                .returning(WHOLE_JOB)
            )
            row = begun.mappings().one_or_none()
            if row is None:
                return None
            job = job_of(row, self._models)
            if job.lane is not Lane.SMALL:
                note = Note(what=EventKind.STARTED, index=job.index_name)
                transaction.announce(who, [note], job.id)
            return job

        return await self._transactions.run(work, token, foreseen=1)

    async def save(
        self,
        token: str,
        job: J,
        changes: Changes,
        windows: Sequence[Window],
        notes: Sequence[Note],
        who: str,
        *,
        granted: Requested = Requested.NONE,
        anew: bool = False,
        uses: Sequence[IndexName] = (),
        of_another: tuple[Job, Changes] | None = None,
    ) -> J:
        """Saves one outcome: fields, windows, claims and events, or nothing.

        `granted` is the wish that is settled by it; `anew`: the windows there were are forgotten.
        `uses`: indices that nobody else may use from now on, until it ends or is put aside with its
        index in use. `of_another`: fields of another job, which are left where that has changed
        since. One that is to be paused and was cancelled meanwhile stays in progress, for
        that.

        Raises `LeaseLost`, `Outdated` where the row is not the one that was read, or somebody
        has taken the wish back, and `InUse` where another job uses one of the indices.
        """

        async def work(transaction: Transaction) -> J:
            columns = columns_of(job, changes)
            if changes.get("status") is Status.PAUSED:
                columns["status"] = _PAUSED
            if uses:
                await claims.take(transaction, job.id, uses)
            saved = await transaction.execute(
                _SAVE.values(**columns, updated_at=transaction.now),
                key=job.id,
                known=job.version,
                granted=granted.value,
            )
            row = saved.mappings().one_or_none()
            if row is None:
                raise Outdated(job.id)
            told = of_another is None or await _save_of_another(transaction, *of_another)
            if lets_go(changes):
                await claims.free(transaction, job.id)
            if anew:
                of_it = col(WindowRow.job_id) == job.id
                await transaction.execute(delete(WindowRow).where(of_it))
            await _put_windows(transaction, job.id, windows)
            if told:
                transaction.announce(who, notes, job.history, job.batch_id)
            return cast(J, job_of(row, self._models))

        return await self._transactions.run(work, token, foreseen=len(notes))


async def insert_job(
    transaction: Transaction,
    kind: str,
    lane: Lane,
    index: IndexName,
    caller: str,
    request: Mapping[str, Any] | None,
    event: EventKind | None,
) -> str:
    """The id of a new job, the last of its lane."""
    row = JobRow(
        id=uuid.uuid4().hex,
        cluster_id=transaction.cluster_id,
        kind=kind,
        lane=lane.value,
        index_name=index,
        caller=caller,
        queued_at=transaction.next_queued_at(),
        created_at=transaction.now,
        updated_at=transaction.now,
        request=dict(request) if request else None,
    )
    await transaction.bulk(insert(JobRow), [row.model_dump()])
    if event:
        transaction.announce(caller, [Note(what=event, index=index)], row.id)
    return row.id


async def _save_of_another(transaction: Transaction, job: Job, changes: Changes) -> bool:
    """False where it has changed since it was read: then nothing of it is saved."""
    saved = await transaction.execute(
        _SAVE.values(**columns_of(job, changes), updated_at=transaction.now),
        key=job.id,
        known=job.version,
        granted=Requested.NONE.value,
    )
    return saved.first() is not None


def lets_go(changes: Changes) -> bool:
    """It ends, or is put aside with its index in use: it uses no index any more."""
    if "status" in changes and changes["status"] not in LIVE:
        return True
    aside = changes.get("suspended", False) or "started_at" in changes
    return aside and "writes_blocked_since" in changes


async def _put_windows(transaction: Transaction, job_id: str, windows: Sequence[Window]) -> None:
    if not windows:
        return
    rows: list[dict[str, Any]] = [
        {
            **window.model_dump(),
            "state": WindowState(window.state).value,
            "job_id": job_id,
            "cluster_id": transaction.cluster_id,
        }
        for window in windows
    ]
    await transaction.bulk(_put(transaction.connection.dialect.name), rows)


@cache
def _put(dialect: str) -> Insert:
    """A window is inserted, or takes the place of the one with its number."""
    statement = (postgresql if dialect == "postgresql" else sqlite).insert(WindowRow)
    others = {c.name: c for c in statement.excluded if c.name not in _WINDOW_KEYS}
    return statement.on_conflict_do_update(index_elements=list(_WINDOW_KEYS), set_=others)
