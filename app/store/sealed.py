"""Stored secrets: which columns keep them, and how they are encrypted anew."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

from sqlalchemy import ColumnElement, select, update
from sqlalchemy import Table as TableOfColumns
from sqlmodel import SQLModel

from app.domain.errors import SecretUnusable
from app.domain.events import EventKind, Note
from app.sealing import Seal, Sealing
from app.store.sessions import session_seal
from app.store.tables import SessionRow, WebhookRow
from app.store.transactions import Transaction, Transactions
from app.store.webhooks import key_seal, url_seal

ROWS = 100
"""So many in one transaction: whoever wants to save something waits for no more than that."""


@dataclass(frozen=True)
class SealedColumn:
    """`seal`: what the secret of a row, given by the names of its columns, is bound to. `key`: the
    primary key."""

    table: type[SQLModel]
    column: str
    seal: Callable[[Mapping[str, Any]], Seal]
    key: str = "id"

    @property
    def columns(self) -> TableOfColumns:
        """The table, as SQL knows it."""
        return cast(TableOfColumns, self.table.__dict__["__table__"])


SEALED: tuple[SealedColumn, ...] = (
    SealedColumn(
        SessionRow, "authorization", lambda row: session_seal(row["digest"]), key="digest"
    ),
    SealedColumn(WebhookRow, "sealed_url", lambda row: url_seal(row["id"])),
    SealedColumn(WebhookRow, "sealed_key", lambda row: key_seal(row["id"])),
    SealedColumn(WebhookRow, "sealed_old_key", lambda row: key_seal(row["id"])),
)
"""All of them. Whoever adds a column of secrets adds it here, or it is left out of a rotation."""


@dataclass(frozen=True)
class Rotation:
    """How many secrets are encrypted with the first key now, and how many nobody could open."""

    encrypted: int = 0
    not_opened: int = 0

    def __add__(self, other: Rotation) -> Rotation:
        return Rotation(self.encrypted + other.encrypted, self.not_opened + other.not_opened)


class SealedSecrets:
    def __init__(
        self, transactions: Transactions, columns: Sequence[SealedColumn] = SEALED
    ) -> None:
        self._transactions = transactions
        self._columns = columns

    async def rotate(self, sealing: Sealing, by: str) -> Rotation:
        """Encrypts every secret with the first key. One that is cut is begun anew.

        A secret that no key opens stays as it is. Raises `SecretUnusable` where no key can be used,
        `StoreTrouble`.
        """
        if fault := sealing.report().fault:
            raise fault
        done = Rotation()
        for column in self._columns:
            last: Any = None
            while piece := await self._piece(sealing, column, last):
                last, rotated = piece
                done += rotated
        await self._transactions.run(_announcing(by, done))
        return done

    async def _piece(
        self, sealing: Sealing, column: SealedColumn, after: Any
    ) -> tuple[Any, Rotation] | None:
        """The rows behind that key; the last key of them, None where there is none."""
        key: ColumnElement[Any] = column.columns.c[column.key]
        sealed: ColumnElement[Any] = column.columns.c[column.column]
        query = select(column.columns).where(sealed.is_not(None)).order_by(key).limit(ROWS)
        if after is not None:
            query = query.where(key > after)

        async def work(transaction: Transaction) -> tuple[Any, Rotation] | None:
            found = await transaction.execute(query)
            rows = [cast(dict[str, Any], dict(row)) for row in found.mappings()]
            done = Rotation()
            for row in map(_named, rows):
                try:
                    anew = sealing.anew(row[column.column], column.seal(row))
                except SecretUnusable:
                    done += Rotation(not_opened=1)
                    continue
                change = update(column.table).where(key == row[column.key])
                await transaction.execute(change.values({column.column: anew}))
                done += Rotation(encrypted=1)
            return (rows[-1][column.key], done) if rows else None

        return await self._transactions.run(work)


def _named(row: Mapping[Any, Any]) -> dict[str, Any]:
    """By the names of its columns."""
    return {str(name): value for name, value in row.items()}


def _announcing(by: str, done: Rotation) -> Callable[[Transaction], Any]:
    async def work(transaction: Transaction) -> None:
        after = {"encrypted": done.encrypted, "notOpened": done.not_opened}
        transaction.announce(by, [Note(what=EventKind.KEYS_ROTATED, after=after)])

    return work
