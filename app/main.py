"""The service as an ASGI application: routes, what is around them, the sites behind them."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from importlib.metadata import version

from fastapi import FastAPI
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

from app.api import handlers, health, metrics, openapi, update_index, upgrade_assistant
from app.api.door import Door
from app.api.logins import Logins
from app.api.middleware import BodyLimit, KibanaHost, OwnHost, OwnPages, Stopping
from app.api.v1.events import streamed
from app.api.v1.routes import ROUTERS
from app.assembly import running_sites
from app.domain.token import SERVICE
from app.settings import Auth, Settings
from app.sites.event_pages import EventPages
from app.sites.event_streams import EventStreams


def create_app(settings: Settings) -> FastAPI:
    """The service as an ASGI application; its lifespan runs the worker."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncGenerator[None]:
        async with running_sites({settings.reindex_cluster_id: settings}) as sites:
            app.state.sites = sites
            pages = EventPages(sites.of().store.event_log((*sites.names, SERVICE)))
            app.state.event_streams = EventStreams(pages, streamed, instruments=sites.instruments)
            try:
                yield
            finally:
                await app.state.event_streams.close()

    app = FastAPI(
        title="Reindex Queue",
        version=version("reindex-queue"),
        lifespan=lifespan,
        telemetry={"logs": False},
        redirect_slashes=False,
        docs_url=None,
        redoc_url=None,
    )
    app.state.public_is_https = settings.public_origin.startswith("https:")
    app.state.base_path = settings.server_basepath
    logins = _logins(settings)
    _add_routes(app)
    _add_middleware(app, settings, logins)
    handlers.install_handlers(app)
    openapi.install_page(app)
    base_path, xsrf = settings.server_basepath, not settings.server_xsrf_disableprotection
    openapi.install_openapi(app, base_path, xsrf=xsrf, logins=logins())
    return app


def _add_routes(app: FastAPI) -> None:
    for family in upgrade_assistant.FAMILIES:
        app.include_router(upgrade_assistant.make_router(family))
    for router in (update_index.router, *ROUTERS, health.router, metrics.router):
        app.include_router(router)


def _add_middleware(app: FastAPI, settings: Settings, logins: Callable[[], Logins]) -> None:
    """From the inside out: what is added last sees a request first."""
    app.add_middleware(BodyLimit)
    if settings.guarded:
        app.add_middleware(Door, logins=logins)
    known = frozenset({settings.server_host.lower()})
    app.add_middleware(
        OwnHost, names=known, public=settings.public_origin, guarded=settings.guarded
    )
    app.add_middleware(
        KibanaHost,
        base_path=settings.server_basepath,
        xsrf=not settings.server_xsrf_disableprotection,
    )
    app.add_middleware(
        OwnPages,
        names=known,
        public=settings.public_origin,
        guarded=settings.guarded,
    )
    app.add_middleware(Stopping)
    if proxies := settings.server_trusted_proxies:
        app.add_middleware(ProxyHeadersMiddleware, trusted_hosts=list(proxies))


def _logins(settings: Settings) -> Callable[[], Logins]:
    """What is accepted at the moment. A login that is set opens nothing where it is not named."""
    tokens, cluster = Auth.TOKENS in settings.auth, Auth.ELASTICSEARCH in settings.auth
    password, api_key = settings.secret("server_password"), settings.secret("server_apikey")
    metrics_token = settings.secret("server_metrics_token")
    if Auth.LOGIN not in settings.auth:
        return lambda: Logins(None, None, None, tokens, metrics_token(), cluster)
    name = settings.server_username
    return lambda: Logins(name, password(), api_key(), tokens, metrics_token(), cluster)
