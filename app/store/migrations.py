"""Bringing the database to this release's schema when the service starts."""

from __future__ import annotations

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, func, select
from sqlalchemy.ext.asyncio import AsyncEngine

from app.domain.errors import SchemaTooNew, SchemaTooOld
from app.store.engine import limits_idle, unhurried
from app.store.trouble import translating

ADVISORY_LOCK = 7_232_946_001
"""Two first starts on one PostgreSQL would otherwise migrate it at the same time and fail."""


BEFORE_1_0 = {*(f"{number:04}" for number in range(1, 16)), "1000"}
"""Revisions of the schemas of before the first release, which are not carried over."""


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
    """Applies what is missing, alone.

    Raises `SchemaTooNew` where a newer release was here, `SchemaTooOld` for one made before 1.0,
    `StoreFault` for a file that is no database and a right that is missing."""
    with translating():
        async with engine.begin() as connection, unhurried(connection):
            if engine.dialect.name == "postgresql":
                alone = select(func.pg_advisory_xact_lock(ADVISORY_LOCK))
                await connection.execute(limits_idle(alone, engine))
            await connection.run_sync(_migrate)


def _migrate(connection: Connection) -> None:
    config = configuration(connection)
    known = {script.revision for script in ScriptDirectory.from_config(config).walk_revisions()}
    current = MigrationContext.configure(connection).get_current_heads()
    if made_before := set(current) & BEFORE_1_0:
        raise SchemaTooOld(
            f"The database was made before 1.0 (schema {', '.join(sorted(made_before))}). Finish "
            "what is in it with the old version, then start this one with another DATABASE_URL."
        )
    if unknown := set(current) - known:
        raise SchemaTooNew(
            f"The database has the schema {', '.join(sorted(unknown))}, which this release does "
            "not know: it was used by a newer one. Start that release, or use another DATABASE_URL."
        )
    command.upgrade(config, "head")
