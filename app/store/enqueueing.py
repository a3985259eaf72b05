"""Queueing: what a POST becomes in the tables, whole or not at all, found again by its batch."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from pydantic import BaseModel, ConfigDict
from sqlalchemy import ColumnElement, case, func, insert, select
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlmodel import col, update

from app.domain.errors import AlreadyInProgress, Refused, TargetTaken
from app.domain.events import EventKind, Note
from app.domain.job import Lane, Requested, Status
from app.domain.names import IndexName
from app.domain.operation import REWRITE, Kept, Operation, ProofLevel, kept_name
from app.domain.pace import NO_LIMIT, Pace
from app.domain.reach import EVERYTHING, Reach
from app.store.tables import (
    ENDED_REWRITES,
    LIVE_REWRITES,
    BatchRow,
    JobRow,
    operation_of,
    read_rows,
)
from app.store.transactions import Transaction


class BatchRecord(BaseModel):
    """`refused`: `index`, `code` and `message` of each name that was not queued, in order.
    `allowed`: the patterns that whoever posted it was limited to; None: to none.
    """

    model_config = ConfigDict(frozen=True)

    id: str
    caller: str
    created_at: datetime
    request_hash: str | None
    refused: list[dict[str, str]]
    allowed: tuple[str, ...] | None = None

    def is_of(self, caller: str, reach: Reach) -> bool:
        """True for whoever posted it. A token may be made anew under the same name, with other
        limits: that is somebody else."""
        return (self.caller, self.allowed) == (caller, reach.patterns)


class Batches:
    def __init__(self, reader: AsyncEngine, cluster_id: str) -> None:
        self._reader = reader
        self._cluster_id = cluster_id

    async def find(self, batch_id: str) -> BatchRecord | None:
        return await self._first(batch_id, None)

    async def posted_with(self, key: str) -> BatchRecord | None:
        """The batch that was posted with that idempotency key."""
        return await self._first(None, key)

    async def _first(self, batch_id: str | None, key: str | None) -> BatchRecord | None:
        query = select(BatchRow).where(
            col(BatchRow.cluster_id) == self._cluster_id,
            col(BatchRow.id) == batch_id if batch_id else col(BatchRow.idempotency_key) == key,
        )
        rows = await read_rows(self._reader, query)
        return BatchRecord.model_validate(rows[0]) if rows else None


AT_A_TIME = 1_000
"""So many operations are resumed by one statement."""

_PACE_OF_BATCH = (
    select(col(BatchRow.pace)).where(col(BatchRow.id) == JobRow.batch_id).scalar_subquery()
)


@dataclass(frozen=True)
class Wanted:
    """An index that somebody wants reindexed, where to, and how; as in `Operation`.

    `keep`: with a kept copy for a rollback. `leaves_followers`: it is done also where indices of
    other clusters follow it. `unexamined`: it had a live operation when it was
    posted, so nobody has looked at it in the cluster; it gets no other one.
    """

    index_name: IndexName
    new_index_name: IndexName
    keeps_source: bool = False
    delete_old_index: bool | None = None
    mode: str | None = None
    proof_level: ProofLevel = ProofLevel.SAMPLE
    keep: bool = False
    leaves_followers: bool = False
    concrete_name: IndexName | None = None
    pace: Pace = NO_LIMIT
    unexamined: bool = False

    @property
    def source_name(self) -> IndexName:
        """As `Operation.source_name`."""
        return self.concrete_name or self.index_name


@dataclass(frozen=True)
class BatchKey:
    """The client's own name for a request (`Idempotency-Key`), and what was in it (SHA-256)."""

    key: str
    request_hash: str


@dataclass(frozen=True)
class Enqueued:
    """The operations queued or resumed, in order, and who was refused why.

    `batch_id` None: started singly. `repeated`: the batch was there already, nothing was queued.
    """

    operations: list[Operation]
    refused: dict[IndexName, Refused]
    batch_id: str | None = None
    repeated: bool = False


@dataclass(frozen=True)
class _Live:
    """What lives already: operations by index, which index fills which target, and what is read.

    `beyond`: of the indices, those whose operations the caller may not work on.
    """

    by_index: dict[str, tuple[str, Status]]
    filler: dict[str, str]
    sources: set[str]
    beyond: set[str]


