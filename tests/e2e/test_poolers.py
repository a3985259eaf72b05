"""The service behind pgbouncer, with the pooler's defaults, in session and transaction mode."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest

from testbed.pooler import PgBouncer, PoolMode
from testbed.postgres import PostgresServer
from tests.conditions import eventually
from tests.e2e.killable import forked
from tests.e2e.process import ServiceProcess
from tests.e2e.test_two_services import fill, stands_by, two, works
from tests.elasticsearch import Elastic

TOLERANT = {"ignore_startup_parameters": "extra_float_digits,options"}
SQL = re.compile(r"\[SQL|cluster_state|SELECT |RETURNING")
NAMES = [f"pooled-{n}" for n in range(6)]


@pytest.fixture(params=[pytest.param("session", marks=pytest.mark.wide), "transaction"])
def pooler(request: pytest.FixtureRequest, postgres_url: str) -> Iterator[PgBouncer]:
    mode: PoolMode = request.param
    with PgBouncer(postgres_url, mode) as running:
        yield running


async def test_poolers_a_batch_is_worked_off_behind_one_with_its_defaults(
    es: Elastic, pooler: PgBouncer
) -> None:
    fill(es, NAMES)
    environment = {"ELASTICSEARCH_HOSTS": es.url, "DATABASE_URL": pooler.url}
    async with ServiceProcess(environment, launch=forked) as service:
        await service.api.post_batch(*NAMES)
        await service.api.completed(*NAMES)
        assert "worker_crashed" not in service.log
        assert await service.terminate() == 0
    assert es.indices() == {f"reindexed-v8-{name}" for name in NAMES}


@pytest.mark.parametrize(
    "settings",
    [{}, pytest.param(TOLERANT, marks=pytest.mark.wide)],
    ids=["defaults", "tolerant"],
)
async def test_poolers_two_services_behind_one_take_over_after_a_kill(
    es: Elastic, postgres_url: str, settings: dict[str, str]
) -> None:
    fill(es, NAMES)
    with PgBouncer(postgres_url, "transaction", settings) as pooler:
        async with two(es, pooler.url, 2) as (owner, standby):
            await owner.api.post_batch(*NAMES)
            await owner.api.completed(NAMES[0])
            owner.kill()
            await standby.api.completed(*NAMES)
            await works(standby)
            await owner.start()
            await stands_by(owner)
    assert es.indices() == {f"reindexed-v8-{name}" for name in NAMES}


async def test_poolers_what_one_answers_itself_is_trouble_and_passes(
    es: Elastic, postgres_server: PostgresServer, pooler: PgBouncer
) -> None:
    fill(es, NAMES[:2])
    environment = {"ELASTICSEARCH_HOSTS": es.url, "DATABASE_URL": pooler.url}
    async with ServiceProcess(environment, launch=forked) as service:
        await service.api.post_batch(NAMES[0])
        await service.api.completed(NAMES[0])
        postgres_server.kill()  # it answers by itself that the server is gone
        await _is(service, ready=False)
        postgres_server.start()
        await _is(service, ready=True)
        pooler.kill()
        await _is(service, ready=False)
        pooler.start()
        await _is(service, ready=True)
        await service.api.post_batch(NAMES[1])
        await service.api.completed(NAMES[1])
        assert "worker_crashed" not in service.log
        assert "Traceback" not in service.log
        assert not SQL.search(service.log), service.log


async def _is(service: ServiceProcess, *, ready: bool) -> None:
    said: list[Any] = []

    async def there() -> bool:
        answer = await service.client.get("/readyz")
        said[:] = [answer.text]
        assert not SQL.search(answer.text), answer.text
        return answer.json()["ready"] is ready

    await eventually(there, lambda: f"ready is {ready}: {said}\n{service.log[-2000:]}", 60)
