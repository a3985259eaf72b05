"""A crash of the worker beside its operations: told, rested after, and gone on from by itself."""

from __future__ import annotations

import re
from typing import Any

import psycopg
import pytest

from tests.conditions import eventually
from tests.e2e.killable import forked
from tests.e2e.process import ServiceProcess
from tests.elasticsearch import Elastic
from tests.upgrades.midway import filled

SLOWLY = {
    "REINDEX_LEASE_SECONDS": "3",
    "REINDEX_REQUESTS_PER_SECOND": "100",
    "REINDEX_SYNCHRONOUS_DOCUMENTS": "0",
}
SQL = re.compile(r"\[SQL|UPDATE cluster_state|SELECT |RETURNING|LINE 1:")

KINDS = [
    pytest.param(
        "REVOKE UPDATE ON cluster_state FROM reindex",
        "GRANT UPDATE ON cluster_state TO reindex",
        "permission denied",
        id="rights revoked",
    ),
    pytest.param(
        "ALTER TABLE cluster_state RENAME TO gone",
        "ALTER TABLE gone RENAME TO cluster_state",
        "does not exist",
        id="table renamed",
    ),
    pytest.param(
        "ALTER TABLE cluster_state RENAME COLUMN expires_at TO gone",
        "ALTER TABLE cluster_state RENAME COLUMN gone TO expires_at",
        "does not exist",
        id="only the renewal",
    ),
]


def as_reindex(postgres_url: str) -> str:
    """The database for a user who may make tables there and nothing else."""
    with psycopg.connect(postgres_url) as connection:
        has = connection.execute("SELECT 1 FROM pg_roles WHERE rolname = 'reindex'").fetchone()
        if has is None:
            connection.execute("CREATE ROLE reindex LOGIN")
        connection.execute("GRANT ALL ON SCHEMA public TO reindex")
    return postgres_url.replace("postgres@", "reindex@")


def execute(postgres_url: str, statement: str) -> None:
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        connection.execute(statement.encode())


async def readiness(service: ServiceProcess) -> tuple[int, dict[str, Any]]:
    answer = await service.client.get("/readyz")
    assert not SQL.search(answer.text), answer.text
    return answer.status_code, answer.json()


async def has_crashed(service: ServiceProcess, times: int, said: str) -> None:
    """It says so, in the log as often as that and for everybody who asks."""

    async def told() -> bool:
        status, body = await readiness(service)
        error = body["worker"]["error"] or ""
        crashes = service.log.count("worker_crashed")
        return crashes >= times and status == 503 and said in error

    await eventually(told, lambda: f"the crash is told\n{service.log[-3000:]}")


@pytest.mark.timeout(180)
@pytest.mark.parametrize(("take", "give", "said"), KINDS)
async def test_worker_a_crash_of_the_renewal_is_told_and_the_copy_goes_on_when_it_is_mended(
    es: Elastic, postgres_url: str, take: str, give: str, said: str
) -> None:
    filled(es, "large", 800, settings={"number_of_replicas": 0})
    before = es.documents("large")
    environment = {"ELASTICSEARCH_HOSTS": es.url, "DATABASE_URL": as_reindex(postgres_url)}
    async with ServiceProcess({**environment, **SLOWLY}, launch=forked) as service:
        await service.api.post_batch("large")

        async def copies() -> bool:
            return bool(es.copy_tasks())

        await eventually(copies, "the copy runs")
        execute(postgres_url, take)
        await has_crashed(service, 3, said)
        assert service.log.count("role_taken") == 1
        assert "taken over" not in service.log
        assert "Traceback" in service.log
        doctor = (await service.client.get("/api/v1/doctor")).text
        assert said in doctor
        assert not SQL.search(doctor), doctor
        refused = await service.client.post(
            "/api/upgrade_assistant/reindex/batch", json={"indexNames": ["large"]}
        )
        assert not SQL.search(refused.text), refused.text
        execute(postgres_url, give)
        await service.api.completed("large", seconds=90)
        assert service.log.count("role_taken") == 2
        assert not SQL.search(service.log), service.log
    assert es.documents("large") == before
    assert es.indices() == {"reindexed-v8-large"}


async def test_worker_that_crashes_at_once_in_every_term_rests_longer_each_time(
    elasticsearch_url: str, postgres_url: str
) -> None:
    """The role can be had, the queue cannot be read."""
    environment = {"ELASTICSEARCH_HOSTS": elasticsearch_url, "DATABASE_URL": postgres_url}
    async with ServiceProcess(environment, launch=forked) as service:
        execute(postgres_url, "ALTER TABLE job RENAME TO gone")
        await has_crashed(service, 4, "does not exist")
        log = service.log
        rests = [float(found) for found in re.findall(r"seconds=([0-9.]+)", log)]
        assert log.count("role_taken") in (len(rests), len(rests) + 1)  # the next term may be on
        for number, rest in enumerate(rests):
            assert 2**number / 2 <= rest <= 2**number
        assert not SQL.search(service.log), service.log
        execute(postgres_url, "ALTER TABLE gone RENAME TO job")

        async def goes_on() -> bool:
            status, body = await readiness(service)
            return status == 200 and body["worker"]["state"] == "idle"

        await eventually(goes_on, "it goes on by itself")
        error = (await readiness(service))[1]["worker"]["error"]
        assert "does not exist" in error, "it is still told for a while"
