"""Stored secrets are encrypted with the first key, in pieces, as often as it is asked for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from cryptography.fernet import Fernet
from sqlalchemy import MetaData, insert, select
from sqlmodel import Field, SQLModel

from app.domain.errors import SecretUnusable
from app.sealing import Seal, Sealing
from app.store import sealed
from app.store.sealed import Rotation, SealedColumn, SealedSecrets
from app.store.transactions import Transaction, Transactions
from tests.store.database import execute

OLD, NEW, LOST = (Fernet.generate_key().decode() for _ in range(3))


def seal_of(row: Mapping[str, Any]) -> Seal:
    return Seal("test", "default", row["name"])


class SecretRow(SQLModel, table=True):
    metadata = MetaData()  # it is no part of the schema
    __tablename__ = "secret_of_a_test"  # pyright: ignore[reportAssignmentType] - as the tables do

    name: str = Field(primary_key=True, max_length=32)
    secret: str | None = None


COLUMNS = (SealedColumn(SecretRow, "secret", seal_of, key="name"),)


def sealing(*keys: str) -> Sealing:
    return Sealing(lambda: ",".join(keys) or None)


async def test_all_are_encrypted_with_the_first_key_and_what_no_key_opens_stays(
    transactions: Transactions, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sealed, "ROWS", 3)
    execute(
        database_url, "CREATE TABLE secret_of_a_test (name VARCHAR(32) PRIMARY KEY, secret TEXT)"
    )
    old, lost = sealing(OLD), sealing(LOST)
    rows: list[dict[str, Any]] = [
        {"name": f"{n:02}", "secret": old.close(f"word-{n}", Seal("test", "default", f"{n:02}"))}
        for n in range(7)
    ]
    rows.append({"name": "none", "secret": None})
    rows.append({"name": "strange", "secret": lost.close("x", Seal("test", "default", "strange"))})
    rows.append({"name": "moved", "secret": rows[0]["secret"]})

    async def fill(transaction: Transaction) -> None:
        await transaction.bulk(insert(SecretRow), rows)

    await transactions.run(fill)
    secrets = SealedSecrets(transactions, COLUMNS)
    assert await secrets.rotate(sealing(NEW, OLD), "ops") == Rotation(7, 2)
    assert await secrets.rotate(sealing(NEW), "ops") == Rotation(7, 2)

    async def read(transaction: Transaction) -> dict[str, Any]:
        found = await transaction.execute(select(SecretRow.name, SecretRow.secret))  # pyright: ignore
        return dict(tuple(row) for row in found.all())

    after = await transactions.run(read)
    for n in range(7):
        assert sealing(NEW).open(after[f"{n:02}"], seal_of({"name": f"{n:02}"})) == f"word-{n}"
    assert (after["none"], after["strange"]) == (None, rows[-2]["secret"])
    told = execute(database_url, "SELECT who, what FROM event ORDER BY number")
    assert told == [("ops", "keys rotated")] * 2


async def test_without_a_key_that_can_be_used_nothing_is_touched(
    transactions: Transactions, database_url: str
) -> None:
    with pytest.raises(SecretUnusable, match="REINDEX_SECRET_KEYS is not set"):
        await SealedSecrets(transactions, COLUMNS).rotate(sealing(), "ops")
    assert execute(database_url, "SELECT what FROM event") == []
