"""`/healthz` and `/readyz`."""

from __future__ import annotations

import pytest

from testbed.relay import Relay
from tests.conditions import eventually
from tests.e2e.test_worker_crash import as_reindex, execute
from tests.elasticsearch import Elastic
from tests.service import Service, running_service
from tests.upgrades.midway import held_at


async def test_a_living_process_says_ok(service: Service) -> None:
    answer = await service.client.get("/healthz")
    assert (answer.status_code, answer.json()) == (200, {"status": "ok"})


async def test_an_idle_service_is_ready(service: Service) -> None:
    await _worker_is(service, "idle")
    answer = await service.client.get("/readyz")
    assert (answer.status_code, answer.json()) == (
        200,
        {
            "ready": True,
            "worker": {"state": "idle", "operations": [], "error": None},
            "database": "ok",
            "elasticsearch": "ok",
        },
    )


async def test_a_working_service_says_at_what_it_works(
    relayed: Service, relay: Relay, es: Elastic
) -> None:
    es.put("/a", {"settings": {"number_of_replicas": 0}})
    released = await held_at(relay, ("PUT", "/a/_block/write"), relayed, "a")
    worker = (await relayed.client.get("/readyz")).json()["worker"]
    operation = await relayed.parts.reading.operation("a")
    assert worker == {"state": "working", "operations": [operation.id], "error": None}
    released.set()
    await relayed.completed("a")


async def test_without_a_cluster_the_service_is_ready_and_says_what_is_wrong(
    relayed: Service, relay: Relay
) -> None:
    relay.refuse()
    answer = await relayed.client.get("/readyz")
    assert (answer.status_code, answer.json()["ready"]) == (200, True)
    assert "ELASTICSEARCH_HOSTS" in answer.json()["elasticsearch"]


END_OTHERS = (
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
    " WHERE datname = current_database() AND pid <> pg_backend_pid()"
)
READ_ONLY = "ALTER DATABASE {name} SET default_transaction_read_only = on"


@pytest.mark.parametrize(
    ("take", "said"),
    [
        (READ_ONLY, "can be read but not written"),
        ("REVOKE UPDATE ON cluster_state FROM PUBLIC, reindex", "permission denied"),
    ],
    ids=["read-only", "rights revoked"],
)
async def test_health_of_a_database_that_can_be_read_but_not_written_is_not_ready(
    elasticsearch_url: str, postgres_url: str, take: str, said: str
) -> None:
    address = as_reindex(postgres_url)
    async with running_service(elasticsearch_url, address) as service:
        await _worker_is(service, "idle")
        name = postgres_url.partition("@/")[2].partition("?")[0]
        execute(postgres_url, take.format(name=name))
        execute(postgres_url, END_OTHERS)

        async def told() -> bool:
            answer = await service.client.get("/readyz")
            return answer.status_code == 503 and said in answer.json()["database"]

        await eventually(told, "it says that it cannot write")


async def test_a_standby_is_ready(elasticsearch_url: str, sqlite_url: str) -> None:
    async with (
        running_service(elasticsearch_url, sqlite_url) as first,
        running_service(elasticsearch_url, sqlite_url) as second,
    ):
        await _worker_is(first, "idle")
        await _worker_is(second, "standby")
        assert (await second.client.get("/readyz")).status_code == 200


async def test_a_stopped_worker_is_not_ready(service: Service) -> None:
    await _worker_is(service, "idle")
    service.parts.worker.stop()
    await _worker_is(service, "stopped")
    answer = await service.client.get("/readyz")
    assert (answer.status_code, answer.json()["ready"]) == (503, False)
    assert answer.json()["worker"]["state"] == "stopped"


async def _worker_is(service: Service, state: str) -> None:
    async def there() -> bool:
        return (await service.client.get("/readyz")).json()["worker"]["state"] == state

    await eventually(there, f"the worker is {state}")
