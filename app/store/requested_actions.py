"""What people ask of operations: written here, and granted by the worker between two steps.

Every method takes any number of operations, changes in one transaction those that can be, and
answers their ids.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from sqlalchemy import ColumnElement, TextClause
from sqlmodel import col, update

from app.domain.events import EventKind, Note
from app.domain.job import Goal, Requested, Status
from app.store.tables import BUT_SMALL_ROWS, LIVE_ROWS, JobRow
from app.store.transactions import Transaction, Transactions

Conditions = list[ColumnElement[bool] | TextClause]

_NOT_STARTED = col(JobRow.started_at).is_(None)
_NO_MORE_THAN_RETRY = (Requested.NONE.value, Requested.RETRY.value)
_REQUESTED = {
    Requested.CANCEL: EventKind.CANCEL_REQUESTED,
    Requested.PAUSE: EventKind.PAUSE_REQUESTED,
    Requested.RETRY: EventKind.RETRY_REQUESTED,
}
_IN_PROGRESS = col(JobRow.status) == int(Status.IN_PROGRESS)


class RequestedActions:
    def __init__(self, transactions: Transactions) -> None:
        self._transactions = transactions

    async def end_waiting(self, ids: Collection[str], caller: str) -> set[str]:
        """Cancels those that were never started; the worker may have been quicker."""

        async def work(transaction: Transaction) -> set[str]:
            values = {
                "status": int(Status.CANCELLED),
                "goal": Goal.CANCEL.value,
                "updated_at": transaction.now,
                "ended_at": transaction.now,
                "version": JobRow.version + 1,
            }
            note = Note(what=EventKind.CANCELLED, text="before it was started")
            return await _change(transaction, ids, [_NOT_STARTED, LIVE_ROWS], values, caller, note)

        return await self._transactions.run(work)

    async def pause_waiting(self, ids: Collection[str], caller: str) -> set[str]:
        """Pauses those that were never started."""

        async def work(transaction: Transaction) -> set[str]:
            values = {
                "status": int(Status.PAUSED),
                "updated_at": transaction.now,
                "version": JobRow.version + 1,
            }
            note = Note(what=EventKind.PAUSED, text="before it was started; writes go on")
            where: Conditions = [_NOT_STARTED, _IN_PROGRESS]
            return await _change(transaction, ids, where, values, caller, note)

        return await self._transactions.run(work)

    async def resume(self, ids: Collection[str], caller: str) -> set[str]:
        """Takes paused ones back into the queue, at their old places, and takes back the request
        that one be paused."""

        async def work(transaction: Transaction) -> set[str]:
            values = {
                "status": int(Status.IN_PROGRESS),
                "requested": Requested.NONE.value,
                "next_attempt_at": None,
                "updated_at": transaction.now,
                "version": JobRow.version + 1,
            }
            paused: Conditions = [col(JobRow.status) == int(Status.PAUSED)]
            resumed = Note(what=EventKind.RESUMED)
            changed = await _change(transaction, ids, paused, values, caller, resumed)
            pausing: Conditions = [
                _IN_PROGRESS,
                col(JobRow.requested) == Requested.PAUSE.value,
                col(JobRow.goal) == Goal.FINISH.value,
            ]
            back = Note(what=EventKind.PAUSE_TAKEN_BACK)
            requested = {"requested": Requested.NONE.value, "updated_at": transaction.now}
            return changed | await _change(transaction, ids, pausing, requested, caller, back)

        return await self._transactions.run(work)

    async def leave(self, ids: Collection[str], requested: Requested, caller: str) -> set[str]:
        """Requests an action of the worker, without touching `version`, where one has not ended.

        A paused operation is woken for it. A cancel that was acknowledged is not taken back by
        another requested action; to try again is asked only of one of which nothing else is.
        """

        async def work(transaction: Transaction) -> set[str]:
            values = {"requested": requested.value, "status": int(Status.IN_PROGRESS)}
            note = Note(what=_REQUESTED[requested])
            where: Conditions = [LIVE_ROWS]
            if requested is not Requested.CANCEL:
                where.append(col(JobRow.requested) != Requested.CANCEL.value)
            if requested is Requested.RETRY:
                where += [_IN_PROGRESS, col(JobRow.requested).in_(_NO_MORE_THAN_RETRY)]
            return await _change(transaction, ids, where, values, caller, note)

        return await self._transactions.run(work)


async def _change(
    transaction: Transaction,
    ids: Collection[str],
    where: Conditions,
    values: dict[str, Any],
    caller: str,
    note: Note,
) -> set[str]:
    """Updates those of `ids` for which `where` holds, with an event each."""
    if not ids:
        return set()
    changed = await transaction.execute(
        update(JobRow)
        .where(
            col(JobRow.cluster_id) == transaction.cluster_id,
            col(JobRow.id).in_(ids),
            BUT_SMALL_ROWS,
            *where,
        )
        .values(**values)
        .returning(col(JobRow.id), col(JobRow.batch_id))
    )
    found: dict[str, str | None] = {row[0]: row[1] for row in changed}
    for operation_id, batch_id in found.items():
        transaction.announce(caller, [note], operation_id, batch_id)
    return set(found)
