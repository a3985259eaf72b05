"""Every route says which role it needs, and lets nobody through who has less."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from fastapi.routing import iter_route_contexts
from pydantic import SecretStr

from app.api.access import Needs, principal_of
from app.domain.principal import Principal, Role
from app.main import create_app
from app.settings import Settings
from tests.api.conftest import Logged
from tests.service import BASE

OPEN = {"/healthz", "/readyz", "/openapi.json", "/docs", "/docs/files", "/"}
"""The probes, and the document with its page: they need no role."""
OF_ADMINS = {
    "PUT /api/v1/pace",
    "PATCH /api/v1/pace",
    "DELETE /api/v1/pace",
    "POST /api/v1/pace/stop",
    "POST /api/v1/pace/go-on",
    "POST /api/v1/prune",
    "POST /api/v1/worker/adopt",
    "POST /api/v1/keys/rotate",
    "GET /api/v1/tokens",
    "POST /api/v1/tokens",
    "DELETE /api/v1/tokens/{tokenName}",
    "GET /api/v1/webhooks",
    "POST /api/v1/webhooks",
    "GET /api/v1/webhooks/{webhookId}",
    "PATCH /api/v1/webhooks/{webhookId}",
    "DELETE /api/v1/webhooks/{webhookId}",
    "POST /api/v1/webhooks/{webhookId}/test",
}
READING_POSTS = {"POST /api/v1/plan", "POST /api/v1/session", "DELETE /api/v1/session"}
"""They change nothing but what is the caller's own."""
NOWHERE = "http://127.0.0.1:9"

NAMES = {
    "indexName": "a",
    "operationId": "0" * 32,
    "batchId": "0" * 32,
    "tokenName": "ci",
    "webhookId": "chat",
}


def routes() -> Iterator[tuple[str, list[Role]]]:
    """`GET /path`, and the roles that it names, without those that are open."""
    for route in iter_route_contexts(create_app(Settings()).routes):
        if route.path in OPEN:
            continue
        checks = [one.call for one in route.dependant.dependencies if isinstance(one.call, Needs)]
        for method in sorted(route.methods or ()):
            yield f"{method} {route.path}", [check.role for check in checks]


ROUTES = dict(routes())


def test_the_document_tells_the_role_of_every_route() -> None:
    document = create_app(Settings(server_apikey=SecretStr("k"))).openapi()
    told = {
        f"{method.upper()} {path}": operation
        for path, item in document["paths"].items()
        for method, operation in item.items()
    }
    shown = {name: roles[0] for name, roles in ROUTES.items() if name in told}
    assert len(shown) > 40
    for name, role in shown.items():
        assert told[name]["x-required-role"] == role, name
        assert f"Needs the role `{role}`." in told[name]["description"], name
        assert {"key": [role]} in told[name]["security"], name
    assert {name for name in told if name not in shown} == {"GET /healthz", "GET /readyz"}


def test_every_route_names_one_role() -> None:
    assert len(ROUTES) > 40
    assert {name: len(roles) for name, roles in ROUTES.items()} == dict.fromkeys(ROUTES, 1)


def test_reading_takes_a_viewer_changing_an_operator_and_the_service_an_admin() -> None:
    for name, (role,) in ROUTES.items():
        reads = name.startswith("GET ") or name in READING_POSTS
        expected = Role.VIEWER if reads else Role.OPERATOR
        assert role is (Role.ADMIN if name in OF_ADMINS else expected), name
    assert ROUTES.keys() >= OF_ADMINS | READING_POSTS


