"""The worker role: the right to be the one that changes the cluster, and which cluster that is."""

from __future__ import annotations

import fcntl
import os
import socket
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import IO, NamedTuple, Protocol
from urllib.parse import quote

from sqlalchemy import ColumnElement, and_, func
from sqlalchemy import select as select_columns
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlmodel import col, or_, select, update

from app.domain.clock import boot_seconds
from app.domain.errors import LeaseLost, StoreFault
from app.domain.events import EventKind, Note
from app.store import trouble
from app.store.engine import limits_idle
from app.store.tables import (
    BUT_SMALL_ROWS,
    KEPT_ROWS,
    LIVE_ROWS,
    ClusterStateRow,
    JobRow,
    read_tuples,
)
from app.store.transactions import Transaction, Transactions
from app.store.trouble import translating
from app.telemetry import logger

log = logger(__name__)


class ClusterIdentities:
    def __init__(self, transactions: Transactions, reader: AsyncEngine, cluster_id: str) -> None:
        self._transactions = transactions
        self._reader = reader
        self._cluster_id = cluster_id

    async def settle(self, found: str, accepted: str | None, *, moves: bool = True) -> str:
        """The UUID of the data's cluster: `found`, the one that answers, where that can be.

        `moves` False: they go to no other cluster now.

        It becomes the data's where none is known yet, where it is the one that a person named
        (`accepted`; no other is taken then), and where no data need another any more: no live
        job but small ones, and no kept copy.
        """
        if accepted not in (found, None):
            return accepted
        this = col(ClusterStateRow.cluster_id) == self._cluster_id
        query = select(col(ClusterStateRow.cluster_uuid)).where(this)

        async def work(transaction: Transaction) -> str:
            known = (await transaction.execute(query)).scalar_one()
            if known == found:
                return found
            if known and not moves:
                return known
            if known and not accepted and not await self._free(transaction):
                return known
            # What was found in one cluster says nothing about another.
            values = {"cluster_uuid": found, "conflict": None, "adopted": None}
            await transaction.execute(update(ClusterStateRow).where(this).values(**values))
            if known is not None:
                note = Note(what=EventKind.CLUSTER_CHANGED, before=known, after=found)
                transaction.announce("service", [note])
                log.warning("cluster_changed", before=known, after=found)
            return found

        ((known,),) = await read_tuples(self._reader, query)
        return found if known == found else await self._transactions.run(work)

    async def _free(self, transaction: Transaction) -> bool:
        in_need = or_(and_(BUT_SMALL_ROWS, LIVE_ROWS), KEPT_ROWS)
        query = (
            select(JobRow.id).where(col(JobRow.cluster_id) == self._cluster_id, in_need).limit(1)
        )
        return (await transaction.execute(query)).first() is None


@dataclass(frozen=True)
class Lease:
    """The role in hand. `token` fences every save; `deadline` is by the boot clock, None: never."""

    token: str
    deadline: float | None

    @property
    def held(self) -> bool:
        return self.deadline is None or boot_seconds() < self.deadline


class WorkerRole(Protocol):
    @property
    def renew_seconds(self) -> float | None:
        """How often `renew` is due; None where the role lasts as long as the process."""
        ...

    async def take(self) -> Lease | None:
        """The role, or None where another service has it."""
        ...

    async def renew(self, lease: Lease) -> Lease:
        """The same role for longer. Raises `LeaseLost`."""
        ...

    async def release(self, lease: Lease) -> None: ...

    async def holder(self) -> str | None:
        """The name of the service that has the role now; None where nobody has."""
        ...


def owner_name() -> str:
    return f"{socket.gethostname()}:{os.getpid()}"


DEFAULT_CLUSTER = "default"


class FileLockRole:
    """For SQLite: a lock on a file beside the database, which dies with the process; one for each
    cluster that the database is about."""

    renew_seconds: float | None = None

    def __init__(
        self, database: Path, transactions: Transactions, reader: AsyncEngine, cluster_id: str
    ) -> None:
        of_cluster = "" if cluster_id == DEFAULT_CLUSTER else f".{quote(cluster_id, safe='')}"
        self._path = database.with_name(f"{database.name}{of_cluster}.worker-lock")
        self._transactions = transactions
        self._reader = reader
        self._cluster_id = cluster_id
        self._file: IO[str] | None = None

    async def take(self) -> Lease | None:
        with translating():
            file = trouble.open_private(self._path)
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            file.close()
            return None
        token = uuid.uuid4().hex

        async def own(transaction: Transaction) -> None:
            await transaction.execute(
                update(ClusterStateRow)
                .where(col(ClusterStateRow.cluster_id) == transaction.cluster_id)
                .values(token=token, owner=owner_name(), expires_at=None)
            )

        try:
            await self._transactions.run(own)
        except BaseException:
            file.close()
            raise
        self._file = file
        return Lease(token, None)

    async def renew(self, lease: Lease) -> Lease:
        return lease

    async def release(self, lease: Lease) -> None:  # noqa: ARG002 - the file is the lease
        if self._file:
            self._file.close()
            self._file = None

    async def holder(self) -> str | None:
        """The row also names one that is gone, so the lock is asked (and let go of at once)."""
        with translating():
            try:
                with self._path.open("rb") as file:
                    fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                query = select(ClusterStateRow.owner).where(
                    col(ClusterStateRow.cluster_id) == self._cluster_id
                )
                return next((row[0] for row in await read_tuples(self._reader, query)), None)
            except FileNotFoundError:
                return None
        return None


