"""Jobs as the machine needs them: read, begun, and saved with windows, events and claims on
indices."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any, TypeVar, cast

from sqlalchemy import (
    ColumnElement,
    Executable,
    Insert,
    String,
    bindparam,
    case,
    delete,
    exists,
    func,
    insert,
    literal,
    or_,
    union_all,
)
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlmodel import col, select, update

from app.domain.errors import InUse, Outdated, UnknownOperation
from app.domain.events import EventKind, Note
from app.domain.job import LIVE, Job, Lane, Requested, Status
from app.domain.names import IndexName
from app.domain.operation import Changes
from app.domain.reach import EVERYTHING, Reach
from app.domain.windows import Window, WindowState
from app.store.tables import (
    WHOLE_JOB,
    ClaimRow,
    JobRow,
    Models,
    WindowRow,
    columns_of,
    job_of,
    read_rows,
    read_tuples,
)
from app.store.transactions import Transaction, Transactions

_COLUMNS = ["cluster_id", "index_name", "job_id", "exclusive"]


async def take_claim(
    transaction: Transaction, job_id: str, names: Sequence[IndexName], *, exclusive: bool = True
) -> None:
    """Marks `names`, too, as in use by the job: `exclusive`, or beside others that only read them.

    Raises `InUse` where another job is in the way; then nothing is taken.
    """
    wanted = list(dict.fromkeys(names))
    in_the_way: list[ColumnElement[bool]] = [
        col(ClaimRow.cluster_id) == transaction.cluster_id,
        col(ClaimRow.index_name).in_(wanted),
        col(ClaimRow.job_id) != job_id,
        *([] if exclusive else [col(ClaimRow.exclusive).is_(True)]),
    ]
    taken = await transaction.execute(_insert(transaction, job_id, wanted, in_the_way, exclusive))
    if taken.all():
        return
    index, other, about = (await transaction.execute(_user(in_the_way))).one()
    raise InUse(index, other, about)


async def in_use(reader: AsyncEngine, cluster_id: str, name: IndexName) -> InUse | None:
    """Which job uses that index, alone or beside others."""
    this = [col(ClaimRow.cluster_id) == cluster_id, col(ClaimRow.index_name) == name]
    for index, job_id, about in await read_tuples(reader, _user(this)):
        return InUse(index, job_id, about)
    return None


def _user(claims: Sequence[ColumnElement[bool]]) -> Executable:
    """What `InUse` is told of the first of these claims."""
    return (
        select(ClaimRow.index_name, ClaimRow.job_id, JobRow.index_name)
        .join(JobRow, col(JobRow.id) == col(ClaimRow.job_id))
        .where(*claims)
        .limit(1)
    )


def _insert(
    transaction: Transaction,
    job_id: str,
    names: Sequence[IndexName],
    in_the_way: Sequence[ColumnElement[bool]],
    exclusive: bool,
) -> Any:
    """All `names` where nothing is in the way, else none; answers those that are claimed now. What
    the job claims already, since it begins anew, is never weakened."""
    free_now = ~exists().where(*in_the_way)
    rows = [
        select(
            literal(transaction.cluster_id), literal(name), literal(job_id), literal(exclusive)
        ).where(free_now)
        for name in names
    ]
    dialect = postgresql if transaction.connection.dialect.name == "postgresql" else sqlite
    insert = dialect.insert(ClaimRow).from_select(_COLUMNS, union_all(*rows))
    return insert.on_conflict_do_update(
        index_elements=_COLUMNS[:3],
        set_={"exclusive": or_(col(ClaimRow.exclusive), insert.excluded.exclusive)},
    ).returning(col(ClaimRow.index_name))


async def free_claims(transaction: Transaction, job_id: str) -> None:
    """The job uses no index any more."""
    await transaction.execute(delete(ClaimRow).where(col(ClaimRow.job_id) == job_id))


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
                transaction.announce(who, [note], job.id, job.batch_id)
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

        `granted`: the requested action that is settled by it; `anew`: the windows there were are
        forgotten.
        `uses`: indices that nobody else may use from now on, until it ends or is put aside with its
        index in use. `of_another`: fields of another job, which are left where that has changed
        since. One that is to be paused and was cancelled meanwhile stays in progress, for
        that.

        Raises `LeaseLost`, `Outdated` where the row is not the one that was read, or somebody
        has taken that action back, and `InUse` where another job uses one of the indices.
        """

        async def work(transaction: Transaction) -> J:
            columns = columns_of(job, changes)
            if changes.get("status") is Status.PAUSED:
                columns["status"] = _PAUSED
            if uses:
                await take_claim(transaction, job.id, uses)
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
                await free_claims(transaction, job.id)
            if anew:
                of_it = col(WindowRow.job_id) == job.id
                await transaction.execute(delete(WindowRow).where(of_it))
            await _put_windows(transaction, job.id, windows)
            if told and notes:
                batch_id = await _batch_of_history(transaction, job)
                transaction.announce(who, notes, job.history, batch_id)
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
    reach: Reach = EVERYTHING,
) -> str:
    """The id of a new job, the last of its lane. `reach`: of the caller; the job keeps it."""
    allowed = reach.patterns
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
        record=None if allowed is None else {"allowed": list(allowed)},
    )
    await transaction.bulk(insert(JobRow), [row.model_dump()])
    if event:
        transaction.announce(caller, [Note(what=event, index=index)], row.id)
    return row.id


async def _batch_of_history(transaction: Transaction, job: Job) -> str | None:
    """The batch of the job in whose history the events of this one are told."""
    if job.history == job.id:
        return job.batch_id
    query = select(JobRow.batch_id).where(col(JobRow.id) == job.history)
    return (await transaction.execute(query)).scalar_one_or_none()


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
    # One statement may not insert a row twice; of a window that comes twice the last one counts.
    windows = [*{window.number: window for window in windows}.values()]
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
