"""Names of others that lead to the service: nothing is answered to their pages."""

from __future__ import annotations

from functools import cache
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from app.main import create_app
from app.settings import Settings
from tests.service import BASE

LOGIN: dict[str, Any] = {"server_username": "ops", "server_password": "p-of-ops-61"}
OWN = [
    "localhost",
    "LOCALHOST:5602",
    "reindex.localhost:5602",
    "127.0.0.1:5602",
    "10.1.2.3",
    "[::1]:5602",
    "reindex-queue:5602",
    "reindex-queue.ns.svc:5602",
    "reindex-queue.ns.svc.cluster.local",
    "host.docker.internal:5602",
    "box.local",
    "",
]
FOREIGN = [
    "evil.example",
    "evil.example:5602",
    "127.0.0.1.evil.example",
    "localhost.evil.example",
    "box.local.evil.example",
]
ODD = ["[::1", "evil.example.", "a:b@evil.example", ":5602", "."]


@cache
def made(**settings: Any) -> FastAPI:
    return create_app(Settings(**settings))


async def asked(host: str, path: str, *, login: bool = False, **settings: Any) -> httpx.Response:
    """What a service answers that is not started: its pages and its document need no more."""
    transport = httpx.ASGITransport(made(**settings), raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://service") as client:
        auth = ("ops", "p-of-ops-61") if login else None
        return await client.get(path, headers={"host": host}, auth=auth)


@pytest.mark.parametrize("host", OWN)
async def test_what_is_asked_under_a_name_of_its_own_is_answered(host: str) -> None:
    for path in ("/docs", "/openapi.json"):
        assert (await asked(host, path)).status_code == 200


@pytest.mark.parametrize("host", FOREIGN + ODD)
async def test_where_nobody_logs_in_nothing_is_answered_to_a_foreign_name(host: str) -> None:
    for path in ("/docs", "/openapi.json", f"{BASE}/batch/queue", "/api/v1/operations"):
        answer = await asked(host, path, server_allow_anonymous=True)
        assert answer.status_code == 403, path
        assert "SERVER_PUBLICBASEURL" in answer.json()["message"]
        assert answer.json()["error"] == "Forbidden"
    assert (await asked(host, "/healthz")).status_code == 200


async def test_whether_somebody_is_there_is_said_under_any_name() -> None:
    transport = httpx.ASGITransport(made(server_allow_anonymous=True))
    async with httpx.AsyncClient(transport=transport, base_url="http://evil.example") as client:
        assert (await client.options("/api/v1/operations")).status_code == 204


@pytest.mark.parametrize("host", FOREIGN)
async def test_where_people_log_in_a_foreign_name_has_no_pages(host: str) -> None:
    for path in ("/docs", "/"):
        assert (await asked(host, path, login=True, **LOGIN)).status_code == 403, path
    assert (await asked(host, "/openapi.json", login=True, **LOGIN)).status_code == 200
    assert (await asked(host, "/openapi.json", **LOGIN)).status_code == 401
    based = {**LOGIN, "server_basepath": "/kibana"}
    assert (await asked(host, "/kibana/docs", login=True, **based)).status_code == 403


@pytest.mark.parametrize(
    ("host", "settings", "status"),
    [
        ("reindex.example", {"server_publicbaseurl": "https://Reindex.example/kibana"}, 200),
        ("reindex.example:443", {"server_publicbaseurl": "https://reindex.example"}, 200),
        ("other.example", {"server_publicbaseurl": "https://reindex.example"}, 403),
        ("evil-reindex.example", {"server_publicbaseurl": "https://reindex.example"}, 403),
        ("box.inside.example:5602", {"server_host": "Box.inside.example"}, 200),
        ("box.outside.example", {"server_host": "box.inside.example"}, 403),
    ],
)
async def test_the_names_of_the_settings_are_its_own(
    host: str, settings: dict[str, Any], status: int
) -> None:
    assert (await asked(host, "/openapi.json", **settings)).status_code == status
