"""What runs where the service has its settings: `reindex-queue serve`, the service as a process,
and `token create --here` and `adopt --here`, which need its database alone."""

from __future__ import annotations

import asyncio
import errno
import ipaddress
import os
import signal
import socket
from collections.abc import Callable
from typing import Any

import typer
import uvicorn
from pydantic import ValidationError
from uvicorn.protocols.http.h11_impl import H11Protocol

from app import telemetry
from app.api.event_stream import TRANSPORT
from app.domain.errors import InvalidToken, StoreTrouble, WrongState
from app.domain.token import TokenGrant
from app.main import create_app
from app.redaction import hide_always
from app.settings import Auth, Settings, misspelt
from app.sites.adoption import Adopted, Adoption
from app.sites.token_desk import IssuedToken, TokenDesk
from app.store.engine import is_new, without_password
from app.store.role import owner_name
from app.store.store import Database

log = telemetry.logger(__name__)

UNSEEN = "A service has to look at the cluster first: start it, and ask again."
STOP_SECONDS = 5
"""So long may open requests take to end at a stop; the worker has its own time after it."""


def serve(host: str | None, port: int | None) -> None:
    """Runs until a signal. `host` and `port` win over the settings."""
    settings = read_settings()
    hide_always(settings.secrets())
    telemetry.configure(json=settings.reindex_log_json, level=settings.reindex_log_level)
    for name, meant in misspelt(os.environ):
        log.warning("unknown_setting", name=name, meant=meant)
    host = host or settings.server_host
    port = settings.server_port if port is None else port
    with _listener(host, port) as listener:
        _refuse_open_door(settings, listener)
        try:
            asyncio.run(_serve(settings, listener))
        except StoreTrouble as error:
            raise _database_unusable(error) from None


def make_token(grant: TokenGrant) -> IssuedToken:
    """A token in the database of the settings: for the first one there is nobody to ask."""
    settings = read_settings()
    telemetry.configure(json=settings.reindex_log_json, level="WARNING")
    address = settings.database_url.get_secret_value()
    try:
        new = is_new(address)
        made = asyncio.run(_make_token(settings, grant))
    except StoreTrouble as error:
        raise _database_unusable(error) from None
    except InvalidToken as error:
        typer.echo(error.message, err=True)
        raise typer.Exit(2) from None
    where = " This database is new: no service has used it yet." if new else ""
    typer.echo(f"Made in {without_password(address)}.{where}", err=True)
    if Auth.TOKENS not in settings.auth:
        typer.echo("It lets in once SERVER_AUTH of the service names tokens.", err=True)
    return made


async def _make_token(settings: Settings, grant: TokenGrant) -> IssuedToken:
    database = await Database.open(
        settings.database_url.get_secret_value(), settings.reindex_lease_seconds
    )
    try:
        tokens = await database.tokens([settings.reindex_cluster_id])
        desk = TokenDesk(tokens, [settings.reindex_cluster_id])
        return await desk.create(grant, f"here:{owner_name()}"[:255])
    finally:
        await database.close()


def adopt(*, keep_tokens: bool) -> Adopted:
    """The database of the settings goes on. For where nobody is let in: with tokens alone."""
    settings = read_settings()
    telemetry.configure(json=settings.reindex_log_json, level="ERROR")
    try:
        return asyncio.run(_adopt(settings, keep_tokens=keep_tokens))
    except StoreTrouble as error:
        raise _database_unusable(error) from None
    except WrongState as error:
        typer.echo(f"Error: {error.message} {UNSEEN}", err=True)
        raise typer.Exit(1) from None


async def _adopt(settings: Settings, *, keep_tokens: bool) -> Adopted:
    database = await Database.open(
        settings.database_url.get_secret_value(), settings.reindex_lease_seconds
    )
    try:
        store = await database.store(settings.reindex_cluster_id)
        tokens = await database.tokens([settings.reindex_cluster_id])
        webhooks = await database.webhooks()
        adoption = Adoption(store.ownerships, tokens, webhooks)
        return await adoption.adopt(f"here:{owner_name()}"[:255], keep_tokens=keep_tokens)
    finally:
        await database.close()


def _database_unusable(error: StoreTrouble) -> typer.Exit:
    """Told in one line, with the name of the setting."""
    line = " ".join(error.message.split()).removeprefix("DATABASE_URL ")
    typer.echo(f"DATABASE_URL: {line}", err=True)
    return typer.Exit(1)


