"""Tokens over HTTP: made and shown once, accepted, limited, expired, revoked; failed logins."""

from __future__ import annotations

import base64
import logging
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from app.api.attempts import FEW, FREE_OF_ADDRESS, FREE_OF_NAME, LONGEST_SECONDS
from app.domain.errors import OtherDatabase, StoreUnavailable
from app.main import create_app
from app.settings import Settings
from app.sites.token_desk import TokenDesk
from app.store.backup import copy_to
from tests.api.conftest import Time
from tests.conditions import eventually
from tests.secrets_used import used
from tests.service import BASE
from tests.store.database import execute

NOWHERE = "http://127.0.0.1:9"
LOGIN: dict[str, Any] = {
    "server_username": "ops",
    "server_password": "s3cret-of-ops",
    "server_auth": "login,tokens",
}
OPS = ("ops", "s3cret-of-ops")
TOKENS = "/api/v1/tokens"
LIST = "/api/v1/operations"


@asynccontextmanager
async def running(
    database_url: str, address: str = "10.1.1.1", **settings: Any
) -> AsyncGenerator[httpx.AsyncClient]:
    """The service without Elasticsearch; `address`: where the client is."""
    made: dict[str, Any] = {"elasticsearch_hosts": [NOWHERE], "database_url": database_url}
    made |= settings or LOGIN
    used.of_settings(made)
    app = create_app(Settings(**made))
    async with app.router.lifespan_context(app), client_of(app, address) as client:
        yield client


@asynccontextmanager
async def client_of(app: FastAPI, address: str) -> AsyncGenerator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(app, raise_app_exceptions=False, client=(address, 123))
    async with httpx.AsyncClient(transport=transport, base_url="http://service") as client:
        yield client


@pytest.fixture
async def client(database_url: str) -> AsyncGenerator[httpx.AsyncClient]:
    async with running(database_url) as client:
        yield client


async def made(client: httpx.AsyncClient, name: str = "ci", **body: Any) -> dict[str, str]:
    """The headers that log in with a new token, made by the login of the settings."""
    wanted = {"name": name, "role": "viewer", **body}
    answer = await client.post(TOKENS, json=wanted, auth=OPS)
    assert answer.status_code == 200, answer.text
    return {"authorization": f"Bearer {answer.json()['secret']}"}


async def test_one_lets_in_as_bearer_and_as_api_key_with_its_own_name(
    client: httpx.AsyncClient, database_url: str
) -> None:
    bearer = await made(client, "root", role="admin")
    key = {"authorization": bearer["authorization"].replace("Bearer", "ApiKey")}
    stopped = await client.post("/api/v1/pace/stop", headers=bearer)
    assert stopped.json()["stopped"]["by"] == "token:root"
    assert (await client.post("/api/v1/pace/go-on", headers=key)).status_code == 200
    who = execute(database_url, "SELECT who, what FROM event WHERE cluster_id = 'default'")
    assert who == [("token:root", "everything stopped"), ("token:root", "everything goes on")]
    assert (await client.get("/readyz", headers=bearer)).json()["elasticsearch"] != "away"


