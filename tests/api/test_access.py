"""Logging in to the service, and that nothing of a secret comes out."""

from __future__ import annotations

import logging

import pytest
from pydantic import SecretStr

from app.api.logins import Logins
from app.main import create_app
from app.settings import Auth, Settings
from testbed.relay import Relay
from tests.e2e.process import ServiceProcess
from tests.elasticsearch import Elastic
from tests.service import BASE, running_service

SECRETS = {"server_username": "ops", "server_password": "s3cret-ä", "server_apikey": "k-5d1fb0c7e2"}


async def test_without_a_login_only_the_probes_answer(
    elasticsearch_url: str, sqlite_url: str, es: Elastic, caplog: pytest.LogCaptureFixture
) -> None:
    es.put("/plain")
    caplog.set_level(logging.INFO)
    async with running_service(elasticsearch_url, sqlite_url, **SECRETS) as service:
        client = service.client
        for path in ("/healthz", "/readyz"):
            assert (await client.get(path)).status_code == 200
            assert (await client.head(path)).status_code == 200
        wrong = [
            {},
            {"authorization": "Basic"},
            {"authorization": "Basic !!!"},
            {"authorization": "Basic b3BzOndyb25n"},
            {"authorization": "ApiKey k-124"},
            {"authorization": "Digest k-5d1fb0c7e2"},
        ]
        for headers in wrong:
            answer = await client.get(f"{BASE}/batch/queue", headers=headers)
            assert answer.status_code == 401
            assert answer.json()["error"] == "Unauthorized"
            assert "Basic realm=" in answer.headers["www-authenticate"]
        body = {"indexNames": ["plain"]}
        assert (await client.post(f"{BASE}/batch", json=body)).status_code == 401
        assert (await client.get("/docs")).status_code == 401

        for scheme in ("ApiKey", "Bearer"):
            headers = {"authorization": f"{scheme} k-5d1fb0c7e2"}
            assert (await client.get(f"{BASE}/batch/queue", headers=headers)).status_code == 200
        posted = await client.post(f"{BASE}/batch", json=body, auth=("ops", "s3cret-ä"))
        assert posted.status_code == 200
        operation = await service.parts.reading.operation("plain")
        assert operation.caller.startswith("api:ops@")
    for secret in ("s3cret-ä", "k-5d1fb0c7e2"):
        assert secret not in caplog.text


async def test_a_probe_without_a_login_is_not_told_why(relay: Relay, sqlite_url: str) -> None:
    relay.refuse()
    async with running_service(relay.url, sqlite_url, **SECRETS) as service:
        brief = (await service.client.get("/readyz")).json()
        whole = (await service.client.get("/readyz", auth=("ops", "s3cret-ä"))).json()
    assert brief["elasticsearch"] == "away"
    assert "ELASTICSEARCH_HOSTS" in whole["elasticsearch"]


def test_only_the_ways_that_are_open_are_offered() -> None:
    only_key = create_app(Settings(server_apikey=SecretStr("k"))).openapi()
    assert list(only_key["components"]["securitySchemes"]) == ["key"]
    assert only_key["security"] == [{"key": []}]
    assert only_key["paths"]["/readyz"]["get"]["security"] == []
    assert "401" in only_key["paths"]["/api/v1/operations"]["get"]["responses"]
    assert Logins(None, None, "k").ways == "ApiKey"
    assert "securitySchemes" not in create_app(Settings()).openapi()["components"]


async def test_a_login_that_is_set_and_not_named_opens_nothing(sqlite_url: str) -> None:
    """It may be there for a command line that begins where the service has its settings."""
    only_tokens = {**SECRETS, "server_auth": "tokens"}
    async with running_service("http://127.0.0.1:9", sqlite_url, **only_tokens) as service:
        answer = await service.client.get("/api/v1/operations", auth=("ops", "s3cret-ä"))
        assert (answer.status_code, answer.headers["www-authenticate"]) == (401, "Bearer")
        key = {"authorization": "ApiKey k-123"}
        assert (await service.client.get("/api/v1/operations", headers=key)).status_code == 401


def test_logins_of_the_cluster_are_offered_beside_those_of_the_service() -> None:
    settings = Settings(server_apikey=SecretStr("k"), server_auth=(Auth.LOGIN, Auth.ELASTICSEARCH))
    made = create_app(settings).openapi()
    assert list(made["components"]["securitySchemes"]) == ["key", "clusterUser", "clusterKey"]
    answers = made["paths"]["/api/v1/operations"]["get"]["responses"]
    said = [*answers["403"]["content"]["application/json"]["examples"]]
    assert {"no_role", "login_forbidden", "caller_lacks_privileges"} <= set(said)
    assert "security_off" in answers["503"]["content"]["application/json"]["examples"]
    assert Logins(None, None, None, elasticsearch=True).ways == (
        'Basic realm="Reindex Queue", ApiKey, Bearer'
    )


def test_the_token_for_metrics_is_offered_for_these_alone() -> None:
    token = SecretStr("t")
    made = create_app(Settings(server_apikey=SecretStr("k"), server_metrics_token=token)).openapi()
    assert list(made["components"]["securitySchemes"]) == ["key", "metrics"]
    assert made["security"] == [{"key": []}]
    assert made["paths"]["/metrics"]["get"]["security"] == [
        {"key": ["viewer"]},
        {"metrics": ["viewer"]},
    ]
    assert made["paths"]["/api/v1/operations"]["get"]["security"] == [{"key": ["viewer"]}]
    open_to_all = create_app(Settings(server_metrics_token=token)).openapi()
    assert "securitySchemes" not in open_to_all["components"]


async def test_beyond_loopback_nobody_is_let_in_without_a_login_unless_it_is_said(
    es: Elastic,
) -> None:
    service = ServiceProcess({"ELASTICSEARCH_HOSTS": es.url, "SERVER_HOST": "0.0.0.0"})
    try:
        service.spawn()
        assert await service.ended() == 2
        assert "SERVER_ALLOW_ANONYMOUS=true" in service.log
        await service.start(SERVER_ALLOW_ANONYMOUS="true")
        assert await service.terminate() == 0
        assert "anonymous_access" in service.log
        await service.start(SERVER_APIKEY="k-5d1fb0c7e2")
        assert (await service.client.get(f"{BASE}/batch/queue")).status_code == 401
        assert "k-5d1fb0c7e2" not in service.log
    finally:
        await service.close()