async def _serve(settings: Settings, listener: socket.socket) -> None:
    """The lifespan is run here and not by uvicorn, which makes a traceback of every trouble in it.

    uvicorn also raises every signal it took once more when it is done, so its own handler is put
    in place for that: a stop that was asked for ends with exit code 0.
    """
    _tell_of_closed_login(settings)
    app = create_app(settings)
    config = uvicorn.Config(
        app,
        http=_Protocol,
        lifespan="off",
        log_config=None,
        access_log=False,
        proxy_headers=False,  # the app looks at them itself, where SERVER_TRUSTED_PROXIES says so
        timeout_graceful_shutdown=STOP_SECONDS,
        ssl_certfile=settings.server_ssl_certificate,
        ssl_keyfile=settings.server_ssl_key,
        ssl_keyfile_password=settings.secret("server_ssl_keypassphrase")(),
        timeout_keep_alive=settings.server_keepalivetimeout // 1000,
    )
    async with app.router.lifespan_context(app):
        server = _Server(config, app.state.event_streams.end)
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, server.handle_exit)
        host, port, *_ = listener.getsockname()
        log.info("listening", host=host, port=port)
        await server.serve(sockets=[listener])
        signal.signal(signal.SIGINT, signal.SIG_DFL)  # a second Ctrl-C does not wait any more


def _tell_of_closed_login(settings: Settings) -> None:
    """Whoever adds tokens to a login that is there may have forgotten to name it."""
    if settings.has_login and settings.guarded and Auth.LOGIN not in settings.auth:
        ways = ",".join(settings.auth)
        log.warning(
            "login_closed",
            remedy=f"SERVER_AUTH={ways} closes the login that is set; write login,{ways}",
        )


class _Protocol(H11Protocol):
    """Lets an answer close its connection at once. uvicorn has no such thing: it waits for a reader
    that takes nothing for as long as the connection lives, and at a stop for all its time."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override] - narrower there, too
        super().connection_made(transport)
        app = self.app

        async def with_transport(scope: Any, receive: Any, send: Any) -> None:
            extensions = {**scope.get("extensions", {}), TRANSPORT: transport}
            await app({**scope, "extensions": extensions}, receive, send)

        self.app = with_transport


class _Server(uvicorn.Server):
    """At a stop uvicorn waits for open answers, and a stream of events would stay open: so the
    streams are ended first."""

    def __init__(self, config: uvicorn.Config, end_streams: Callable[[], None]) -> None:
        super().__init__(config)
        self._end_streams = end_streams

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._end_streams()
        await super().shutdown(sockets)


def _listener(host: str, port: int) -> socket.socket:
    """Bound before anything else: a service nobody can reach must not take the worker role."""
    try:
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        return socket.create_server(address, family=family, backlog=2048)
    except (socket.gaierror, UnicodeError):
        typer.echo(f"SERVER_HOST: {host[:100]}: name an address of this machine.", err=True)
        raise typer.Exit(2) from None
    except OSError as error:
        taken = " Is another service running there?" if error.errno == errno.EADDRINUSE else ""
        typer.echo(
            f"SERVER_HOST, SERVER_PORT: cannot listen on {host}:{port}: {error.strerror}.{taken}",
            err=True,
        )
        raise typer.Exit(1) from None


def _refuse_open_door(settings: Settings, listener: socket.socket) -> None:
    """Beyond this machine nobody is let in without a login, unless somebody has said so."""
    address = listener.getsockname()[0].partition("%")[0]
    if ipaddress.ip_address(address).is_loopback or settings.guarded:
        return
    if not settings.server_allow_anonymous:
        typer.echo(
            f"SERVER_HOST: {address} can be reached from other machines, and anybody there could "
            "reindex and cancel. Set SERVER_USERNAME and SERVER_PASSWORD, or SERVER_APIKEY, or "
            "SERVER_AUTH=tokens or elasticsearch; or, behind a proxy that asks for a login, "
            "SERVER_ALLOW_ANONYMOUS=true.",
            err=True,
        )
        raise typer.Exit(2)
    log.warning("anonymous_access", host=address)


def read_settings() -> Settings:
    """Those of the environment; ends the process with 2 and a line for each that is wrong."""
    try:
        return Settings()
    except ValueError as error:
        if not isinstance(error, ValidationError):
            typer.echo(str(error), err=True)
            raise typer.Exit(2) from None
        for fault in error.errors():
            name = ".".join(str(part) for part in fault["loc"]).upper() or "settings"
            typer.echo(f"{name}: {fault['msg'].removeprefix('Value error, ')}", err=True)
        raise typer.Exit(2) from None
