"""Pruning: old history is removed in pieces, each a transaction of the worker's.

A piece reads and removes a bounded number of rows, so that a save beside it waits for moments only.
What is removed of a job is its windows, its events but for those of the audit, and its row; all of
it in one transaction, unless that would be too many rows. Its batch follows when it is empty.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import takewhile
from typing import Any

from sqlalchemy import ColumnElement, Delete, and_, delete, exists, func, or_, select, update
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlalchemy.orm import aliased
from sqlmodel import col

from app.domain import clock
from app.domain.errors import WrongState
from app.domain.events import AUDIT, EventKind, Note
from app.domain.job import Goal, Status
from app.domain.operation import REWRITE
from app.domain.pruning import KEY_TIME, MOST_ROWS, NEWEST_COMPLETED, Pruning, Removed, Stage
from app.store.tables import (
    ENDED_REWRITES,
    LIVE_ROWS,
    BatchRow,
    ClusterStateRow,
    EventRow,
    JobRow,
    WindowRow,
    read_rows,
)
from app.store.transactions import Transaction, Transactions

MOST_LOOKED_AT = 100
"""Jobs or batches in a piece, most of which may have to stay."""
_AUDIT = sorted(kind.value for kind in AUDIT)
_KEPT_FOR_AUDIT = col(EventRow.what).in_(_AUDIT)


@dataclass(frozen=True)
class _Piece:
    """What a piece has removed, and how far its stage is now; None: it is done."""

    place: tuple[str, str] | None
    removed: Removed


@dataclass(frozen=True)
class _Old:
    """A job that ended long ago. `rows`: how many go with it, itself included."""

    id: str
    place: tuple[str, str]
    stays: bool
    rows: int


class Prunings:
    def __init__(self, transactions: Transactions, reader: AsyncEngine, cluster_id: str) -> None:
        self._transactions = transactions
        self._reader = reader
        self._cluster_id = cluster_id

    async def last(self) -> Pruning | None:
        """The one that goes on, or the one that ended last; None where there was never one."""
        query = select(col(ClusterStateRow.pruning)).where(*self._state)
        (row,) = await read_rows(self._reader, query)
        return _loaded(row["pruning"])

    async def request(self, pruning: Pruning) -> Pruning:
        """Leaves it for the worker, with an event. Raises `WrongState` where one goes on."""

        async def work(transaction: Transaction) -> Pruning:
            if going_on := await self._going_on(transaction):
                raise WrongState(
                    f"A pruning goes on already, asked for by {going_on.by}. Wait until it is done."
                )
            await self._put(transaction, pruning)
            note = Note(
                what=EventKind.PRUNING_REQUESTED, text=f"older than {_shown(pruning.before)}"
            )
            transaction.announce(pruning.by, [note])
            return pruning

        return await self._transactions.run(work)

    async def begin(self, token: str, pruning: Pruning) -> None:
        """The worker begins one by itself, where none goes on. Raises `LeaseLost`."""

        async def work(transaction: Transaction) -> None:
            if await self._going_on(transaction) is None:
                await self._put(transaction, pruning)

        await self._transactions.run(work, token)

    async def go_on(self, token: str, who: str) -> bool:
        """Removes one piece; False where none goes on any more. The end of one that removed
        something is an event. Raises `LeaseLost`."""

        async def work(transaction: Transaction) -> bool:
            pruning = await self._going_on(transaction)
            if pruning is None:
                return False
            piece = await _STAGES[pruning.stage](transaction, pruning)
            after = _advanced(pruning, piece)
            if after.ended_at and after.removed.rows:
                transaction.announce(who, [_note(after)])
            await self._put(transaction, after)
            return after.ended_at is None

        return await self._transactions.run(work, token)

    @property
    def _state(self) -> tuple[ColumnElement[bool], ...]:
        return (col(ClusterStateRow.cluster_id) == self._cluster_id,)

    async def _going_on(self, transaction: Transaction) -> Pruning | None:
        found = await transaction.execute(select(col(ClusterStateRow.pruning)).where(*self._state))
        pruning = _loaded(found.scalar_one())
        return pruning if pruning and pruning.ended_at is None else None

    async def _put(self, transaction: Transaction, pruning: Pruning) -> None:
        values = {"pruning": pruning.model_dump(mode="json")}
        await transaction.execute(update(ClusterStateRow).where(*self._state).values(**values))


def _loaded(stored: Any) -> Pruning | None:
    return Pruning.model_validate(stored) if stored else None


def _advanced(pruning: Pruning, piece: _Piece) -> Pruning:
    """`pruning` after that piece: in the same stage, in the next one, or at its end."""
    removed = pruning.removed + piece.removed
    if piece.place is not None:
        return pruning.model_copy(update={"place": piece.place, "removed": removed})
    stages = list(Stage)
    following = stages[stages.index(pruning.stage) + 1 :]
    values: dict[str, Any] = {"place": None, "removed": removed}
    values |= {"stage": following[0]} if following else {"ended_at": clock.now()}
    return pruning.model_copy(update=values)


def _note(pruning: Pruning) -> Note:
    return Note(
        what=EventKind.PRUNED,
        text=f"older than {_shown(pruning.before)}, asked for by {pruning.by}",
        after=pruning.removed.model_dump(),
    )


def _shown(at: datetime) -> str:
    return at.isoformat(timespec="seconds")


# --- jobs, with their windows and events


async def _prune_jobs(transaction: Transaction, pruning: Pruning) -> _Piece:
    found = await _old_jobs(transaction, pruning)
    if not found:
        return _Piece(None, Removed())
    taken, total = 0, 0
    for job in found:
        total += 0 if job.stays else job.rows
        if total > MOST_ROWS:
            break
        taken += 1
    if not taken:  # alone it is too much for one transaction
        removed = await _lighten(transaction, found[0].id, pruning)
        return _Piece(pruning.place or ("", ""), removed)
    ids = [job.id for job in found[:taken] if not job.stays]
    removed = await _remove_jobs(transaction, ids, pruning)
    return _Piece(found[taken - 1].place, removed)


async def _old_jobs(transaction: Transaction, pruning: Pruning) -> list[_Old]:
    """The next ones that ended before that time, whether they may go or not, the oldest first."""
    row = JobRow
    floor = await _newest_completed(transaction)
    rows = await transaction.execute(
        select(col(row.id), col(row.ended_at), _has_to_stay(floor).label("stays"))
        .where(
            col(row.cluster_id) == transaction.cluster_id,
            col(row.ended_at) < pruning.before,
            *_beyond(pruning.place),
        )
        .order_by(col(row.ended_at), col(row.id))
        .limit(MOST_LOOKED_AT)
    )
    found = rows.all()
    counts = await _rows_of(
        transaction, [job_id for job_id, _, stays in found if not stays], pruning
    )
    return [
        _Old(job_id, (ended_at.isoformat(), job_id), bool(stays), counts.get(job_id, 0) + 1)
        for job_id, ended_at, stays in found
    ]


def _beyond(place: tuple[str, str] | None) -> list[ColumnElement[bool]]:
    if place is None or not place[0]:
        return []
    ended_at, job_id = datetime.fromisoformat(place[0]), place[1]
    end, own_id = col(JobRow.ended_at), col(JobRow.id)
    # The first is said by the second, too; but only by the first an index is entered in its middle.
    return [end >= ended_at, or_(end > ended_at, and_(end == ended_at, own_id > job_id))]


async def _newest_completed(transaction: Transaction) -> int:
    """The place of the last of those completed operations that always stay."""
    found = await transaction.execute(
        select(col(JobRow.queued_at))
        .where(
            col(JobRow.cluster_id) == transaction.cluster_id,
            ENDED_REWRITES,
            col(JobRow.status) == int(Status.COMPLETED),
        )
        .order_by(col(JobRow.queued_at).desc())
        .offset(NEWEST_COMPLETED - 1)
        .limit(1)
    )
    return found.scalar() or 0


def _has_to_stay(newest_completed: int) -> ColumnElement[bool]:
    """It lives, or its batch does; it has a kept copy, or a target to be looked at; it counts for
    estimates; its batch may still be asked for by its key; or its name may be on the kept copy."""
    row = JobRow
    counts = and_(
        col(row.kind) == REWRITE,
        col(row.status) == int(Status.COMPLETED),
        col(row.queued_at) >= newest_completed,
    )
    return or_(
        LIVE_ROWS,
        col(row.kept_until).is_not(None),
        col(row.keep_target).is_(True),
        counts,
        _batch_is_needed(),
        _name_is_on_kept_copy(),
    )


def _batch_is_needed() -> ColumnElement[bool]:
    """Another job of its batch lives, or the batch was posted with a key a short time ago."""
    other, batch = aliased(JobRow), BatchRow
    live = exists().where(
        col(other.batch_id) == col(JobRow.batch_id),
        col(other.cluster_id) == col(JobRow.cluster_id),
        col(other.status).in_([int(Status.IN_PROGRESS), int(Status.PAUSED)]),
    )
    keyed = exists().where(col(batch.id) == col(JobRow.batch_id), _has_young_key())
    return or_(live, keyed)


def _has_young_key() -> ColumnElement[bool]:
    since = clock.earliest() - KEY_TIME
    return and_(col(BatchRow.idempotency_key).is_not(None), col(BatchRow.created_at) >= since)


def _name_is_on_kept_copy() -> ColumnElement[bool]:
    """It was rolled back, and no later operation has moved that name to another index. The row
    says which index is behind the name; without it a POST of the name would be refused."""
    later = aliased(JobRow)
    rolled_back = and_(col(later.status) == int(Status.CANCELLED), col(later.goal) == _BACK)
    moved = and_(col(later.status) == int(Status.COMPLETED), col(later.keeps_source).is_(False))
    moved_since = exists().where(
        col(later.cluster_id) == col(JobRow.cluster_id),
        col(later.index_name) == col(JobRow.index_name),
        col(later.queued_at) > col(JobRow.queued_at),
        col(later.kind) == REWRITE,
        or_(rolled_back, moved),
    )
    return and_(
        col(JobRow.status) == int(Status.CANCELLED), col(JobRow.goal) == _BACK, ~moved_since
    )


_BACK = Goal.ROLL_BACK.value


async def _rows_of(
    transaction: Transaction, ids: Sequence[str], pruning: Pruning
) -> dict[str, int]:
    """How many windows and events go with each of these jobs; who has none is no key."""
    counts: dict[str, int] = {}
    windows = select(col(WindowRow.job_id), func.count()).where(col(WindowRow.job_id).in_(ids))
    events = select(col(EventRow.job_id), func.count()).where(*_events_of(ids, pruning))
    for query in (
        windows.group_by(col(WindowRow.job_id)),
        events.group_by(col(EventRow.job_id)),
    ):
        for job_id, number in await transaction.execute(query):
            counts[job_id] = counts.get(job_id, 0) + number
    return counts


def _events_of(ids: Sequence[str], pruning: Pruning) -> list[ColumnElement[bool]]:
    """Those that go with these jobs: the audit needs the others for longer."""
    return [
        col(EventRow.job_id).in_(ids),
        or_(~_KEPT_FOR_AUDIT, col(EventRow.at) < pruning.audit_before),
    ]


async def _lighten(transaction: Transaction, job_id: str, pruning: Pruning) -> Removed:
    """Windows and events of a job that has more of them than may go at once."""
    of_it = select(col(WindowRow.number)).where(col(WindowRow.job_id) == job_id)
    windows = await _delete(
        transaction,
        delete(WindowRow).where(
            col(WindowRow.job_id) == job_id, col(WindowRow.number).in_(of_it.limit(MOST_ROWS))
        ),
    )
    if windows:
        return Removed(windows=windows)
    numbers = select(col(EventRow.number)).where(*_events_of([job_id], pruning)).limit(MOST_ROWS)
    return Removed(events=await _delete(transaction, _events(transaction, numbers)))


async def _remove_jobs(transaction: Transaction, ids: Sequence[str], pruning: Pruning) -> Removed:
    if not ids:
        return Removed()
    windows = await _delete(transaction, delete(WindowRow).where(col(WindowRow.job_id).in_(ids)))
    events = await _delete(transaction, delete(EventRow).where(*_events_of(ids, pruning)))
    jobs = await _delete(transaction, delete(JobRow).where(col(JobRow.id).in_(ids)))
    return Removed(jobs=jobs, windows=windows, events=events)


# --- batches that have no job any more


async def _prune_batches(transaction: Transaction, pruning: Pruning) -> _Piece:
    """By their ids, which have no order in time: each of the cluster's is looked at."""
    row, after = BatchRow, pruning.place[1] if pruning.place else ""
    jobs = exists().where(
        col(JobRow.batch_id) == col(row.id), col(JobRow.cluster_id) == col(row.cluster_id)
    )
    found = await transaction.execute(
        select(
            col(row.id),
            or_(jobs, col(row.created_at) >= pruning.before, _has_young_key()).label("stays"),
        )
        .where(col(row.cluster_id) == transaction.cluster_id, col(row.id) > after)
        .order_by(col(row.id))
        .limit(MOST_LOOKED_AT)
    )
    rows = found.all()
    if not rows:
        return _Piece(None, Removed())
    ids = [batch_id for batch_id, stays in rows if not stays]
    batches = await _delete(transaction, delete(row).where(col(row.id).in_(ids)))
    return _Piece(("", rows[-1][0]), Removed(batches=batches))