async def enqueue(
    transaction: Transaction,
    wanted: Sequence[Wanted],
    caller: str,
    refused: Sequence[dict[str, str]],
    *,
    single: bool,
    key: BatchKey | None = None,
    pace: Pace = NO_LIMIT,
    reach: Reach = EVERYTHING,
) -> Enqueued:
    """Inserts all that can be, in order, each with the next `queuedAt`; nothing for a known `key`.

    An index with an operation in progress, or one whose target another fills, is refused and
    spoils nothing. A paused operation is resumed where it stopped, with what was asked for when it
    was made; in a batch it goes to the tail. `pace`: of the batch. `reach`: of the caller; each
    operation keeps it.
    """
    if key and (known := await _batch_of(transaction, key)):
        return Enqueued([], {}, known, repeated=True)
    live, leftovers = await _living(transaction, reach), await _leftovers(transaction)
    batch_id = None if single else uuid.uuid4().hex
    blank = _blank(transaction, caller, batch_id)
    rows: list[dict[str, Any]] = []
    resumed: dict[str, int | None] = {}
    order: list[str] = []
    conflicts: dict[IndexName, Refused] = {}
    for want in wanted:
        operation_id, status = live.by_index.get(want.index_name, (None, None))
        if operation_id and status is Status.PAUSED and want.index_name not in live.beyond:
            resumed[operation_id] = transaction.next_queued_at() if batch_id else None
            order.append(operation_id)
        elif error := _conflict(want, live, reach):
            conflicts[want.index_name] = error
            continue
        else:
            order.append(uuid.uuid4().hex)
            own = {"id": order[-1], "queued_at": transaction.next_queued_at()}
            leftover = leftovers.get((want.index_name, want.new_index_name))
            rows.append({**blank, **own, **_asked(want, order[-1])})
            rows[-1]["record"] = _record(leftover, reach)
            live.filler[want.new_index_name] = want.index_name
            live.sources.add(want.source_name)
        live.by_index[want.index_name] = (order[-1], Status.IN_PROGRESS)
    if batch_id:
        late = [refusal_entry(name, error) for name, error in conflicts.items()]
        batch: dict[str, Any] = {"id": batch_id, "caller": caller, "refused": [*refused, *late]}
        batch["allowed"] = None if reach.patterns is None else list(reach.patterns)
        await _insert_batch(transaction, batch, key, pace)
    await transaction.bulk(insert(JobRow), rows)
    queued = {str(row["id"]): operation_of(row) for row in rows}
    queued |= await _resume(transaction, resumed, batch_id)
    for operation in (queued[operation_id] for operation_id in order):
        what = EventKind.RESUMED if operation.id in resumed else EventKind.QUEUED
        note = Note(what=what, index=operation.index_name, after=operation.new_index_name)
        transaction.announce(caller, [note], operation.id, operation.batch_id)
    return Enqueued([queued[operation_id] for operation_id in order], conflicts, batch_id)


def refusal_entry(name: str, error: Refused) -> dict[str, str]:
    """How a batch remembers a name that was refused."""
    return {"index": name, "code": error.code, "message": error.message}


def _asked(want: Wanted, operation_id: str) -> dict[str, Any]:
    """What was asked for as column values."""
    columns = {**vars(want), "proof_level": want.proof_level.value, "pace": _dump(want.pace)}
    keep = columns.pop("keep")
    del columns["unexamined"]
    kept = Kept(name=kept_name(want.index_name, operation_id)) if keep else None
    return {**columns, "kept": kept.model_dump() if kept else None}


def _record(leftover: Mapping[str, Any] | None, reach: Reach) -> dict[str, Any] | None:
    """The fields without a column: the leftover of an earlier operation, and the caller's reach."""
    allowed = {"allowed": list(reach.patterns)} if reach.patterns is not None else {}
    return {**(leftover or {}), **allowed} or None


def _conflict(want: Wanted, live: _Live, reach: Reach) -> Refused | None:
    """An index is in use as source, as target, or by the name that a rollback gave it; or it was
    when it was posted, and its operation has ended since. An index beyond `reach` is not named."""
    if want.unexamined or want.index_name in live.by_index or want.source_name in live.sources:
        return AlreadyInProgress(want.index_name)
    if filler := live.filler.get(want.index_name):
        return AlreadyInProgress(filler if reach.covers(filler) else want.index_name)
    if filler := live.filler.get(want.new_index_name):
        other = filler if reach.covers(filler) else "another index"
        return TargetTaken(
            f"{want.index_name} would be copied to {want.new_index_name}, which is also the "
            f"target of {other}. Wait until that one has ended, or give another newIndexName."
        )
    return None


def _blank(transaction: Transaction, caller: str, batch_id: str | None) -> dict[str, Any]:
    """What the rows of one request have in common, with every default.

    As a dict: 10,000 row objects take seconds to make, and the cluster's row is locked.
    """
    common: dict[str, Any] = {
        "cluster_id": transaction.cluster_id,
        "batch_id": batch_id,
        "caller": caller,
        "kind": REWRITE,
        "lane": (Lane.QUEUE if batch_id else Lane.BESIDE).value,
        "created_at": transaction.now,
        "updated_at": transaction.now,
    }
    return JobRow(**common).model_dump()


