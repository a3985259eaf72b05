"""Whether this database may change its cluster: its id, its terms, what a person has decided."""

from __future__ import annotations

import uuid
from collections.abc import Collection
from typing import Any

from sqlalchemy import func, true
from sqlalchemy import select as select_columns
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlmodel import col, update

from app.domain.errors import WrongState
from app.domain.events import EventKind, Note
from app.domain.ownership import Conflict, ConflictKind, Finding, Mark, Ownership, judge
from app.store.tables import ClusterStateRow, InstanceRow, read_rows
from app.store.transactions import Transaction, Transactions
from app.telemetry import logger

log = logger(__name__)

SERVICE = "service"
_KINDS = {Finding.NEWER: ConflictKind.NEWER, Finding.OTHER: ConflictKind.OTHER}


def conflicts(clusters: Collection[str]) -> Any:
    """How many of these clusters have a conflict, as a column of another question: nearly always
    none, and then `is_in_doubt` need not be asked."""
    conflict, cluster = col(ClusterStateRow.conflict), col(ClusterStateRow.cluster_id)
    counted = select_columns(func.count()).where(conflict.is_not(None), cluster.in_(clusters))
    return counted.scalar_subquery().label("conflicts")


async def is_in_doubt(reader: AsyncEngine, clusters: Collection[str]) -> bool:
    """True where the database was restored and nobody has said yet that it goes on: what lets
    somebody in may have been revoked since. `clusters`: those that the service works on.

    Raises `StoreTrouble`.
    """
    conflict, cluster = col(ClusterStateRow.conflict), col(ClusterStateRow.cluster_id)
    query = select_columns(conflict).where(conflict.is_not(None), cluster.in_(clusters))
    found = await read_rows(reader, query)
    kinds = {Conflict.model_validate(row["conflict"]).kind for row in found}
    return ConflictKind.NEWER in kinds


class Ownerships:
    def __init__(self, transactions: Transactions, reader: AsyncEngine, cluster_id: str) -> None:
        self._transactions = transactions
        self.cluster_id = cluster_id
        self._reader = reader
        self._this = col(ClusterStateRow.cluster_id) == cluster_id
        self._query: Any = (
            select_columns(
                col(InstanceRow.id),
                col(ClusterStateRow.term),
                col(ClusterStateRow.writer),
                col(ClusterStateRow.conflict),
                col(ClusterStateRow.adopted),
            )
            .join_from(ClusterStateRow, InstanceRow, true())
            .where(self._this)
        )

    async def known(self) -> Ownership:
        """Raises `StoreTrouble`."""
        (row,) = await read_rows(self._reader, self._query)
        return _ownership(row)

    async def weigh(self, seen: Mark | None) -> tuple[Finding, Conflict | None]:
        """What `seen`, read before this was called, is to this database. What keeps it from
        changing anything is saved: it lasts until a person decides, and all services know it.

        Raises `StoreTrouble`.
        """
        # Read after the cluster: a term is saved before its mark is left there, so a mark that this
        # database does not know of is none of its own, though another service works on it.
        known = await self.known()
        finding = judge(known, seen)
        if known.conflict or seen is None or finding not in _KINDS:
            return finding, known.conflict

        async def work(transaction: Transaction) -> tuple[Finding, Conflict | None]:
            known = await self._locked(transaction)
            finding = judge(known, seen)
            if known.conflict or finding not in _KINDS:
                return finding, known.conflict
            conflict = Conflict(
                kind=_KINDS[finding], seen=seen, own=known.own, since=transaction.now
            )
            await self._put(transaction, conflict=conflict.model_dump(mode="json"))
            before, after = known.own.model_dump(), seen.model_dump()
            note = Note(what=EventKind.OTHER_DATABASE_FOUND, before=before, after=after)
            transaction.announce(SERVICE, [note])
            log.error("other_database_found", kind=conflict.kind.value, before=before, after=after)
            return finding, conflict

        return await self._transactions.run(work)

    async def begin_term(self, token: str, seen: Mark | None) -> Mark:
        """The next term, and the mark for it, saved before it is left in the cluster.

        Raises `LeaseLost` where `token` is not the worker's any more, `StoreTrouble`.
        """

        async def work(transaction: Transaction) -> Mark:
            known = await self._locked(transaction)
            mark = Mark(
                instance=known.own.instance, term=known.own.term + 1, writer=uuid.uuid4().hex
            )
            # That very mark may be overwritten also where the first try to do so came to nothing.
            adopted = seen and seen.model_dump()
            await self._put(transaction, term=mark.term, writer=mark.writer, adopted=adopted)
            if seen is not None and seen.instance != mark.instance:
                log.warning("cluster_taken_over", before=seen.model_dump(), after=mark.model_dump())
                note = Note(
                    what=EventKind.CLUSTER_MARKED,
                    before=seen.model_dump(),
                    after=mark.model_dump(),
                )
                transaction.announce(SERVICE, [note])
            return mark

        return await self._transactions.run(work, token)

    async def adopt(self, by: str) -> Conflict:
        """A person says that this database goes on: its next term is above the one that was seen.

        Answers what had kept it. Raises `WrongState` where nothing did, `StoreTrouble`.
        """

        async def work(transaction: Transaction) -> Conflict:
            known = await self._locked(transaction)
            conflict = known.conflict
            if conflict is None:
                raise WrongState("Nothing keeps this database from its work: it goes on already.")
            term = max(known.own.term, conflict.seen.term)
            seen = conflict.seen.model_dump()
            await self._put(transaction, term=term, conflict=None, adopted=seen)
            after = {"instance": known.own.instance, "term": term}
            note = Note(
                what=EventKind.DATABASE_ADOPTED, text=conflict.kind, before=seen, after=after
            )
            transaction.announce(by, [note])
            return conflict

        return await self._transactions.run(work)

    async def _locked(self, transaction: Transaction) -> Ownership:
        found = await transaction.execute(self._query)
        return _ownership(dict(found.mappings().one()))

    async def _put(self, transaction: Transaction, **values: Any) -> None:
        await transaction.execute(update(ClusterStateRow).where(self._this).values(**values))


def _ownership(row: dict[str, Any]) -> Ownership:
    own = Mark(instance=row["id"], term=row["term"], writer=row["writer"] or "")
    return Ownership.model_validate(
        {"own": own, "conflict": row["conflict"], "adopted": row["adopted"]}
    )