@pytest.mark.parametrize(
    "name", [name for name, roles in ROUTES.items() if Role.VIEWER not in roles]
)
async def test_who_has_less_is_refused_before_anything_is_read(name: str, logged: Logged) -> None:
    (needed,) = ROUTES[name]
    method, path = name.format(**NAMES).split(" ")
    less = list(Role)[list(Role).index(needed) - 1]
    app = as_somebody(create_app(Settings()), less)  # not started: behind the door is nothing
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://service") as client:
        with logged() as lines:
            answer = await client.request(method, path, json={"unknown": 1})
    assert answer.status_code == 403
    assert answer.json() == {
        "statusCode": 403,
        "error": "Forbidden",
        "message": f"api:eve@127.0.0.1 has the role {less}, and this needs the role {needed}. "
        "Ask as somebody who has it.",
    }
    (line,) = [line for line in lines if line["event"] == "request_refused"]
    assert (line["status"], line["code"]) == (403, "role_missing")


async def test_a_viewer_looks_and_an_operator_changes(sqlite_url: str) -> None:
    async with asked_by(Role.VIEWER, sqlite_url) as client:
        assert (await client.get("/api/v1/operations")).status_code == 200
        assert (await client.get(f"{BASE}/batch/queue")).status_code == 200
    async with asked_by(Role.OPERATOR, sqlite_url) as client:
        assert (await client.get("/api/v1/pace")).status_code == 200
        unknown = await client.post(f"{BASE}/a/cancel")
        assert (unknown.status_code, unknown.json()["error"]) == (404, "Not Found")
    async with asked_by(Role.ADMIN, sqlite_url) as client:
        assert (await client.put("/api/v1/pace", json={})).status_code == 200
        assert (await client.post(f"{BASE}/a/cancel")).status_code == 404


async def test_a_viewer_plans_without_a_trial(sqlite_url: str) -> None:
    body = {"indices": [{"index": "a"}]}
    async with asked_by(Role.VIEWER, sqlite_url) as client:
        planned = await client.post("/api/v1/plan", json=body)
        tried = await client.post("/api/v1/plan", json={**body, "trial": True})
    assert planned.status_code == 503  # Elasticsearch was asked, and is nowhere
    assert tried.status_code == 403
    assert "needs the role operator" in tried.json()["message"]


async def test_whoever_is_let_in_is_an_admin_and_noted_by_name(sqlite_url: str) -> None:
    stop, go_on = "/api/v1/pace/stop", "/api/v1/pace/go-on"
    async with running(create_app(before_nothing(sqlite_url))) as client:
        assert (await client.post(stop)).json()["stopped"]["by"] == "api:127.0.0.1"
        assert (await client.post(go_on)).status_code == 200
    login = {
        "server_username": "ops",
        "server_password": "s3cret-of-ops",
        "server_apikey": "k-5d1fb0c7e2",
    }
    async with running(create_app(before_nothing(sqlite_url, **login))) as client:
        answer = await client.post(stop, auth=("ops", "s3cret-of-ops"))
        assert answer.json()["stopped"]["by"] == "api:ops@127.0.0.1"
        key = {"authorization": "ApiKey k-5d1fb0c7e2"}
        assert (await client.post(go_on, headers=key)).status_code == 200
        answer = await client.post(stop, headers=key)
        assert answer.json()["stopped"]["by"] == "api:key@127.0.0.1"


def before_nothing(database_url: str, **login: Any) -> Settings:
    """Settings of a service whose Elasticsearch is away."""
    made: dict[str, Any] = {"elasticsearch_hosts": [NOWHERE], "database_url": database_url}
    return Settings(**made, **login)


def as_somebody(app: FastAPI, role: Role) -> FastAPI:
    app.dependency_overrides[principal_of] = lambda: Principal("api:eve@127.0.0.1", role)
    return app


@asynccontextmanager
async def asked_by(role: Role, database_url: str) -> AsyncGenerator[httpx.AsyncClient]:
    """The service without Elasticsearch, asked by somebody with `role`."""
    app = as_somebody(create_app(before_nothing(database_url)), role)
    async with running(app) as client:
        yield client


@asynccontextmanager
async def running(app: FastAPI) -> AsyncGenerator[httpx.AsyncClient]:
    async with app.router.lifespan_context(app):
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://service") as client:
            yield client
