"""The worker role: the right to be the one that changes the cluster."""

from __future__ import annotations

import fcntl
import os
import socket
import uuid
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import IO, Protocol
from urllib.parse import quote

from sqlalchemy import ColumnElement, func, or_
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlmodel import col, select, update

from app.domain.clock import boot_seconds
from app.domain.errors import LeaseLost
from app.store.rows import read_rows
from app.store.tables import ClusterStateRow
from app.store.transactions import TROUBLE, Transaction, Transactions, unavailable


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
        try:
            file = self._path.open("a+")
        except OSError as error:
            raise unavailable(error) from error
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
        try:
            with self._path.open("rb") as file:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return await _owner(self._reader, self._cluster_id)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise unavailable(error) from error
        return None


class LeaseRole:
    """For PostgreSQL: a lease in the cluster's row, by the database's clock."""

    def __init__(self, engine: AsyncEngine, cluster_id: str, seconds: float) -> None:
        self._engine = engine
        self._cluster_id = cluster_id
        self._seconds = seconds
        self.renew_seconds: float | None = seconds / 3

    async def take(self) -> Lease | None:
        token, asked_at = uuid.uuid4().hex, boot_seconds()
        free = or_(
            col(ClusterStateRow.token).is_(None),
            col(ClusterStateRow.expires_at).is_(None),
            col(ClusterStateRow.expires_at) < func.clock_timestamp(),
        )
        # the plain look first: an UPDATE would queue behind every save of the present owner
        taken = await self._update(free, {"token": token, "owner": owner_name()}, look_first=True)
        return Lease(token, asked_at + self._seconds) if taken else None

    async def renew(self, lease: Lease) -> Lease:
        asked_at = boot_seconds()
        if not lease.held or not await self._update(self._mine(lease), {}):
            raise LeaseLost
        return Lease(lease.token, asked_at + self._seconds)

    async def release(self, lease: Lease) -> None:
        await self._update(self._mine(lease), {"token": None, "owner": None})

    async def holder(self) -> str | None:
        running = col(ClusterStateRow.expires_at) >= func.clock_timestamp()
        return await _owner(self._engine, self._cluster_id, running)

    def _mine(self, lease: Lease) -> object:
        return col(ClusterStateRow.token) == lease.token

    async def _update(
        self, condition: object, values: dict[str, str | None], *, look_first: bool = False
    ) -> bool:
        where = (col(ClusterStateRow.cluster_id) == self._cluster_id, condition)
        until = func.clock_timestamp() + timedelta(seconds=self._seconds)
        statement = (
            update(ClusterStateRow)
            .where(*where)  # pyright: ignore[reportArgumentType]
            .values(**values, expires_at=until)
            .returning(col(ClusterStateRow.cluster_id))
        )
        try:
            async with self._engine.begin() as connection:
                if look_first:
                    query = select(ClusterStateRow.cluster_id).where(*where)  # pyright: ignore[reportArgumentType]
                    if (await connection.execute(query)).first() is None:
                        return False
                return (await connection.execute(statement)).first() is not None
        except TROUBLE as error:
            raise unavailable(error) from error


async def _owner(
    engine: AsyncEngine, cluster_id: str, *conditions: ColumnElement[bool]
) -> str | None:
    query = select(ClusterStateRow.owner).where(
        col(ClusterStateRow.cluster_id) == cluster_id, *conditions
    )
    rows = await read_rows(engine, query)
    return rows[0]["owner"] if rows else None
