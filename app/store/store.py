"""The store: one database, opened, migrated, asked how it is, and divided by subject."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from sqlalchemy import text
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncEngine

from app.domain import clock
from app.domain.clock import boot_seconds
from app.domain.errors import StoreUnavailable
from app.domain.token import SERVICE
from app.store import migrations, trouble
from app.store.engine import ANSWER_SECONDS, limits_idle, open_engines, parse_url, sqlite_path
from app.store.enqueueing import Batches
from app.store.events import EventLog, Events
from app.store.jobs import Jobs
from app.store.lanes import Lanes, SmallJobs
from app.store.listing import Listing
from app.store.operations import KeptCopies, Operations
from app.store.ownership import Ownerships
from app.store.paces import Paces
from app.store.pruning import Prunings
from app.store.requested_actions import RequestedActions
from app.store.role import ClusterIdentities, FileLockRole, LeaseRole, WorkerRole
from app.store.sealed import SealedSecrets
from app.store.sessions import Sessions
from app.store.tables import OPERATIONS_ONLY, ClusterStateRow, InstanceRow, Models, Table
from app.store.tokens import Tokens
from app.store.transactions import Transaction, Transactions
from app.store.trouble import translating
from app.store.webhooks import WebhookPlaces, Webhooks

REMEMBERED_SECONDS = 2.0
"""So long is an answer taken for true."""


class DatabaseProbe:
    """One question at a time: one that waits is not asked again, however many want its answer, and
    it is not cancelled when they have waited long enough."""

    def __init__(self, ask: Callable[[], Awaitable[None]]) -> None:
        self._ask = ask
        self._asked: asyncio.Future[None] | None = None
        self._true_until = 0.0

    async def answered(self, seconds: float) -> bool:
        """False where that takes longer. Raises what the question raises."""
        asked = self._asked
        if asked is None or (asked.done() and boot_seconds() > self._true_until):
            asked = self._asked = asyncio.ensure_future(self._ask())
            asked.add_done_callback(self._remember)
        done, _ = await asyncio.wait([asked], timeout=seconds)
        if done:
            asked.result()
        return bool(done)

    def _remember(self, asked: asyncio.Future[None]) -> None:
        self._true_until = boot_seconds() + REMEMBERED_SECONDS
        if not asked.cancelled():
            asked.exception()  # seen, though nobody may ask for it any more


class Store:
    """Everything that is remembered about one cluster."""

    def __init__(
        self,
        writer: AsyncEngine,
        reader: AsyncEngine,
        role: WorkerRole,
        cluster_id: str,
        file: Path | None,
        models: Models = OPERATIONS_ONLY,
    ) -> None:
        self._file = file
        self._writer = writer
        self._reader = reader
        self._transactions = Transactions(writer, cluster_id)
        self.jobs = Jobs(self._transactions, reader, cluster_id, models)
        self.lanes = Lanes(reader, cluster_id, models)
        self.operations = Operations(self._transactions, reader, cluster_id)
        self.requested_actions = RequestedActions(self._transactions)
        self.kept_copies = KeptCopies(self._transactions, reader, cluster_id)
        self.batches = Batches(reader, cluster_id)
        self.small_jobs = SmallJobs(self._transactions, self.jobs, cluster_id)
        self.events = Events(reader, cluster_id)
        self.listing = Listing(reader, cluster_id)
        self.paces = Paces(self._transactions, reader, cluster_id)
        self.webhook_places = WebhookPlaces(self._transactions, reader, cluster_id)
        self.prunings = Prunings(self._transactions, reader, cluster_id)
        self.cluster_identities = ClusterIdentities(self._transactions, reader, cluster_id)
        self.ownerships = Ownerships(self._transactions, reader, cluster_id)
        self.role = role
        self._owned: Database | None = None
        self._reading, self._writing = DatabaseProbe(self.ping), DatabaseProbe(self._write)

    @classmethod
    async def open(
        cls,
        address: str,
        cluster_id: str,
        lease_seconds: float,
        answer_seconds: float = ANSWER_SECONDS,
        models: Models = OPERATIONS_ONLY,
    ) -> Store:
        """The store of one cluster, alone in a database of its own; closed with it.

        Raises `StoreTrouble` with the remedy.
        """
        database = await Database.open(address, lease_seconds, answer_seconds)
        try:
            store = await database.store(cluster_id, models)
        except BaseException:
            await database.close()
            raise
        store._owned = database
        return store

    async def close(self) -> None:
        """Waits for what is being saved."""
        await self._transactions.drain()
        if self._owned:
            await self._owned.close()

    @property
    def kind(self) -> Literal["sqlite", "postgresql"]:
        return "sqlite" if self._writer.dialect.name == "sqlite" else "postgresql"

    def event_log(self, cluster_ids: Sequence[str]) -> EventLog:
        """The events of these clusters, whose stores are in the same database."""
        return EventLog(self._reader, cluster_ids)

    async def ping(self) -> None:
        """Raises `StoreUnavailable` where the database does not answer."""
        with translating():
            async with self._reader.connect() as connection:
                await connection.execute(text("SELECT 1"))

    async def check(self, seconds: float) -> None:
        """Raises `StoreUnavailable` where the database does not answer within so long (a pooler
        keeps a question while it has no server), or can be read but not written: its disk is full,
        its file system or the server is read-only, a right was taken away.

        The latter by a transaction that changes nothing; where it does not come about in time it
        waits for others, who can write.
        """
        if not await self._reading.answered(seconds):
            raise StoreUnavailable(f"The database does not answer within {seconds:g} s.")
        with translating():
            if self._file:
                trouble.check_room(self._file)
        await self._writing.answered(seconds)

    async def _write(self) -> None:
        await self._transactions.run(_nothing)


class Database:
    """One database, opened and migrated, with a store for each cluster."""

    def __init__(
        self, writer: AsyncEngine, reader: AsyncEngine, file: Path | None, lease_seconds: float
    ) -> None:
        self._writer = writer
        self._reader = reader
        self._file = file
        self._lease_seconds = lease_seconds

    @classmethod
    async def open(
        cls, address: str, lease_seconds: float, answer_seconds: float = ANSWER_SECONDS
    ) -> Database:
        """Opens and migrates it. Raises `StoreTrouble` with the remedy."""
        url = parse_url(address)
        file = sqlite_path(url)
        if file:
            trouble.make_file(file)
        writer, reader = open_engines(url, lease_seconds, answer_seconds)
        database = cls(writer, reader, file, lease_seconds)
        try:
            await migrations.migrate(writer)
            await _ensure_instance(writer)
        except BaseException:
            await database.close()
            raise
        return database

    async def store(self, cluster_id: str, models: Models = OPERATIONS_ONLY) -> Store:
        """Everything that is remembered about that cluster; `models`: the classes of jobs by kind.

        Raises `StoreTrouble`.
        """
        writer, reader = self._writer, self._reader
        await _ensure_cluster(writer, cluster_id)
        role = (
            FileLockRole(self._file, Transactions(writer, cluster_id), reader, cluster_id)
            if self._file
            else LeaseRole(writer, reader, cluster_id, self._lease_seconds)
        )
        return Store(writer, reader, role, cluster_id, self._file, models)

    async def tokens(self, clusters: Collection[str]) -> Tokens:
        """Those of the whole service, which works on `clusters`. Raises `StoreTrouble`."""
        await _ensure_cluster(self._writer, SERVICE)
        return Tokens(Transactions(self._writer, SERVICE), self._reader, clusters)

    async def sessions(self, clusters: Collection[str]) -> Sessions:
        """Those of the whole service, which works on `clusters`. Raises `StoreTrouble`."""
        await _ensure_cluster(self._writer, SERVICE)
        return Sessions(Transactions(self._writer, SERVICE), self._reader, clusters)

    async def secrets(self) -> SealedSecrets:
        """Those of the whole service. Raises `StoreTrouble`."""
        await _ensure_cluster(self._writer, SERVICE)
        return SealedSecrets(Transactions(self._writer, SERVICE))

    async def webhooks(self) -> Webhooks:
        """Those of the whole service. Raises `StoreTrouble`."""
        await _ensure_cluster(self._writer, SERVICE)
        return Webhooks(Transactions(self._writer, SERVICE), self._reader)

    async def close(self) -> None:
        await self._writer.dispose()
        await self._reader.dispose()


async def _nothing(_: Transaction) -> None:
    """The work of a transaction that only has to come about."""


async def _ensure_instance(engine: AsyncEngine) -> None:
    """The id of the database, made with it; a first start at the same time finds it."""
    made = InstanceRow(id=uuid.uuid4().hex, made_at=clock.now())
    await _insert(engine, InstanceRow, made.model_dump())


async def _ensure_cluster(engine: AsyncEngine, cluster_id: str) -> None:
    """The cluster's row, made at the first start; a first start at the same time finds it."""
    await _insert(engine, ClusterStateRow, ClusterStateRow(cluster_id=cluster_id).model_dump())


async def _insert(engine: AsyncEngine, table: type[Table], values: Mapping[str, Any]) -> None:
    """Where no row of that key is there."""
    insert = (sqlite if engine.dialect.name == "sqlite" else postgresql).insert(table)
    statement = limits_idle(insert.values(values).on_conflict_do_nothing(), engine)
    with translating():
        async with engine.begin() as connection:
            await connection.execute(statement)