# --- events of no job, and those that were left for the audit


async def _prune_events(transaction: Transaction, pruning: Pruning) -> _Piece:
    """Events of no job, such as those of the health gate. Few are, and they have an index."""
    return await _prune_log(transaction, pruning, col(EventRow.job_id).is_(None))


async def _prune_audit(transaction: Transaction, pruning: Pruning) -> _Piece:
    """What was left of jobs that are gone, from the beginning of the log to the first event that
    is too young for it."""
    return await _prune_log(transaction, pruning, col(EventRow.job_id).is_not(None))


async def _prune_log(
    transaction: Transaction, pruning: Pruning, which: ColumnElement[bool]
) -> _Piece:
    row, after = EventRow, int(pruning.place[1]) if pruning.place else 0
    job = exists().where(col(JobRow.id) == col(row.job_id))
    found = await transaction.execute(
        select(col(row.number), col(row.at), col(row.what), job.label("stays"))
        .where(col(row.cluster_id) == transaction.cluster_id, col(row.number) > after, which)
        .order_by(col(row.number))
        .limit(MOST_ROWS)
    )
    rows = found.all()
    end = pruning.audit_before if pruning.stage is Stage.AUDIT else pruning.before
    # The log is in the order of time, but for a clock that was set: what is old by that and
    # stands behind something young is removed by a later pass.
    old = list(takewhile(lambda event: event.at < end, rows))
    numbers = [
        event.number
        for event in old
        if not event.stays and (event.what not in AUDIT or event.at < pruning.audit_before)
    ]
    removed = Removed(events=await _delete(transaction, _events(transaction, numbers)))
    done = len(old) < len(rows) or not rows
    return _Piece(None if done else ("", str(old[-1].number)), removed)


def _events(transaction: Transaction, numbers: Any) -> Delete:
    """Those of the cluster with these numbers; they may be a query."""
    return delete(EventRow).where(
        col(EventRow.cluster_id) == transaction.cluster_id, col(EventRow.number).in_(numbers)
    )


async def _delete(transaction: Transaction, statement: Delete) -> int:
    return (await transaction.execute(statement)).rowcount


_STAGES = {
    Stage.JOBS: _prune_jobs,
    Stage.BATCHES: _prune_batches,
    Stage.EVENTS: _prune_events,
    Stage.AUDIT: _prune_audit,
}
