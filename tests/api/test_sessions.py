"""Sessions of pages: begun by a login, ended by a logout, by time, and with their login."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

import httpx
import pytest
from cryptography.fernet import Fernet

from app.api.door import SESSION_COOKIE
from app.domain import clock
from app.domain.session import IDLE, LONGEST, MOST_OF_ONE, session_digest
from app.main import create_app
from app.settings import Settings
from tests.store.database import execute

LOGIN = {"server_username": "ops", "server_password": "s3cret-päss", "server_auth": "login,tokens"}
OPS = ("ops", "s3cret-päss")
NOWHERE = "http://127.0.0.1:9"
SESSION = "/api/v1/session"
LIST = "/api/v1/operations"
FETCH = {"sec-fetch-dest": "empty"}
OWN = {"origin": "http://127.0.0.1"}
KEY, OTHER_KEY = (Fernet.generate_key().decode() for _ in range(2))


@asynccontextmanager
async def running(database_url: str, **more: Any) -> AsyncGenerator[httpx.AsyncClient]:
    made: dict[str, Any] = {"elasticsearch_hosts": [NOWHERE], "database_url": database_url}
    made |= {**LOGIN, "reindex_secret_keys": KEY, **more}
    app = create_app(Settings(**made))
    async with app.router.lifespan_context(app):
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        address = "http://127.0.0.1"
        async with httpx.AsyncClient(transport=transport, base_url=address) as client:
            yield client


async def logged_in(client: httpx.AsyncClient, token: str | None = None) -> str:
    """The id of a new session; the client sends it from now on."""
    if token is None:
        answer = await client.post(SESSION, auth=OPS, headers=OWN)
    else:
        headers = {"authorization": f"Bearer {token}", **OWN}
        answer = await client.post(SESSION, headers=headers)
    assert answer.status_code == 200, answer.text
    return client.cookies[SESSION_COOKIE]


async def test_a_page_logs_in_and_out(database_url: str) -> None:
    async with running(database_url) as client:
        assert (await client.get(LIST)).status_code == 401
        session_id = await logged_in(client)
        assert (await client.get(LIST)).status_code == 200
        mine = (await client.get(SESSION)).json()
        assert (mine["role"], mine["indices"]) == ("admin", None)
        assert mine["name"].startswith("api:ops@")
        assert mine["expiresAt"] is not None
        assert (await client.delete(SESSION, headers=OWN)).status_code == 200
        assert SESSION_COOKIE not in client.cookies
        answer = await client.get(LIST, headers={"cookie": f"{SESSION_COOKIE}={session_id}"})
        assert answer.status_code == 401
        assert answer.json()["message"] == "The session is over. Log in again."


async def test_the_cookie_is_for_the_browser_alone(database_url: str) -> None:
    public = {"server_publicbaseurl": "https://reindex.example"}
    for settings, secure in (({}, False), (public, True)):
        async with running(database_url, **settings) as client:
            cookie = (await client.post(SESSION, auth=OPS)).headers["set-cookie"]
            parts = {part.strip().lower() for part in cookie.split(";")}
            assert {"httponly", "samesite=lax", "path=/"} <= parts
            assert ("secure" in parts) is secure
            assert cookie.startswith(f"__Host-{SESSION_COOKIE}=") is secure


async def test_over_tls_only_a_cookie_that_no_other_host_can_plant_is_taken(
    sqlite_url: str,
) -> None:
    async with running(sqlite_url, server_publicbaseurl="https://reindex.example:443") as client:
        page = {"origin": "https://reindex.example", "host": "reindex.example"}
        begun = await client.post(SESSION, auth=OPS, headers=page)
        value = begun.headers["set-cookie"].partition("=")[2].partition(";")[0]
        client.cookies.clear()
        for name, status in ((SESSION_COOKIE, 401), (f"__Host-{SESSION_COOKIE}", 200)):
            cookie = {"cookie": f"{name}={value}"}
            assert (await client.get(LIST, headers=cookie)).status_code == status
        ended = await client.delete(SESSION, headers={**cookie, **page})
        assert ended.status_code == 200


async def test_a_session_begins_with_a_login_and_not_with_another_session(sqlite_url: str) -> None:
    async with running(sqlite_url) as client:
        first = await logged_in(client)
        again = await client.post(SESSION, headers=OWN)
        assert (again.status_code, "set-cookie" in again.headers) == (200, False)
        assert again.json()["expiresAt"] is not None
        second = await logged_in(client)
        client.cookies.clear()
        for session_id, status in ((first, 401), (second, 200)):
            cookie = {"cookie": f"{SESSION_COOKIE}={session_id}"}
            assert (await client.get(LIST, headers=cookie)).status_code == status


async def test_a_session_can_be_ended_where_its_login_lets_nobody_in_any_more(
    sqlite_url: str,
) -> None:
    async with running(sqlite_url) as client:
        cookie = {"cookie": f"{SESSION_COOKIE}={await logged_in(client)}"}
    async with running(sqlite_url, server_password="another-word") as client:
        assert (await client.delete(SESSION, headers=cookie)).status_code == 403
        assert (await client.delete(SESSION, headers={**cookie, **OWN})).status_code == 200
    assert execute(sqlite_url, "SELECT 1 FROM session") == []


@pytest.mark.parametrize("sent", [b"Basic \xe9", b"Basic \x00", b"Basic " + b"a" * 60_000, b" "])
async def test_a_login_that_cannot_be_read_is_none(sqlite_url: str, sent: bytes) -> None:
    async with running(sqlite_url) as client:
        headers = {b"authorization": sent}
        assert (await client.get(LIST, headers=headers)).status_code == 401
        assert (await client.get("/healthz", headers=headers)).status_code == 200


async def test_a_login_with_many_blanks_is_the_same_login(sqlite_url: str) -> None:
    async with running(sqlite_url) as client:
        made = await client.post("/api/v1/tokens", auth=OPS, json={"name": "a", "role": "viewer"})
        headers = {"authorization": f"Bearer   {made.json()['secret']}  ", **OWN}
        assert (await client.post(SESSION, headers=headers)).status_code == 200
    ((sealed,),) = execute(sqlite_url, "SELECT authorization FROM session")
    assert json.loads(Fernet(KEY).decrypt(sealed.encode()))["secret"].count(" ") == 1


async def test_nothing_of_a_login_is_stored_in_clear(sqlite_url: str) -> None:
    async with running(sqlite_url) as client:
        session_id = await logged_in(client)
    (row,) = execute(sqlite_url, "SELECT digest, authorization, caller FROM session")
    assert row[0] == session_digest(session_id)
    assert row[1].startswith("gAAAA")
    assert "s3cret" not in str(row)


async def test_a_session_goes_on_over_a_new_start_where_it_is_stored(sqlite_url: str) -> None:
    async with running(sqlite_url) as client:
        cookie = {"cookie": f"{SESSION_COOKIE}={await logged_in(client)}"}
    async with running(sqlite_url) as client:
        assert (await client.get(LIST, headers=cookie)).status_code == 200
    async with running(sqlite_url, reindex_secret_keys=OTHER_KEY) as client:
        assert (await client.get(LIST, headers=cookie)).status_code == 401


async def test_without_keys_a_session_ends_with_the_process(sqlite_url: str) -> None:
    async with running(sqlite_url, reindex_secret_keys=None) as client:
        cookie = {"cookie": f"{SESSION_COOKIE}={await logged_in(client)}"}
        assert (await client.get(LIST)).status_code == 200
        assert execute(sqlite_url, "SELECT authorization FROM session") == [(None,)]
    async with running(sqlite_url, reindex_secret_keys=None) as client:
        assert (await client.get(LIST, headers=cookie)).status_code == 401


async def test_a_session_ends_with_its_token(database_url: str) -> None:
    async with running(database_url) as client:
        body = {"name": "wall", "role": "viewer"}
        made = (await client.post("/api/v1/tokens", auth=OPS, json=body)).json()
        await logged_in(client, made["secret"])
        assert (await client.get(SESSION)).json()["name"] == "token:wall"
        assert (await client.post("/api/v1/pace/go-on", headers=OWN)).status_code == 403
        await client.delete("/api/v1/tokens/wall", auth=OPS, headers=OWN)
        answer = await client.get(LIST)
        assert answer.status_code == 401
        assert "was revoked" in answer.json()["message"]


async def test_a_session_ends_with_its_password(sqlite_url: str) -> None:
    async with running(sqlite_url) as client:
        cookie = {"cookie": f"{SESSION_COOKIE}={await logged_in(client)}"}
    async with running(sqlite_url, server_password="another") as client:
        assert (await client.get(LIST, headers=cookie)).status_code == 401


async def test_a_session_ends_when_nobody_uses_it_and_after_half_a_day(
    sqlite_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun = clock.now()
    passed = timedelta()
    monkeypatch.setattr(clock, "now", lambda: begun + passed)
    async with running(sqlite_url) as client:
        await logged_in(client)
        for _ in range(int(LONGEST / IDLE) * 2 - 1):
            passed += IDLE / 2
            assert (await client.get(LIST)).status_code == 200
        passed += IDLE / 2
        assert (await client.get(LIST)).status_code == 401
        await logged_in(client)
        passed += IDLE
        assert (await client.get(LIST)).status_code == 401


@pytest.mark.parametrize("session_id", ["", "x", "a" * 10_000, "..;é", session_digest("x")])
async def test_a_forged_session_lets_nobody_in(sqlite_url: str, session_id: str) -> None:
    async with running(sqlite_url) as client:
        await logged_in(client)
        client.cookies.clear()
        cookie = {b"cookie": f"{SESSION_COOKIE}={session_id}".encode()}
        assert (await client.get(LIST, headers=cookie)).status_code == 401
        assert (await client.get("/healthz", headers=cookie)).status_code == 200


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"origin": "https://evil.example"},
        {"origin": "null"},
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
    ],
)
async def test_a_form_of_another_site_changes_nothing(
    sqlite_url: str, headers: dict[str, str]
) -> None:
    async with running(sqlite_url) as client:
        await logged_in(client)
        stop = "/api/v1/pace/stop"
        answer = await client.post(stop, headers=headers, json={"reason": "evil"})
        assert answer.status_code == 403
        assert not execute(sqlite_url, "SELECT 1 FROM event WHERE what = 'everything stopped'")
        assert (await client.post(stop, headers=OWN, json={"reason": "ours"})).status_code == 200


async def test_of_one_caller_only_the_newest_sessions_are_kept(sqlite_url: str) -> None:
    async with running(sqlite_url) as client:
        first = await logged_in(client)
        others: list[str] = []
        for _ in range(MOST_OF_ONE):
            client.cookies.clear()  # a new one would end the one before
            others.append(await logged_in(client))
        client.cookies.clear()
        for session_id, status in ((first, 401), (others[0], 200), (others[-1], 200)):
            cookie = {"cookie": f"{SESSION_COOKIE}={session_id}"}
            assert (await client.get(LIST, headers=cookie)).status_code == status
    assert len(execute(sqlite_url, "SELECT 1 FROM session")) == MOST_OF_ONE


async def test_sessions_that_are_over_are_removed_by_the_next_login(sqlite_url: str) -> None:
    async with running(sqlite_url) as client:
        await logged_in(client)
        execute(sqlite_url, "UPDATE session SET last_used_at = '2020-01-01 00:00:00', caller = 'x'")
        client.cookies.clear()
        await logged_in(client)
    assert len(execute(sqlite_url, "SELECT 1 FROM session")) == 1


async def test_a_browser_does_not_ask_for_a_password_where_a_page_does(sqlite_url: str) -> None:
    async with running(sqlite_url) as client:
        answer = await client.post(SESSION, auth=("ops", "x"), headers=FETCH)
        assert answer.headers["www-authenticate"] == "Session"
        assert "Basic" in (await client.get(LIST)).headers["www-authenticate"]


async def test_where_nobody_logs_in_there_is_no_session(sqlite_url: str) -> None:
    nobody = {"server_username": None, "server_password": None, "server_auth": None}
    async with running(sqlite_url, **nobody) as client:
        answer = await client.post(SESSION)
        assert answer.json()["expiresAt"] is None
        assert "set-cookie" not in answer.headers
