"""Sessions of pages, found by the digest of their id. They are of the whole service."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from typing import Any

from sqlalchemy import delete, insert, or_, select
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlmodel import col, update

from app.domain.session import IDLE, LONGEST, MOST_OF_ONE, PageSession
from app.domain.token import SERVICE
from app.sealing import Seal
from app.store.ownership import conflicts, is_in_doubt
from app.store.tables import SessionRow, read_rows
from app.store.transactions import Transaction, Transactions

_COLUMNS: Any = tuple(getattr(SessionRow, name) for name in PageSession.model_fields)


def session_seal(digest: str) -> Seal:
    """What the login of a session is bound to."""
    return Seal("session", SERVICE, digest)


class Sessions:
    def __init__(
        self, transactions: Transactions, reader: AsyncEngine, clusters: Collection[str]
    ) -> None:
        """`clusters`: the names of those that the service works on."""
        self._clusters = clusters
        self._transactions = transactions
        self._reader = reader

    async def create(self, session: PageSession) -> list[str]:
        """Also removes those that are over, and of the same caller the oldest beyond the bound, so
        that no number of logins makes the table grow; answers the digests of these."""

        async def work(transaction: Transaction) -> list[str]:
            now = session.created_at
            used, made = col(SessionRow.last_used_at), col(SessionRow.created_at)
            over = or_(used <= now - IDLE, made <= now - LONGEST)
            gone = delete(SessionRow).where(over).returning(col(SessionRow.digest))
            ended = [*(await transaction.execute(gone)).scalars()]
            older = (
                select(col(SessionRow.digest))
                .where(col(SessionRow.caller) == session.caller)
                .order_by(made.desc(), col(SessionRow.digest))
                .offset(MOST_OF_ONE - 1)
                .limit(MOST_OF_ONE)
            )
            rows = (await transaction.execute(older)).scalars().all()
            await transaction.execute(delete(SessionRow).where(col(SessionRow.digest).in_(rows)))
            await transaction.bulk(insert(SessionRow), [session.model_dump()])
            return [*ended, *rows]

        return await self._transactions.run(work)

    async def find(self, digest: str) -> PageSession | None:
        """None also in a restored database, until a person has said that it goes on: one that was
        logged out since would be alive again."""
        query = select(conflicts(self._clusters), *_COLUMNS)
        rows = await read_rows(self._reader, query.where(col(SessionRow.digest) == digest))
        if not rows:
            return None
        if rows[0]["conflicts"] and await is_in_doubt(self._reader, self._clusters):
            return None
        return PageSession.model_validate(rows[0])

    async def note_use(self, digest: str, now: datetime) -> None:
        used = col(SessionRow.last_used_at)

        async def work(transaction: Transaction) -> None:
            statement = update(SessionRow).where(col(SessionRow.digest) == digest, used < now)
            await transaction.execute(statement.values(last_used_at=now))

        await self._transactions.run(work)

    async def end(self, digest: str) -> None:
        async def work(transaction: Transaction) -> None:
            await transaction.execute(delete(SessionRow).where(col(SessionRow.digest) == digest))

        await self._transactions.run(work)
