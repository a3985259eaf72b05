"""The command line."""

from __future__ import annotations

from typing import Annotated

import typer
import uvicorn
from pydantic import ValidationError

from app import telemetry
from app.main import create_app
from app.settings import Settings

cli = typer.Typer(
    name="reindex-queue",
    help="Rewrites Elasticsearch indices one by one before a major upgrade.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
STOP_SECONDS = 10


@cli.callback()
def main() -> None:
    """Rewrites Elasticsearch indices one by one before a major upgrade."""


@cli.command()
def serve(
    host: Annotated[str | None, typer.Option(help="Default: SERVER_HOST, 127.0.0.1")] = None,
    port: Annotated[int | None, typer.Option(help="Default: SERVER_PORT, 5602")] = None,
) -> None:
    """Runs the service: API and worker. Settings come from the environment."""
    settings = _settings()
    telemetry.configure(json=settings.reindex_log_json, level=settings.reindex_log_level)
    config = uvicorn.Config(
        create_app(settings),
        host=host or settings.server_host,
        port=settings.server_port if port is None else port,
        log_config=None,
        access_log=False,
        timeout_graceful_shutdown=STOP_SECONDS,
    )
    server = uvicorn.Server(config)
    server.run()
    if not server.started:
        raise typer.Exit(1)


def _settings() -> Settings:
    try:
        return Settings()
    except ValidationError as error:
        for fault in error.errors():
            name = ".".join(str(part) for part in fault["loc"]).upper() or "settings"
            typer.echo(f"{name}: {fault['msg'].removeprefix('Value error, ')}", err=True)
        raise typer.Exit(2) from None


def run() -> None:
    """The console script."""
    cli()
