"""Tokens: made, listed, revoked, and found by the digest of their secret. They are of the whole
service, not of one cluster."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Collection
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import delete, insert, or_, select
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlmodel import col, update

from app.domain import clock
from app.domain.errors import StoreTrouble, TokenNameTaken, UnknownToken
from app.domain.events import EventKind, Note
from app.domain.token import Token, TokenGrant
from app.store.ownership import conflicts, is_in_doubt
from app.store.tables import NOT_REVOKED_ROWS, SessionRow, TokenRow, read_rows
from app.store.transactions import Transaction, Transactions
from app.telemetry import logger

log = logger(__name__)

NOTED_EVERY = timedelta(hours=1)
"""When a token was last used is written no more often: a write for each request would be felt."""
TRIED_EVERY = 60.0
"""Seconds until that is tried again where the database did not take it."""

_COLUMNS: Any = tuple(getattr(TokenRow, name) for name in Token.model_fields if name != "in_doubt")


class Tokens:
    def __init__(
        self, transactions: Transactions, reader: AsyncEngine, clusters: Collection[str]
    ) -> None:
        """`clusters`: the names of those that the service works on."""
        self._clusters = clusters
        self._transactions = transactions
        self._reader = reader
        self._tried: dict[str, float] = {}
        self._noting: set[asyncio.Task[None]] = set()

    async def create(self, grant: TokenGrant, digest: str, by: str) -> Token:
        """Raises `TokenNameTaken` where one of that name is not revoked, `StoreTrouble`."""

        async def work(transaction: Transaction) -> Token:
            # Writing transactions come one after the other, so nobody takes the name in between.
            there = select(col(TokenRow.id)).where(
                col(TokenRow.name) == grant.name, NOT_REVOKED_ROWS
            )
            if (await transaction.execute(there)).first() is not None:
                raise TokenNameTaken(grant.name)
            token = Token(
                **grant.model_dump(), id=uuid.uuid4().hex, created_at=transaction.now, created_by=by
            )
            row = {**token.model_dump(), "role": grant.role.value, "digest": digest}
            await transaction.bulk(insert(TokenRow), [row])
            transaction.announce(by, [_note(EventKind.TOKEN_CREATED, token)])
            return token

        return await self._transactions.run(work)

    async def revoke(self, name: str, by: str) -> Token:
        """Raises `UnknownToken` where there is none of that name, or it is revoked already."""

        async def work(transaction: Transaction) -> Token:
            revoke: Any = (
                update(TokenRow)
                .where(col(TokenRow.name) == name, NOT_REVOKED_ROWS)
                .values(revoked_at=transaction.now, revoked_by=by)
            )
            revoked = await transaction.execute(revoke.returning(*_COLUMNS))
            row = revoked.mappings().one_or_none()
            if row is None:
                raise UnknownToken(name)
            token = Token.model_validate(dict(row))
            transaction.announce(by, [_note(EventKind.TOKEN_REVOKED, token)])
            return token

        return await self._transactions.run(work)

    async def revoke_all(self, by: str) -> list[str]:
        """All that are not revoked, each with an event; their names. All sessions end, too: one
        that was logged out since the copy was made would be alive again. Raises `StoreTrouble`."""

        async def work(transaction: Transaction) -> list[str]:
            revoke: Any = (
                update(TokenRow)
                .where(NOT_REVOKED_ROWS)
                .values(revoked_at=transaction.now, revoked_by=by)
            )
            await transaction.execute(delete(SessionRow))
            revoked = await transaction.execute(revoke.returning(*_COLUMNS))
            tokens = [Token.model_validate(dict(row)) for row in revoked.mappings()]
            tokens.sort(key=lambda token: token.name)
            transaction.announce(by, [_note(EventKind.TOKEN_REVOKED, token) for token in tokens])
            return [token.name for token in tokens]

        return await self._transactions.run(work)

    async def all(self) -> list[Token]:
        """Every one that was ever made, the oldest first."""
        query = select(*_COLUMNS).order_by(col(TokenRow.created_at), col(TokenRow.id))
        return [Token.model_validate(row) for row in await read_rows(self._reader, query)]

    async def with_digest(self, digest: str) -> Token | None:
        """Asked at every request, and never remembered: a token that was revoked by any service
        lets nobody in from then on."""
        query = select(conflicts(self._clusters), *_COLUMNS).where(col(TokenRow.digest) == digest)
        for row in await read_rows(self._reader, query):
            met = row["conflicts"] > 0
            in_doubt = met and await is_in_doubt(self._reader, self._clusters)
            return Token.model_validate({**row, "in_doubt": in_doubt})
        return None

    def note_use(self, token: Token) -> None:
        """Sees to it that its last use is noted, without keeping the request waiting."""
        now = clock.now()
        if token.last_used_at is not None and abs(now - token.last_used_at) < NOTED_EVERY:
            return
        tried = self._tried.get(token.id)
        if tried is not None and clock.boot_seconds() - tried < TRIED_EVERY:
            return
        self._tried[token.id] = clock.boot_seconds()
        task = asyncio.create_task(self._note_use(token.id, now))
        self._noting.add(task)
        task.add_done_callback(self._noting.discard)

    async def close(self) -> None:
        """Waits for what is being saved."""
        await asyncio.gather(*self._noting)
        await self._transactions.drain()

    async def _note_use(self, token_id: str, now: datetime) -> None:
        async def work(transaction: Transaction) -> None:
            used = col(TokenRow.last_used_at)
            await transaction.execute(
                update(TokenRow)
                .where(col(TokenRow.id) == token_id, or_(used.is_(None), used < now))
                .values(last_used_at=now)
            )

        try:
            await self._transactions.run(work)
        except StoreTrouble as error:
            log.warning("token_use_not_noted", token=token_id, reason=error.message)


def _note(kind: EventKind, token: Token) -> Note:
    """With what it allows; a secret is nowhere near."""
    allowed = {"role", "clusters", "indices", "expires_at"}
    return Note(what=kind, text=token.name, after=token.model_dump(mode="json", include=allowed))