async def _resume(
    transaction: Transaction, places: Mapping[str, int | None], batch_id: str | None
) -> dict[str, Operation]:
    """In progress again; a batch takes them as its own, at `places`, each with the pace that its
    old batch had; a plain resume leaves one where it was. A thousand by one statement: ten thousand
    would hold the others up for seconds, and a pipeline of many is ended by nobody (`bulk`)."""
    if not places:
        return {}
    values: dict[str, Any] = {
        "status": int(Status.IN_PROGRESS),
        "requested": Requested.NONE.value,
        "next_attempt_at": None,
        "updated_at": transaction.now,
        "version": JobRow.version + 1,
    }
    if batch_id:
        values |= {"batch_id": batch_id, "lane": Lane.QUEUE.value}
        values["pace"] = func.coalesce(JobRow.pace, _PACE_OF_BATCH)
    keys = [*places]
    for first in range(0, len(keys), AT_A_TIME):
        some = keys[first : first + AT_A_TIME]
        if batch_id:
            values["queued_at"] = case({key: places[key] for key in some}, value=col(JobRow.id))
        await transaction.execute(update(JobRow).where(col(JobRow.id).in_(some)).values(**values))
    rows = await transaction.execute(select(JobRow).where(col(JobRow.id).in_(places)))
    return {str(row["id"]): operation_of(row) for row in rows.mappings()}


async def _batch_of(transaction: Transaction, key: BatchKey) -> str | None:
    """The batch that was posted with `key`: writing transactions come one after the other."""
    found = await transaction.execute(
        select(col(BatchRow.id)).where(
            col(BatchRow.cluster_id) == transaction.cluster_id,
            col(BatchRow.idempotency_key) == key.key,
        )
    )
    return found.scalar()


def _dump(pace: Pace) -> dict[str, Any] | None:
    return None if pace == NO_LIMIT else pace.model_dump(mode="json")


async def _insert_batch(
    transaction: Transaction, batch: Mapping[str, Any], key: BatchKey | None, pace: Pace
) -> None:
    row = {
        **batch,
        "pace": _dump(pace),
        "idempotency_key": key.key if key else None,
        "request_hash": key.request_hash if key else None,
        "cluster_id": transaction.cluster_id,
        "created_at": transaction.now,
    }
    await transaction.bulk(insert(BatchRow), [row])


async def _living(transaction: Transaction, reach: Reach) -> _Live:
    rows = await transaction.execute(
        select(
            col(JobRow.id),
            col(JobRow.index_name),
            col(JobRow.concrete_name),
            col(JobRow.new_index_name),
            col(JobRow.status),
        ).where(col(JobRow.cluster_id) == transaction.cluster_id, LIVE_REWRITES)
    )
    found = rows.all()
    return _Live(
        by_index={name: (key, Status(status)) for key, name, _, _, status in found},
        filler={target: name for _, name, _, target, _ in found},
        sources={concrete or name for _, name, concrete, _, _ in found},
        beyond={
            name
            for _, name, concrete, target, _ in found
            if not reach.covers(name, concrete or name, target)
        },
    )


ENDED_WITHOUT_SWAP = (int(Status.FAILED), int(Status.CANCELLED))


def left_uuid() -> ColumnElement[str]:
    """The UUID of the target that an operation has left: its own, or an inherited one."""
    record = col(JobRow.record)
    return func.coalesce(record["target_uuid"].as_string(), record["leftover_uuid"].as_string())


async def _leftovers(transaction: Transaction) -> dict[tuple[str, str], dict[str, str | None]]:
    """By source and target name, what failed operations left to look at: their own or inherited."""
    record = col(JobRow.record)
    own = record["target_uuid"].as_string().is_not(None)
    copied_from = case(
        (own, record[("source", "uuid")].as_string()),
        else_=record["leftover_source"].as_string(),
    )
    rows = await transaction.execute(
        select(col(JobRow.index_name), col(JobRow.new_index_name), left_uuid(), copied_from)
        .where(
            col(JobRow.cluster_id) == transaction.cluster_id,
            ENDED_REWRITES,
            col(JobRow.status).in_(ENDED_WITHOUT_SWAP),
            col(JobRow.keep_target).is_(True),
        )
        .order_by(col(JobRow.queued_at))
    )
    return {
        (index, target): {"leftover_uuid": target_uuid, "leftover_source": source_uuid}
        for index, target, target_uuid, source_uuid in rows
    }
