"""The UUID of the cluster that the data are about."""

from __future__ import annotations

from sqlalchemy import and_
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlmodel import col, or_, select, update

from app.domain.events import EventKind, Note
from app.store.rows import read_tuples
from app.store.tables import BUT_SMALL_ROWS, KEPT_ROWS, LIVE_ROWS, ClusterStateRow, JobRow
from app.store.transactions import Transaction, Transactions
from app.telemetry import logger

log = logger(__name__)


class ClusterIdentities:
    def __init__(self, transactions: Transactions, reader: AsyncEngine, cluster_id: str) -> None:
        self._transactions = transactions
        self._reader = reader
        self._cluster_id = cluster_id

    async def settle(self, found: str, accepted: str | None) -> str:
        """The UUID of the data's cluster: `found`, the one that answers, where that can be.

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
            if known and not accepted and not await self._free(transaction):
                return known
            values = {"cluster_uuid": found}
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
