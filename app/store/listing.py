"""Operations by the page: filtered, in order, and only the columns that a list shows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from pydantic import TypeAdapter
from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Executable,
    Select,
    SQLColumnExpression,
    TextClause,
    and_,
    case,
    cast,
    false,
    func,
    literal,
    or_,
    select,
    union_all,
)
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlmodel import col

from app.domain.brief import Brief, QueueEntry
from app.domain.job import BACK, BY_STATUS, Goal, Lane, State, Status
from app.domain.operation import REWRITE, Source, Step
from app.domain.progress import CopyFigures, Stretch
from app.domain.reach import ANY, EVERYTHING, Reach
from app.domain.windows import WindowState
from app.store.tables import (
    ENDED_REWRITES,
    LIVE_REWRITES,
    LIVE_ROWS,
    REWRITES,
    JobRow,
    WindowRow,
    read_rows,
    read_tuples,
)

Conditions = list[ColumnElement[bool] | TextClause]

_BRIEF = tuple(getattr(JobRow, name) for name in Brief.model_fields)
_BRIEFS = TypeAdapter(list[Brief])
_BEGUN = col(JobRow.started_at).is_not(None)
_OF_ENTRY: Any = {
    "updated_at": case((_BEGUN, JobRow.updated_at)),  # parsing ten thousand times would be felt
    "source": case((_BEGUN, JobRow.record)),
}
_QUEUE_ENTRY: Any = [
    _OF_ENTRY.get(name) if name in _OF_ENTRY else getattr(JobRow, name)
    for name in QueueEntry._fields
]
_status = col(JobRow.status)
_told = [(_status == status.value, state.value) for status, state in BY_STATUS.items()]
_IS_ROLLED_BACK = and_(_status == Status.CANCELLED.value, col(JobRow.goal) == Goal.ROLL_BACK.value)
_ended_state = case(*_told).label("state")
_state = case(
    (_IS_ROLLED_BACK, State.ROLLED_BACK.value),
    *_told,
    (col(JobRow.goal).in_([*BACK, Goal.ROLL_BACK]), State.UNDOING.value),
    (col(JobRow.started_at).is_(None), State.WAITING.value),
    (col(JobRow.hold_reason).is_not(None), State.HOLDING.value),
    (col(JobRow.suspended), State.WAITING.value),
    else_=State.RUNNING.value,
).label("state")
"""`domain.state.state_of` in SQL."""


@dataclass(frozen=True)
class Filter:
    """Which operations; an empty field does not divide them.

    `reach`: only those whose source and target are within it.
    """

    states: Sequence[State] = ()
    index: str | None = None
    batch: str | None = None
    reach: Reach = EVERYTHING


class Listing:
    def __init__(self, reader: AsyncEngine, cluster_id: str) -> None:
        self._reader = reader
        self._cluster_id = cluster_id

    async def queue(self, reach: Reach = EVERYTHING) -> list[QueueEntry]:
        """The batch queue: everything in progress that was not started singly, in order; what is
        within `reach` of it."""
        query = (
            select(*_QUEUE_ENTRY)
            .where(
                *self._conditions(Filter(reach=reach)),
                _status == int(Status.IN_PROGRESS),
                col(JobRow.lane) == Lane.QUEUE.value,
            )
            .order_by(col(JobRow.queued_at))
        )
        return [_entry(row) for row in await read_tuples(self._reader, query)]

    async def page(
        self, wanted: Filter, limit: int, after: int | None = None, *, newest_first: bool = False
    ) -> list[Brief]:
        """At most `limit`, by `queued_at`, those beyond `after` only (also a `queued_at`)."""
        place = col(JobRow.queued_at)
        query = select(*_BRIEF).where(*self._conditions(wanted), *_in_states(wanted.states))
        if after is not None:
            query = query.where(place < after if newest_first else place > after)
        query = query.order_by(place.desc() if newest_first else place).limit(limit)
        return _BRIEFS.validate_python(await read_rows(self._reader, query))

    async def counts(self, wanted: Filter) -> dict[State, int]:
        """How many operations are in each state, whatever `wanted.states` says."""
        where, number = self._conditions(wanted), func.count().label("number")
        ended = select(_ended_state, number).where(*where, ENDED_REWRITES).group_by(_status)
        back = select(literal(State.ROLLED_BACK.value), number).where(
            *where, ENDED_REWRITES, _IS_ROLLED_BACK
        )  # apart: the index of the ended ones does not have the goal
        live = select(_state, number).where(*where, LIVE_REWRITES).group_by(_state)
        rows = await read_rows(self._reader, union_all(ended, live, back))  # at one moment
        found = {row["state"]: row["number"] for row in rows}
        if rolled_back := found.get(State.ROLLED_BACK.value, 0):
            found[State.CANCELLED.value] -= rolled_back
        return {state: found.get(state.value, 0) for state in State}

    async def others_of_batch(self, batch_id: str, reach: Reach) -> int | None:
        """How many operations of a batch are beyond `reach`; None where nothing is."""
        if not reach.limited:
            return None
        number = select(func.count().label("number")).select_from(JobRow)
        whole = number.where(*self._conditions(Filter(batch=batch_id)), REWRITES)
        seen = number.where(*self._conditions(Filter(batch=batch_id, reach=reach)), REWRITES)
        rows = await read_rows(self._reader, union_all(whole, seen))  # at one moment
        both = sorted(row["number"] for row in rows)
        return both[1] - both[0]

    async def others(self) -> dict[tuple[str, State], int]:
        """How many jobs of other kinds than a rewrite live, by kind and state."""
        number = func.count().label("number")
        query = (
            select(col(JobRow.kind), _state, number)
            .where(
                col(JobRow.cluster_id) == self._cluster_id, LIVE_ROWS, col(JobRow.kind) != REWRITE
            )
            .group_by(col(JobRow.kind), _state)
        )
        rows = await read_rows(self._reader, query)
        return {(row["kind"], State(row["state"])): row["number"] for row in rows}

    async def blocked_since(self) -> list[datetime]:
        """Since when each index that takes no writes because of a job takes none."""
        query = select(col(JobRow.writes_blocked_since)).where(
            col(JobRow.cluster_id) == self._cluster_id,
            LIVE_ROWS,
            col(JobRow.writes_blocked_since).is_not(None),
        )
        return [row["writes_blocked_since"] for row in await read_rows(self._reader, query)]

    async def copies(self, operation_ids: Sequence[str], since: datetime) -> dict[str, CopyFigures]:
        """The windows of these operations, added up; who has none is not a key.

        Windows that are copied now, or ended after `since`, are there one by one as well.
        """
        if not operation_ids:
            return {}
        recent: dict[str, list[Stretch]] = {}
        for row in await read_rows(self._reader, _recent(operation_ids, since)):
            recent.setdefault(row.pop("job_id"), []).append(Stretch(**row))
        sums = await read_rows(self._reader, _sums(operation_ids))
        by_owner = {row.pop("job_id"): row for row in sums}
        return {
            owner: CopyFigures(
                **figures, bytes_done=_in_step(**figures), recent=recent.get(owner, ())
            )
            for owner, figures in by_owner.items()
        }

    async def copy_of_batch(
        self, batch: str, since: datetime, reach: Reach = EVERYTHING
    ) -> CopyFigures | None:
        """All windows of a batch added up, as far as it is within `reach`, but for operations that
        failed or were cancelled; None where there is none yet."""
        going = [Status.IN_PROGRESS, Status.PAUSED, Status.COMPLETED]
        ids = select(col(JobRow.id)).where(
            *self._conditions(Filter(batch=batch, reach=reach)),
            _status.in_([int(status) for status in going]),
        )
        (sums,) = await read_rows(self._reader, _whole(ids))
        if sums["windows"] is None:
            return None
        recent = await read_rows(self._reader, _recent(ids, since))
        stretches = [Stretch(row["seen"], row["started_at"], row["ended_at"]) for row in recent]
        return CopyFigures(**sums, recent=stretches)

    async def not_begun(self, batch: str, reach: Reach = EVERYTHING) -> list[str]:
        """The indices of a batch that are still to be copied and are not cut into windows yet."""
        windows = select(col(WindowRow.number)).where(col(WindowRow.job_id) == col(JobRow.id))
        query = select(col(JobRow.index_name)).where(
            *self._conditions(Filter(batch=batch, reach=reach)),
            LIVE_REWRITES,
            col(JobRow.last_completed_step) < int(Step.REINDEX_STARTED),
            ~windows.exists(),
        )
        return [str(row[0]) for row in await read_tuples(self._reader, query)]

    def _conditions(self, wanted: Filter) -> Conditions:
        conditions: Conditions = [
            col(JobRow.cluster_id) == self._cluster_id,
            REWRITES,
        ]
        if wanted.index is not None:
            conditions.append(col(JobRow.index_name) == wanted.index)
        if wanted.batch is not None:
            conditions.append(col(JobRow.batch_id) == wanted.batch)
        return [*conditions, *within(wanted.reach)]


_NAMES: tuple[SQLColumnExpression[Any], ...] = (
    col(JobRow.index_name),
    func.coalesce(JobRow.concrete_name, JobRow.index_name),
    col(JobRow.new_index_name),
)
_ESCAPE = "/"
"""No name of an index has it."""


def within(reach: Reach) -> Conditions:
    """`Reach.covers_pair` in SQL."""
    if reach.patterns is None:
        return []
    likes = [_like(pattern) for pattern in reach.patterns]
    return [or_(false(), *(name.like(one, escape=_ESCAPE) for one in likes)) for name in _NAMES]


def _like(pattern: str) -> str:
    for character in (_ESCAPE, "%", "_"):
        pattern = pattern.replace(character, _ESCAPE + character)
    return pattern.replace(ANY, "%")


def _entry(row: Sequence[Any]) -> QueueEntry:
    """The record stands in the place of the source, which is a part of it."""
    entry = QueueEntry._make(row)
    if entry.source is None:
        return entry
    record: Any = entry.source
    source = record.get("source")
    return entry._replace(source=Source.model_validate(source) if source else None)


def _in_states(states: Sequence[State]) -> Conditions:
    """With what lets the database take an index: most operations have ended."""
    if not states:
        return []
    conditions: Conditions = [_state.in_([state.value for state in states])]
    plain = {State.CANCELLED if state is State.ROLLED_BACK else state for state in states}
    ended = {status.value for status, state in BY_STATUS.items() if state in plain and state.ended}
    if all(state.ended for state in states):
        conditions += [ENDED_REWRITES, _status.in_(sorted(ended))]
    elif not ended:
        conditions.append(LIVE_REWRITES)
    return conditions


_PRIMARY_BYTES = func.coalesce(
    cast(col(JobRow.record)[("source", "primary_bytes")].as_string(), BigInteger), 0
)
"""Recorded with the source; 0 for an operation of before that was done."""


def _in_step(*, primary_bytes: int, documents: int, done: int, **_others: Any) -> int:
    return primary_bytes * done // documents if documents else primary_bytes


def _sums(operation_ids: Sequence[str] | Select[str]) -> Executable:
    """One row an operation, named as the fields of `CopyFigures`."""
    documents, seen = col(WindowRow.documents), col(WindowRow.seen)
    is_done = col(WindowRow.state) == WindowState.DONE.value
    windows, windows_done = func.count(), func.count(case((is_done, 1)))
    done = case((is_done, documents), (seen < documents, seen), else_=documents)
    fraction = func.coalesce(func.max(col(JobRow.reindex_task_perc_complete)), 0.0)
    return (
        select(
            col(WindowRow.job_id),
            windows.label("windows"),
            windows_done.label("windows_done"),
            _total(documents).label("documents"),
            _total(done).label("done"),
            _total(seen).label("seen"),
            cast(fraction * func.sum(documents), BigInteger).label("shown"),
            func.max(_PRIMARY_BYTES).label("primary_bytes"),
            func.min(WindowRow.started_at).label("started_at"),
            case((windows == windows_done, func.max(WindowRow.ended_at))).label("ended_at"),
        )
        .join(JobRow, col(JobRow.id) == col(WindowRow.job_id))
        .where(col(WindowRow.job_id).in_(operation_ids))
        .group_by(col(WindowRow.job_id))
    )


def _whole(operation_ids: Select[str]) -> Executable:
    """One row of the fields of `CopyFigures`, of all these operations together."""
    summed: Any = _sums(operation_ids)
    each = summed.subquery()
    share = case((each.c.documents > 0, each.c.done * 1.0 / each.c.documents), else_=1.0)
    shown = case((each.c.shown > each.c.done, each.c.shown), else_=each.c.done)
    added = ("windows", "windows_done", "documents", "done", "seen", "primary_bytes")
    return select(
        *(_total(each.c[name]).label(name) for name in added),
        _total(shown).label("shown"),
        _total(each.c.primary_bytes * share).label("bytes_done"),
        func.min(each.c.started_at).label("started_at"),
        case((func.count() == func.count(each.c.ended_at), func.max(each.c.ended_at))).label(
            "ended_at"
        ),
    )


def _total(column: SQLColumnExpression[Any]) -> ColumnElement[int]:
    """PostgreSQL would answer with a decimal number."""
    return cast(func.sum(column), BigInteger)


def _recent(operation_ids: Sequence[str] | Select[str], since: datetime) -> Executable:
    state, ended_at = col(WindowRow.state), col(WindowRow.ended_at)
    return select(
        col(WindowRow.job_id), col(WindowRow.seen), col(WindowRow.started_at), ended_at
    ).where(
        col(WindowRow.job_id).in_(operation_ids),
        col(WindowRow.started_at).is_not(None),
        or_(
            state == WindowState.RUNNING.value,
            and_(state == WindowState.DONE.value, ended_at > since),
        ),
    )