@dataclass(frozen=True)
class _Sight:
    """The lease in the row as it was first seen, and when that was, by the boot clock.

    `renewed`: the same owner's lease was seen to become this one.
    """

    token: str
    expires_at: datetime
    since: float
    renewed: bool


class LeaseRole:
    """For PostgreSQL: a lease in the cluster's row.

    No clock of the database decides, for it can be set: whoever wants the role watches the row, and
    the lease is over when it was not renewed for its whole length by the watcher's own boot clock.
    That is never before the owner's own deadline, which began earlier. `expires_at` is what makes
    each renewal another one, and a first guess for whoever only asks who has the role.
    """

    def __init__(
        self, writer: AsyncEngine, reader: AsyncEngine, cluster_id: str, seconds: float
    ) -> None:
        self._writer = writer
        self._reader = reader
        self._cluster_id = cluster_id
        self._seconds = seconds
        self._seen: _Sight | None = None
        self._left: str | None = None
        self.renew_seconds: float | None = seconds / 3

    async def take(self) -> Lease | None:
        asked_at = boot_seconds()
        found = await self._read()
        seen = self._watch(found)
        # one's own that could not be given back is nobody's: its term is over
        if seen and seen.token != self._left and not _is_over(found, seen, asked_at):
            return None
        token, asked_at = uuid.uuid4().hex, boot_seconds()
        as_seen = (
            col(ClusterStateRow.token).is_not_distinct_from(found.token),
            col(ClusterStateRow.expires_at).is_not_distinct_from(found.expires_at),
        )
        values = {"token": token, "owner": owner_name()}
        if not await self._update(values, *as_seen):
            return None
        return Lease(token, asked_at + self._seconds)

    async def renew(self, lease: Lease) -> Lease:
        asked_at = boot_seconds()
        if not lease.held or not await self._update({}, _is(lease)):
            raise LeaseLost
        return Lease(lease.token, asked_at + self._seconds)

    async def release(self, lease: Lease) -> None:
        self._left = lease.token
        await self._update({"token": None, "owner": None}, _is(lease))

    async def holder(self) -> str | None:
        asked_at = boot_seconds()
        found = await self._read()
        seen = self._watch(found)
        if seen is None or _is_over(found, seen, asked_at):
            return None
        return found.owner if seen.renewed or found.running else None

    async def _read(self) -> _Row:
        query = select_columns(
            col(ClusterStateRow.token),
            col(ClusterStateRow.expires_at),
            col(ClusterStateRow.owner),
            func.coalesce(ClusterStateRow.lease_seconds, self._seconds),
            col(ClusterStateRow.expires_at) >= func.clock_timestamp(),
        ).where(col(ClusterStateRow.cluster_id) == self._cluster_id)
        for row in await read_tuples(self._reader, query):
            return _Row(*row)
        raise StoreFault(f"The table cluster_state has no row for {self._cluster_id} any more.")

    def _watch(self, found: _Row) -> _Sight | None:
        """Since when the lease is as it is; None where nobody has the role."""
        known = self._seen
        if found.token is None or found.expires_at is None:
            self._seen = None
        elif known is None or (known.token, known.expires_at) != found[:2]:
            renewed = known is not None and known.token == found.token
            self._seen = _Sight(found.token, found.expires_at, boot_seconds(), renewed)
        return self._seen

    async def _update(
        self, values: Mapping[str, str | None], *conditions: ColumnElement[bool]
    ) -> bool:
        until = func.clock_timestamp() + timedelta(seconds=self._seconds)
        changed = (
            update(ClusterStateRow)
            .where(col(ClusterStateRow.cluster_id) == self._cluster_id, *conditions)
            .values(**values, expires_at=until, lease_seconds=self._seconds)
            .returning(col(ClusterStateRow.cluster_id))
        )
        statement = limits_idle(changed, self._writer)
        with translating():
            async with self._writer.begin() as connection:
                return (await connection.execute(statement)).first() is not None


class _Row(NamedTuple):
    """`running`: by the database's clock."""

    token: str | None
    expires_at: datetime | None
    owner: str | None
    seconds: float
    running: bool | None


def _is(lease: Lease) -> ColumnElement[bool]:
    return col(ClusterStateRow.token) == lease.token


def _is_over(found: _Row, seen: _Sight, asked_at: float) -> bool:
    """It was not renewed for its whole length, as its owner has it set, until it was asked for."""
    return asked_at - seen.since > found.seconds
