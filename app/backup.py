"""`reindex-queue backup`: a copy of the database that the settings name, without the service."""

from __future__ import annotations

from pathlib import Path

import typer

from app.domain.errors import BackupFailed, StoreTrouble
from app.domain.formatting import size_text
from app.domain.remedies import Command
from app.serving import read_settings
from app.store.backup import copy_to, dump_command, file_of

BESIDE = (
    "It has neither the settings nor the keys of REINDEX_SECRET_KEYS. Keep both, and the keys "
    "apart from it: without them nobody can read the secrets that are stored in it."
)


def backup(target: Path) -> None:
    """Writes `target` and says what else is to be kept. Ends the process with 1 where that fails,
    with 2 where the database is not SQLite."""
    address = read_settings().database_url.get_secret_value()
    try:
        source = file_of(address)
        if source is None:
            typer.echo(
                "DATABASE_URL names a PostgreSQL database, which has a command of its own for "
                f"this: {dump_command(address, str(target))}",
                err=True,
            )
            raise typer.Exit(2)
        size = copy_to(source, target)
    except (BackupFailed, StoreTrouble) as error:
        typer.echo(f"Error: {error.message}", err=True)
        raise typer.Exit(1) from None
    typer.echo(f"{target}: {size_text(size)}, a copy of {source} as it is now. {BESIDE}")
    typer.echo(
        f"To use it, stop the service, put the copy in the place of {source}, remove "
        f"{source.name}-wal and {source.name}-shm beside it, and start the service. It changes "
        f"nothing until you say that it goes on: {Command.ADOPT}"
    )
