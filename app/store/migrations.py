"""Bringing the database to this release's schema when the service starts."""

from __future__ import annotations

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine

from app.domain.errors import SchemaTooNew
from app.store.transactions import TROUBLE, unavailable

ADVISORY_LOCK = 7_232_946_001
"""Two first starts on one PostgreSQL would otherwise migrate it at the same time and fail."""


def _scripts() -> Path:
    """Beside `app` in a checkout, inside this package in an installed wheel."""
    packaged = Path(__file__).with_name("alembic")
    return packaged if packaged.is_dir() else Path(__file__).parents[2] / "alembic"


def configuration(connection: Connection | None = None) -> Config:
    config = Config()
    config.set_main_option("script_location", str(_scripts()))
    config.attributes["connection"] = connection
    return config


async def migrate(engine: AsyncEngine) -> None:
    """Applies what is missing, alone. Raises `SchemaTooNew` where a newer release was here."""
    try:
        async with engine.begin() as connection:
            await connection.run_sync(_migrate)
    except (*TROUBLE, DBAPIError) as error:  # also a file that is no database, a missing right
        raise unavailable(error) from error


def _migrate(connection: Connection) -> None:
    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": ADVISORY_LOCK})
    config = configuration(connection)
    known = {script.revision for script in ScriptDirectory.from_config(config).walk_revisions()}
    current = MigrationContext.configure(connection).get_current_heads()
    if unknown := set(current) - known:
        raise SchemaTooNew(
            f"The database has the schema {', '.join(sorted(unknown))}, which this release does "
            "not know: it was used by a newer one. Start that release, or use another DATABASE_URL."
        )
    command.upgrade(config, "head")
