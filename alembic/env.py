"""Alembic's entry: with the service's connection, or with DATABASE_URL from the command line."""

from __future__ import annotations

import os

from alembic import context
from sqlalchemy import Connection, create_engine

from app.store.engine import parse_url
from app.store.tables import Table


def run(connection: Connection) -> None:
    context.configure(
        connection=connection,
        target_metadata=Table.metadata,
        render_as_batch=True,
        compare_type=True,
    )
    with context.begin_transaction():
        context.run_migrations()


given = context.config.attributes.get("connection")
if given is not None:
    run(given)
else:
    url = parse_url(os.environ.get("DATABASE_URL", "sqlite:///reindex-queue.db"))
    with create_engine(url.set(drivername=url.drivername.replace("+aiosqlite", ""))).begin() as own:
        run(own)