async def test_the_secret_is_shown_once_and_stored_nowhere(
    client: httpx.AsyncClient, database_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    headers = await made(client, indices=["logs-*"], role="operator")
    secret = headers["authorization"].removeprefix("Bearer ")
    listed = await client.get(TOKENS, auth=OPS)
    (shown,) = listed.json()["tokens"]
    assert (shown["name"], shown["role"], shown["indices"]) == ("ci", "operator", ["logs-*"])
    assert shown["createdBy"] == "api:ops@10.1.1.1"
    revoked = await client.delete(f"{TOKENS}/ci", auth=OPS)
    assert revoked.json()["revokedBy"] == "api:ops@10.1.1.1"
    stored = "".join(
        str(execute(database_url, f"SELECT * FROM {table}")) for table in ("token", "event")
    )
    for text in (listed.text, revoked.text, stored, caplog.text):
        assert secret not in text
        assert secret.removeprefix("rq_")[:20] not in text


async def test_a_role_that_is_not_enough_is_403(client: httpx.AsyncClient) -> None:
    viewer = await made(client, "wall")
    operator = await made(client, "nightly", role="operator")
    assert (await client.get(LIST, headers=viewer)).status_code == 200
    for headers, method, path, needed in (
        (viewer, "POST", f"{BASE}/a/cancel", "operator"),
        (viewer, "GET", TOKENS, "admin"),
        (operator, "POST", TOKENS, "admin"),
        (operator, "DELETE", f"{TOKENS}/wall", "admin"),
        (operator, "POST", "/api/v1/pace/stop", "admin"),
    ):
        answer = await client.request(method, path, headers=headers, json={})
        assert answer.status_code == 403, path
        assert f"needs the role {needed}" in answer.json()["message"]
    assert (await client.post(f"{BASE}/a/cancel", headers=operator)).status_code == 404


async def test_a_revoked_one_lets_nobody_in_from_the_next_request_on(
    client: httpx.AsyncClient, database_url: str
) -> None:
    headers = await made(client)
    async with running(database_url) as other:
        assert (await other.get(LIST, headers=headers)).status_code == 200
        assert (await client.delete(f"{TOKENS}/ci", auth=OPS)).status_code == 200
        for service in (client, other):
            answer = await service.get(LIST, headers=headers)
            assert answer.status_code == 401
            assert answer.json()["message"] == "The token ci was revoked. Ask for a new one."
    assert (await client.delete(f"{TOKENS}/ci", auth=OPS)).status_code == 404


async def test_an_expired_one_lets_nobody_in(client: httpx.AsyncClient, database_url: str) -> None:
    soon = datetime.now(UTC) + timedelta(seconds=1)
    headers = await made(client, expiresAt=soon.isoformat())

    async def over() -> bool:
        return (await client.get(LIST, headers=headers)).status_code == 401

    await eventually(over, "the token expires")
    answer = await client.get(LIST, headers=headers)
    assert answer.json()["message"] == "The token ci has expired. Ask for a new one."
    assert (await client.get("/readyz", headers=headers)).json()["elasticsearch"] == "away"
    late = "2099-01-01 00:00:00"
    execute(database_url, f"UPDATE token SET expires_at = '{late}'")
    assert (await client.get(LIST, headers=headers)).status_code == 200


@pytest.mark.parametrize(
    ("body", "status", "said"),
    [
        ({"name": "CI"}, 400, "body.name]: it must be of a-z"),
        ({"name": "a" * 65}, 400, "body.name]: it must be of a-z"),
        ({"role": "root"}, 400, "body.role]: it must be 'viewer', 'operator' or 'admin'"),
        ({"indices": []}, 400, "body.indices]: it must have one entry at least"),
        ({"indices": ["Logs-*"]}, 400, "[Logs-*] fits the name of no index"),
        ({"indices": ["a,b"]}, 400, "[a,b] fits the name of no index"),
        ({"clusters": ["other"]}, 400, "no cluster other. It has: default."),
        ({"role": "admin", "indices": ["*"]}, 400, "What an admin may do concerns all indices"),
        ({"expiresAt": "2020-01-01T00:00:00Z"}, 400, "expired already"),
        ({"expiresAt": "9999-12-31T23:59:59-23:00"}, 400, "in more than 100 years"),
        ({"expiresAt": "2099-01-01T00:00:00"}, 400, "body.expiresAt]: it must be a time with its"),
        ({"expiresAt": "2099-13-01T00:00:00Z"}, 400, "body.expiresAt]: it must be a time with its"),
        ({"expiresAt": 4_000_000_000}, 400, "body.expiresAt]: it must be a time, such as 2027"),
        ({"expiresAt": "4000000000"}, 400, "body.expiresAt]: it must be a time, such as 2027"),
        ({"name": "taken"}, 409, "There is a token taken already"),
        ({"secret": "mine"}, 400, "definition for this key is missing"),
    ],
)
async def test_one_that_makes_no_sense_is_not_made(
    sqlite_url: str, body: dict[str, Any], status: int, said: str
) -> None:
    async with running(sqlite_url) as client:
        await made(client, "taken")
        wanted = {"name": "ci", "role": "viewer", **body}
        answer = await client.post(TOKENS, json=wanted, auth=OPS)
        assert answer.status_code == status, answer.text
        assert said in answer.json()["message"]
        assert len((await client.get(TOKENS, auth=OPS)).json()["tokens"]) == 1


async def test_whoever_is_limited_makes_no_token_and_does_nothing_for_all(
    sqlite_url: str,
) -> None:
    """Who may do everything in one cluster makes no token that may do so elsewhere."""
    async with running(sqlite_url) as client:
        some = await made(client, "some", role="admin", clusters=["default"])
        assert (await client.post("/api/v1/pace/go-on", headers=some)).status_code == 200
        for method, path in (("GET", TOKENS), ("POST", TOKENS), ("DELETE", f"{TOKENS}/some")):
            body = {"name": "free", "role": "admin"} if method == "POST" else None
            answer = await client.request(method, path, headers=some, json=body)
            assert answer.status_code == 403, method
            assert "limited to some clusters" in answer.json()["message"]
        execute(sqlite_url, "UPDATE token SET clusters = NULL, indices = '[\"*\"]'")
        for path in ("/api/v1/pace/go-on", "/api/v1/pace/stop"):
            answer = await client.post(path, headers=some)
            assert answer.status_code == 403
            assert "limited to some indices" in answer.json()["message"]
        execute(sqlite_url, "UPDATE token SET clusters = '[\"other\"]', indices = NULL")
        for path in (LIST, f"{BASE}/batch/queue", "/api/v1/pace", "/api/v1/doctor"):
            answer = await client.get(path, headers=some)
            assert answer.status_code == 403, path
            assert answer.json()["message"] == ("token:some may not work on the cluster default.")


async def test_where_tokens_are_not_named_none_lets_in(sqlite_url: str) -> None:
    async with running(sqlite_url) as client:
        headers = await made(client)
    only = {key: value for key, value in LOGIN.items() if key != "server_auth"}
    async with running(sqlite_url, **only) as client:
        answer = await client.get(LIST, headers=headers)
        assert answer.status_code == 401
        assert answer.headers["www-authenticate"] == 'Basic realm="Reindex Queue"'
        assert "token" not in answer.json()["message"]


async def test_where_only_tokens_are_named_the_login_lets_nobody_in(sqlite_url: str) -> None:
    async with running(sqlite_url) as client:
        headers = await made(client)
    async with running(sqlite_url, **{**LOGIN, "server_auth": "tokens"}) as client:
        assert (await client.get(LIST, headers=headers)).status_code == 200
        for answer in (await client.get(LIST, auth=OPS), await client.get(LIST)):
            assert answer.status_code == 401
            assert answer.headers["www-authenticate"] == "Bearer"
            assert "Bearer rq_" in answer.json()["message"]
        document = (await client.get("/openapi.json", headers=headers)).json()
    assert list(document["components"]["securitySchemes"]) == ["token"]
    assert {"401", "403", "429"} <= document["paths"][LIST]["get"]["responses"].keys()


async def test_both_ways_are_offered_where_both_are_open(sqlite_url: str) -> None:
    async with running(sqlite_url, **LOGIN, server_apikey="k-1-of-tokens") as client:
        answer = await client.get(LIST)
        assert answer.headers["www-authenticate"] == 'Basic realm="Reindex Queue", ApiKey, Bearer'
        assert "SERVER_APIKEY" in answer.json()["message"]
        assert "Or: log in with a token" in answer.json()["message"]
        headers = {"authorization": "Bearer k-1-of-tokens"}
        assert (await client.get(LIST, headers=headers)).status_code == 200
        token = await made(client)
        assert (await client.get(LIST, headers=token)).status_code == 200


async def test_a_database_that_is_away_is_503_and_not_a_wrong_token(
    sqlite_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def away(*_: Any) -> None:
        raise StoreUnavailable("The database does not answer.")

    async with running(sqlite_url) as client:
        headers = await made(client)
        monkeypatch.setattr(TokenDesk, "bearer", away)
        for _ in range(FREE_OF_ADDRESS + 2):
            answer = await client.get(LIST, headers=headers)
            assert answer.status_code == 503
            assert answer.json()["message"] == "The database does not answer."
        assert (await client.get("/readyz", headers=headers)).json()["elasticsearch"] == "away"
        assert (await client.get(LIST, auth=OPS)).status_code == 200


async def test_of_a_thousand_wrong_logins_few_are_looked_at(database_url: str, time: Time) -> None:
    async with running(database_url) as client:
        token = await made(client)
        statuses = [
            (await client.get(LIST, auth=("ops", f"wrong {number}"))).status_code
            for number in range(1_000)
        ]
        looked_at = FREE_OF_NAME + 1
        assert statuses == [401] * looked_at + [429] * (1_000 - looked_at)
        kept_out = await client.get(LIST, auth=("ops", "one more"))
        assert kept_out.headers["retry-after"] == "1"
        assert "Too many logins have failed" in kept_out.json()["message"]
        assert (await client.get(LIST, headers=token)).status_code == 200  # nobody guesses those
        assert (await client.get(LIST, auth=OPS)).status_code == 200  # was let in before
        time.pass_by(1)
        assert (await client.get(LIST, auth=("ops", "the last"))).status_code == 401


async def test_one_program_with_an_old_password_locks_out_itself_alone(
    sqlite_url: str, time: Time
) -> None:
    made_of: dict[str, Any] = {"elasticsearch_hosts": [NOWHERE], "database_url": sqlite_url}
    app = create_app(Settings(**made_of, **LOGIN))
    async with app.router.lifespan_context(app), client_of(app, "10.0.0.1") as client:
        answers = [await client.get(LIST, auth=("ops", "old")) for _ in range(100)]
        assert {answer.status_code for answer in answers} == {401, 429}
        assert answers[-1].status_code == 429
        assert (await client.get(LIST, auth=OPS)).status_code == 200
        time.pass_by(1)
        assert (await client.get(LIST, auth=("ops", "old"))).status_code == 401


async def test_a_token_that_is_none_is_refused_every_time(sqlite_url: str) -> None:
    async with running(sqlite_url) as client:
        for number in range(FREE_OF_ADDRESS + 2):
            answer = await client.get(LIST, headers={"authorization": f"Bearer rq_{number}"})
            assert answer.status_code == 401


@pytest.mark.usefixtures("time")
async def test_a_probe_tells_nobody_who_has_failed_too_often_whether_a_guess_is_right(
    sqlite_url: str,
) -> None:
    async with running(sqlite_url) as client:
        for number in range(FREE_OF_NAME + 1):
            assert (await client.get(LIST, auth=("ops", f"{number}"))).status_code == 401
            assert (await client.get("/healthz", auth=("bob", "wrong"))).status_code == 200
        right = await client.get("/readyz", auth=OPS)
        assert right.status_code == 200
        assert right.json()["elasticsearch"] == "away"


async def test_a_name_is_slowed_down_from_wherever_it_is_tried(sqlite_url: str, time: Time) -> None:
    made_of: dict[str, Any] = {"elasticsearch_hosts": [NOWHERE], "database_url": sqlite_url}
    used.of_settings(LOGIN)
    app = create_app(Settings(**made_of, **LOGIN))
    async with app.router.lifespan_context(app):
        for number in range(FREE_OF_NAME):
            async with client_of(app, f"10.0.0.{number}") as client:
                for guess in range(FEW):
                    answer = await client.get(LIST, auth=("ops", f"{number} {guess}"))
                    assert answer.status_code in (401, 429)
        async with client_of(app, "10.0.9.9") as client:  # the first guesses of an address
            assert (await client.get(LIST, auth=("ops", "guess"))).status_code == 401
        async with client_of(app, "10.0.0.3") as client:
            assert (await client.get(LIST, auth=("ops", "again"))).status_code == 429
            assert (await client.get(LIST, auth=("else", "guess"))).status_code == 401
            assert (await client.get(LIST, auth=OPS)).status_code == 429
            time.pass_by(LONGEST_SECONDS)
            assert (await client.get(LIST, auth=OPS)).status_code == 200


@pytest.mark.parametrize(
    ("proxies", "forwarded", "address"),
    [
        ("", "10.9.9.9", "10.0.0.1"),
        ("10.0.0.1", "10.9.9.9", "10.9.9.9"),
        ("10.0.0.0/24", "10.9.9.9", "10.9.9.9"),
        ("10.0.0.2", "10.9.9.9", "10.0.0.1"),
        ("10.0.0.1, 10.7.0.0/16", "1.2.3.4, 10.9.9.9, 10.7.1.1", "10.9.9.9"),
        ("10.0.0.1", "x<y", "unknown"),
    ],
)
async def test_the_address_that_a_proxy_tells_is_taken_from_those_that_are_trusted(
    sqlite_url: str, proxies: str, forwarded: str, address: str
) -> None:
    made_of: dict[str, Any] = {"elasticsearch_hosts": [NOWHERE], "database_url": sqlite_url}
    made_of["server_trusted_proxies"] = proxies
    app = create_app(Settings(**made_of, **LOGIN))
    async with app.router.lifespan_context(app), client_of(app, "10.0.0.1") as client:
        headers = {"x-forwarded-for": forwarded}
        body = {"name": "ci", "role": "viewer"}
        await client.post(TOKENS, auth=OPS, headers=headers, json=body)
        listed = (await client.get(TOKENS, auth=OPS)).json()["tokens"]
    assert [token["createdBy"] for token in listed] == [f"api:ops@{address}"]


async def test_one_that_is_over_is_no_guess_and_slows_nobody_down(sqlite_url: str) -> None:
    async with running(sqlite_url) as client:
        headers = await made(client)
        await client.delete(f"{TOKENS}/ci", auth=OPS)
        for _ in range(FREE_OF_ADDRESS + 5):
            assert (await client.get(LIST, headers=headers)).status_code == 401
        assert (await client.get(LIST, auth=OPS)).status_code == 200


@pytest.mark.parametrize(
    "given",
    [
        "Bearer",
        "Bearer rq_",
        "Bearer  ",
        "Basic " + base64.b64encode(b"rq_x").decode(),
        "Bearer rq_\u00e4".encode().decode("latin-1"),
        "rq_x",
    ],
)
async def test_what_is_no_token_is_refused(sqlite_url: str, given: str) -> None:
    async with running(sqlite_url) as client:
        headers = [(b"authorization", given.encode("latin-1"))]
        answer = await client.get(LIST, headers=headers)
        assert answer.status_code == 401


async def test_after_a_restore_no_token_counts_until_a_person_decides(
    elasticsearch_url: str, sqlite_url: str
) -> None:
    """One that was revoked after the copy was made looks like a valid one in it."""
    reached = {"elasticsearch_hosts": [elasticsearch_url], **LOGIN}
    async with settled(sqlite_url, **reached) as client:
        stays, leaked = await made(client, "stays"), await made(client, "leaked")
        restored = sqlite_url.replace("queue.db", "restored.db")
        copy_to(*(Path(url.removeprefix("sqlite:///")) for url in (sqlite_url, restored)))
        assert (await client.delete(f"{TOKENS}/leaked", auth=OPS)).status_code == 200
    async with settled(sqlite_url, **reached):
        pass  # a term that the copy does not know of
    async with settled(restored, **reached) as client:
        for token in (stays, leaked):
            refused = await client.get(LIST, headers=token)
            assert (refused.status_code, "restored" in refused.json()["message"]) == (401, True)
        answer = await client.post("/api/v1/worker/adopt", auth=OPS)
        assert answer.json()["revokedTokens"] == ["leaked", "stays"]
        for token in (stays, leaked):
            assert "was revoked" in (await client.get(LIST, headers=token)).json()["message"]


async def test_tokens_that_a_person_vouches_for_count_again(
    elasticsearch_url: str, sqlite_url: str
) -> None:
    reached = {"elasticsearch_hosts": [elasticsearch_url], **LOGIN}
    async with settled(sqlite_url, **reached) as client:
        stays = await made(client, "stays")
        restored = sqlite_url.replace("queue.db", "restored.db")
        copy_to(*(Path(url.removeprefix("sqlite:///")) for url in (sqlite_url, restored)))
    async with settled(sqlite_url, **reached):
        pass
    async with settled(restored, **reached) as client:
        assert (await client.get(LIST, headers=stays)).status_code == 401
        answer = await client.post("/api/v1/worker/adopt", json={"keepTokens": True}, auth=OPS)
        assert answer.json()["revokedTokens"] == []
        assert (await client.get(LIST, headers=stays)).status_code == 200


@asynccontextmanager
async def settled(database_url: Any, **settings: Any) -> AsyncGenerator[httpx.AsyncClient]:
    """A service that has looked at the cluster, and left its mark there where it may."""
    made: dict[str, Any] = {"database_url": database_url, **settings}
    app = create_app(Settings(**made))
    async with app.router.lifespan_context(app), client_of(app, "10.1.1.1") as client:
        await app.state.sites.of().ownership.first_look(30)
        with suppress(OtherDatabase):
            await app.state.sites.of().ownership.look()
        yield client
