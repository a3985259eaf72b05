"""Operations and their windows: every question and every save."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from functools import cache
from typing import Any, TypeVar, cast

from pydantic import TypeAdapter
from sqlalchemy import (
    ColumnElement,
    Insert,
    String,
    TextClause,
    and_,
    bindparam,
    case,
    delete,
    func,
    or_,
)
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlmodel import col, select, update
from sqlmodel.sql.expression import SelectOfScalar

from app.domain import clock
from app.domain.errors import Outdated
from app.domain.events import EventKind, Note
from app.domain.names import IndexName
from app.domain.operation import (
    LONG_HELD,
    PARKED_SECONDS,
    WAYS_BACK,
    Changes,
    Goal,
    Operation,
    Status,
    Wish,
)
from app.domain.pace import NO_LIMIT, Pace
from app.domain.windows import Window, WindowState
from app.store.enqueueing import ENDED_WITHOUT_SWAP, BatchKey, Enqueued, Wanted, enqueue
from app.store.rows import operation_of, read_rows, read_tuples
from app.store.tables import (
    ENDED_ROWS,
    IN_HAND_ROWS,
    KEPT_ROWS,
    LIVE_ROWS,
    WAITING_ROWS,
    OperationRow,
    WindowRow,
)
from app.store.transactions import Transaction, Transactions

T = TypeVar("T")

MOST_URGENT = 20
"""So many at once, beside those whose turn it is."""
LATELY = timedelta(minutes=1)

_OPERATIONS = TypeAdapter(list[Operation])
_SAVE = (
    update(OperationRow)
    .where(
        col(OperationRow.id) == bindparam("key"),
        col(OperationRow.version) == bindparam("known"),
        or_(
            bindparam("granted", type_=String) == Wish.NONE.value,
            col(OperationRow.requested) == bindparam("granted"),
        ),
    )
    .values(
        requested=case(
            (col(OperationRow.requested) == bindparam("granted"), Wish.NONE.value),
            else_=OperationRow.requested,
        ),
        version=OperationRow.version + 1,
    )
    .returning(OperationRow)  # pyright: ignore[reportArgumentType]
)
_PAUSED: Any = case(
    (col(OperationRow.requested) == Wish.CANCEL.value, int(Status.IN_PROGRESS)),
    else_=int(Status.PAUSED),
)
_WINDOW_KEYS = ("operation_id", "number")


class Operations:
    def __init__(self, transactions: Transactions, reader: AsyncEngine, cluster_id: str) -> None:
        self._transactions = transactions
        self._reader = reader
        self._cluster_id = cluster_id

    async def head(self) -> Operation | None:
        """The operation of the batch queue that is next: one in hand, else the first in order.

        One that was parked is left out until it is to be tried again, and then comes after those
        that were not begun.
        """
        found = await self._first(1, single=False)
        return found[0] if found else None

    async def singles(self, most: int) -> list[Operation]:
        """The first `most` operations in progress that were started by name, by `queued_at`."""
        return await self._first(most, single=True)

    async def urgent(self) -> list[Operation]:
        """What waits for nobody: begun ones that are cancelled, rollbacks, and ways back that the
        queue passes by."""
        back = [Goal.CANCEL.value, Goal.ROLL_BACK.value]
        cancelled = col(OperationRow.requested) == Wish.CANCEL.value
        query = select(OperationRow).where(
            IN_HAND_ROWS, or_(cancelled, col(OperationRow.goal).in_(back), _gives_way())
        )
        return await self._select(query.order_by(col(OperationRow.queued_at)).limit(MOST_URGENT))

    async def _first(self, most: int, *, single: bool) -> list[Operation]:
        kind = col(OperationRow.single).is_(single)
        in_hand = [IN_HAND_ROWS, kind, col(OperationRow.aside).is_(False), ~_gives_way()]
        found = await self._in_order(most, in_hand)
        begun = or_(col(OperationRow.started_at).is_(None), col(OperationRow.aside))
        for due in (_in_turn(), _parked_until_now()):
            if len(found) < most:
                found += await self._in_order(most - len(found), [WAITING_ROWS, kind, begun, due])
        return found

    async def _in_order(
        self, most: int, conditions: Sequence[ColumnElement[bool] | TextClause]
    ) -> list[Operation]:
        query = select(OperationRow).where(*conditions)
        return await self._select(query.order_by(col(OperationRow.queued_at)).limit(most))

    async def others_wait(self, operation: Operation) -> bool:
        """True where the queue has another operation that could go on now."""
        query = (
            select(OperationRow.id)
            .where(
                col(OperationRow.cluster_id) == self._cluster_id,
                WAITING_ROWS,
                col(OperationRow.single).is_(False),
                or_(_in_turn(), _parked_until_now()),
                col(OperationRow.id) != operation.id,
            )
            .limit(1)
        )
        return bool(await self._column(query))

    async def latest(self, index_name: IndexName) -> Operation | None:
        """The newest operation of that index, live or ended."""
        found = await self._select(
            select(OperationRow)
            .where(col(OperationRow.index_name) == index_name)
            .order_by(col(OperationRow.queued_at).desc())
            .limit(1)
        )
        return found[0] if found else None

    async def in_use(self) -> set[str]:
        """The operations that may have something in the cluster: live ones, those with a kept copy,
        and those that were changed in the last minute."""
        since, until = clock.shown_within(LATELY.total_seconds())
        query = select(OperationRow.id).where(
            col(OperationRow.cluster_id) == self._cluster_id,
            or_(LIVE_ROWS, KEPT_ROWS, col(OperationRow.updated_at).between(since, until + LATELY)),
        )
        return set(await self._column(query))

    async def live_names(self) -> set[str]:
        """The indices that have an operation in progress or paused."""
        query = select(OperationRow.index_name).where(
            col(OperationRow.cluster_id) == self._cluster_id,
            LIVE_ROWS,
        )
        return set(await self._column(query))

    async def completed_targets(self, names: Sequence[IndexName]) -> dict[str, str]:
        """Where the newest completed operation of each of `names` has put it."""
        query = (
            select(OperationRow.index_name, OperationRow.new_index_name)
            .where(
                col(OperationRow.cluster_id) == self._cluster_id,
                col(OperationRow.index_name).in_(names),
                col(OperationRow.status) == int(Status.COMPLETED),
            )
            .order_by(col(OperationRow.queued_at))
        )
        rows = await read_rows(self._reader, query)
        return {row["index_name"]: row["new_index_name"] for row in rows}

    async def leftover_targets(self) -> set[str]:
        """UUIDs of the targets that operations without a swap left for a person to look at."""
        query = select(func.coalesce(OperationRow.target_uuid, OperationRow.leftover_uuid)).where(
            col(OperationRow.cluster_id) == self._cluster_id,
            ENDED_ROWS,
            col(OperationRow.status).in_(ENDED_WITHOUT_SWAP),
            col(OperationRow.keep_target).is_(True),
        )
        return {uuid for uuid in await self._column(query) if uuid}

    async def _column(self, query: SelectOfScalar[T]) -> list[T]:
        return [value for (value,) in await read_tuples(self._reader, query)]

    async def load(self, operation_id: str) -> Operation:
        """One that must be there."""
        found = await self.find(operation_id)
        assert found is not None
        return found

    async def find(self, operation_id: str) -> Operation | None:
        found = await self._select(select(OperationRow).where(OperationRow.id == operation_id))
        return found[0] if found else None

    async def of_batch(self, batch_id: str) -> list[Operation]:
        """All that belong to it now, by `queued_at`."""
        query = select(OperationRow).where(col(OperationRow.batch_id) == batch_id)
        return await self._select(query.order_by(col(OperationRow.queued_at)))

    async def windows(self, operation_id: str) -> tuple[Window, ...]:
        query = (
            select(WindowRow)
            .where(col(WindowRow.operation_id) == operation_id)
            .order_by(col(WindowRow.number))
        )
        return tuple(Window.model_validate(row) for row in await read_rows(self._reader, query))

    async def _select(self, query: SelectOfScalar[OperationRow]) -> list[Operation]:
        query = query.where(col(OperationRow.cluster_id) == self._cluster_id)
        return _OPERATIONS.validate_python(await read_rows(self._reader, query))

    async def enqueue(
        self,
        wanted: Sequence[Wanted],
        caller: str,
        refused: Sequence[dict[str, str]] = (),
        *,
        single: bool = False,
        key: BatchKey | None = None,
        pace: Pace = NO_LIMIT,
    ) -> Enqueued:
        """Queues all that can be, in order, in one transaction; see `enqueueing.enqueue`."""

        async def work(transaction: Transaction) -> Enqueued:
            return await enqueue(
                transaction, wanted, caller, refused, single=single, key=key, pace=pace
            )

        return await self._transactions.run(work)

    async def claim(self, token: str, operation_id: str, who: str) -> Operation | None:
        """Marks a waiting operation as started, or one that was put aside as in hand again.

        None where it was cancelled or paused meanwhile.
        """

        async def work(transaction: Transaction) -> Operation | None:
            now = int(transaction.now.timestamp() * 1000)
            claimed = await transaction.execute(
                update(OperationRow)
                .where(
                    col(OperationRow.id) == operation_id,
                    or_(col(OperationRow.started_at).is_(None), col(OperationRow.aside)),
                    col(OperationRow.status) == int(Status.IN_PROGRESS),
                )
                .values(
                    started_at=func.coalesce(OperationRow.started_at, now),
                    aside=False,
                    hold_reason=None,
                    hold_since=None,
                    next_attempt_at=None,
                    updated_at=transaction.now,
                    version=OperationRow.version + 1,
                )
                .returning(OperationRow)  # pyright: ignore[reportArgumentType]
            )
            row = claimed.mappings().one_or_none()
            if row is None:
                return None
            operation = operation_of(row)
            note = Note(what=EventKind.STARTED, index=operation.index_name)
            transaction.announce(who, [note], operation.id)
            return operation

        return await self._transactions.run(work, token)

    async def save(
        self,
        token: str,
        operation: Operation,
        changes: Changes,
        windows: Sequence[Window],
        notes: Sequence[Note],
        who: str,
        *,
        granted: Wish = Wish.NONE,
        anew: bool = False,
    ) -> Operation:
        """Saves one outcome: fields, windows and events, or nothing.

        `granted` is the wish that is settled by it; `anew`: the windows there were are forgotten.
        One that is to be paused and was cancelled meanwhile stays in progress, for that.

        Raises `LeaseLost`, and `Outdated` where the row is not the one that was read, or somebody
        has taken the wish back.
        """

        async def work(transaction: Transaction) -> Operation:
            columns = _columns(changes)
            if changes.get("status") is Status.PAUSED:
                columns["status"] = _PAUSED
            saved = await transaction.execute(
                _SAVE.values(**columns, updated_at=transaction.now),
                key=operation.id,
                known=operation.version,
                granted=granted.value,
            )
            row = saved.mappings().one_or_none()
            if row is None:
                raise Outdated(operation.id)
            if anew:
                of_it = col(WindowRow.operation_id) == operation.id
                await transaction.execute(delete(WindowRow).where(of_it))
            await _put_windows(transaction, operation.id, windows)
            transaction.announce(who, notes, operation.id, operation.batch_id)
            return operation_of(row)

        return await self._transactions.run(work, token)


def _gives_way() -> ColumnElement[bool]:
    """`Operation.gives_way`."""
    back = [goal.value for goal in WAYS_BACK]
    return and_(col(OperationRow.goal).in_(back), col(OperationRow.attempts) >= LONG_HELD)


def _in_turn() -> ColumnElement[bool]:
    """Not parked: never begun, in hand, resumed, or something is asked of it."""
    return or_(
        col(OperationRow.aside).is_(False),
        col(OperationRow.next_attempt_at).is_(None),
        col(OperationRow.requested) != Wish.NONE.value,
    )


def _parked_until_now() -> ColumnElement[bool]:
    """Also one that was put aside in what is the future now: the clock was set back since."""
    now = clock.now()
    impossible = col(OperationRow.updated_at) > now + timedelta(seconds=PARKED_SECONDS)
    return and_(~_in_turn(), or_(col(OperationRow.next_attempt_at) <= now, impossible))


def _columns(changes: Changes) -> dict[str, Any]:
    """`changes` as column values: enums as what they are stored as, records as JSON."""
    return {key: _plain(value) for key, value in changes.items()}


def _plain(value: Any) -> Any:
    if isinstance(value, list):
        return [_plain(one) for one in cast(list[Any], value)]
    dump = getattr(value, "model_dump", None)
    return dump(mode="json") if dump else getattr(value, "value", value)


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
    await transaction.bulk(_put(transaction.connection.dialect.name), rows)


@cache
def _put(dialect: str) -> Insert:
    """A window is inserted, or takes the place of the one with its number."""
    statement = (postgresql if dialect == "postgresql" else sqlite).insert(WindowRow)
    others = {c.name: c for c in statement.excluded if c.name not in _WINDOW_KEYS}
    return statement.on_conflict_do_update(index_elements=list(_WINDOW_KEYS), set_=others)
