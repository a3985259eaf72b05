"""The migrations give exactly the schema of `app.store.tables`.

`python -m tests.store.schema_in_step` checks it on SQLite in a temporary folder, exit code 1 where
it is not so. `alembic check` sees neither the predicates of partial indexes nor CHECK constraints,
so what is compared here is what two databases say about themselves: a migrated one, and one made
from the tables.
"""

from __future__ import annotations

import asyncio
import re
import sys
import tempfile
from pathlib import Path

from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection, text

from app.domain.errors import StoreTrouble
from app.store.store import Store
from app.store.tables import Table
from tests.store.database import connected

Schema = dict[str, str]
"""What there is, such as `index uq_job_live_index`, and its definition."""

_SQLITE = """
    SELECT type || ' ' || name, sql FROM sqlite_master
    WHERE tbl_name <> 'alembic_version' AND sql IS NOT NULL
"""

_POSTGRESQL = """
    SELECT 'column ' || table_name || '.' || column_name,
           concat_ws(' ', data_type, character_maximum_length, numeric_precision, is_nullable,
                     column_default)
    FROM information_schema.columns
    WHERE table_schema = 'public' AND table_name <> 'alembic_version'
    UNION ALL
    SELECT 'index ' || indexname, indexdef FROM pg_indexes
    WHERE schemaname = 'public' AND tablename <> 'alembic_version'
    UNION ALL
    SELECT 'constraint ' || conrelid::regclass || '.' || conname, pg_get_constraintdef(oid)
    FROM pg_constraint
    WHERE connamespace = 'public'::regnamespace
      AND conrelid::regclass::text <> 'alembic_version'
"""


def schema(connection: Connection) -> Schema:
    """All tables, columns, indexes and constraints, but for Alembic's own table."""
    if connection.dialect.name == "postgresql":
        return {name: str(made) for name, made in connection.execute(text(_POSTGRESQL))}
    return {name: _in_order(str(made)) for name, made in connection.execute(text(_SQLITE))}


def differences(migrated: Schema, made: Schema) -> list[str]:
    """One line for everything that is not the same in both."""
    lines: list[str] = []
    for name in sorted(migrated.keys() | made.keys()):
        if name not in migrated:
            lines.append(f"{name} is in the tables, but not in the migrations: {made[name]}")
        elif name not in made:
            lines.append(f"{name} is in the migrations, but not in the tables: {migrated[name]}")
        elif migrated[name] != made[name]:
            lines.append(f"{name} differs\n  migrations: {migrated[name]}\n  tables: {made[name]}")
    return lines


def faults(migrated_url: str, empty_url: str) -> list[str]:
    """What is wrong: of a migrated database, and an empty one, which gets the tables."""
    with connected(empty_url) as connection:
        Table.metadata.create_all(connection)
        made = schema(connection)
    with connected(migrated_url) as connection:
        seen_by_alembic = compare_metadata(
            MigrationContext.configure(connection, opts={"compare_type": True}), Table.metadata
        )
        lines = [f"alembic would change: {change}" for change in seen_by_alembic]
        return [*lines, *differences(schema(connection), made)]


def _in_order(definition: str) -> str:
    """SQLite keeps the statement as it was written, so the order of the parts means nothing."""
    definition = re.sub(r"\s+", " ", definition).strip()
    if not definition.startswith("CREATE TABLE"):
        return definition
    head, _, body = definition.partition("(")
    return f"{head}({', '.join(sorted(_parts(body.rstrip().removesuffix(')'))))})"


def _parts(body: str) -> list[str]:
    """`body` cut at the commas outside brackets."""
    parts, depth = [""], 0
    for character in body:
        depth += {"(": 1, ")": -1}.get(character, 0)
        if character == "," and depth == 0:
            parts.append("")
        else:
            parts[-1] += character
    return [part.strip() for part in parts]


async def _migrate(url: str) -> None:
    await (await Store.open(url, "check", lease_seconds=60)).close()


def main() -> int:
    with tempfile.TemporaryDirectory() as folder:
        migrated, empty = (f"sqlite:///{Path(folder) / name}" for name in ("migrated", "empty"))
        try:
            asyncio.run(_migrate(migrated))
        except StoreTrouble as error:
            print(f"The migrations do not run: {error.message}", file=sys.stderr)
            return 1
        lines = faults(migrated, empty)
    if lines:
        print("The migrations in alembic/ and app/store/tables.py differ:", file=sys.stderr)
        print("\n".join(lines), file=sys.stderr)
    return 1 if lines else 0


if __name__ == "__main__":
    sys.exit(main())
