"""`/api/v1/worker` and `/api/v1/doctor`: who works, at what, and what is wrong."""

from __future__ import annotations

from typing import Any

import pytest

from app.domain.errors import StoreUnavailable
from app.domain.index_settings import STAMP
from app.elastic.answers import Version
from app.sites.doctor import Severity, of_versions
from app.store.role import owner_name
from testbed.postgres import PostgresServer
from testbed.relay import Relay
from tests.api.test_bad_input import check_envelope
from tests.conditions import eventually
from tests.elasticsearch import Elastic
from tests.service import Service, running_service
from tests.upgrades.midway import POLL, filled, held_at

BUSY: dict[str, Any] = {"error": {"type": "es_rejected_execution_exception", "reason": "full"}}


async def worker(service: Service) -> dict[str, Any]:
    answer = await service.client.get("/api/v1/worker")
    assert answer.status_code == 200, answer.text
    return answer.json()


async def doctor(service: Service) -> tuple[bool, dict[str, dict[str, Any]]]:
    """Healthy or not, and the checks by name (the first of each)."""
    answer = await service.client.get("/api/v1/doctor")
    assert answer.status_code == 200, answer.text
    checks = answer.json()["checks"]
    return answer.json()["healthy"], {check["name"]: check for check in reversed(checks)}


async def state_is(service: Service, state: str) -> None:
    async def there() -> bool:
        return (await worker(service))["state"] == state

    await eventually(there, f"the worker is {state}")


async def test_an_idle_service_and_its_standby_say_who_works(
    elasticsearch_url: str, database_url: str
) -> None:
    kind = database_url.partition(":")[0]
    async with (
        running_service(elasticsearch_url, database_url) as first,
        running_service(elasticsearch_url, database_url) as second,
    ):
        await state_is(first, "idle")
        await state_is(second, "standby")
        idle, standby = await worker(first), await worker(second)
        assert idle["role"] == {"holder": owner_name(), "mine": True}
        assert standby["role"] == {"holder": owner_name(), "mine": False}
        assert idle["database"] == kind
        assert idle["head"] is idle["waitsFor"] is idle["error"] is None
        assert (idle["queueLength"], idle["inHand"], sum(idle["counts"].values())) == (0, [], 0)
        assert idle["elasticsearch"]["reachable"] is True
        assert idle["elasticsearch"]["versions"][0].startswith("8.19.")
        for service in (first, second):
            healthy, checks = await doctor(service)
            assert healthy, checks
            assert {check["verdict"] for check in checks.values()} == {"ok"}
            assert list(checks)[::-1] == [
                "elasticsearch",
                "cluster",
                "versions",
                "privileges",
                "headers",
                "leftovers",
                "database",
                "worker",
                "queue",
            ]
            assert kind in checks["database"]["finding"]
        assert owner_name() in checks["worker"]["finding"]
        first.parts.worker.stop()
        await state_is(first, "stopped")
        healthy, checks = await doctor(first)
        assert not healthy
        assert checks["worker"]["verdict"] == "wrong"
        await state_is(second, "idle")
        assert (await worker(first))["role"] == {"holder": owner_name(), "mine": False}


async def test_a_working_service_shows_what_is_in_hand_and_the_head(
    relayed: Service, relay: Relay, es: Elastic
) -> None:
    for name in ("a", "b", "c"):
        es.put(f"/{name}", {"settings": {"number_of_replicas": 0}})
    released = [relay.hold("PUT", f"^/{name}/_block/write") for name in ("a", "c")]
    assert (await relayed.client.post("/api/upgrade_assistant/reindex/c")).status_code == 200
    await relayed.post_batch("a", "b")
    await relay.wait_for("PUT", "^/a/_block/write")
    await relay.wait_for("PUT", "^/c/_block/write")
    working = await worker(relayed)
    assert (working["state"], working["queueLength"]) == ("working", 3)
    assert [(o["indexName"], o["queued"]) for o in working["inHand"]] == [("c", False), ("a", True)]
    assert working["head"] == working["inHand"][1]
    assert (working["counts"]["running"], working["counts"]["waiting"]) == (2, 1)
    for one in released:
        one.set()
    await relayed.completed("a", "b", "c")


async def test_a_cluster_that_is_away_is_a_part_of_the_answer(
    relayed: Service, relay: Relay
) -> None:
    relay.refuse()
    away = (await worker(relayed))["elasticsearch"]
    assert (away["reachable"], away["versions"]) == (False, [])
    assert "ELASTICSEARCH_HOSTS" in away["error"]
    healthy, checks = await doctor(relayed)
    assert not healthy
    assert checks["elasticsearch"]["verdict"] == "wrong"
    assert "go on by themselves" in checks["elasticsearch"]["remedy"]
    assert checks["privileges"]["verdict"] == checks["versions"]["verdict"] == "unknown"
    assert checks["database"]["verdict"] == "ok"


async def test_what_operations_have_left_in_the_cluster_is_said(
    service: Service, es: Elastic
) -> None:
    stamp, marker = "0" * 32, f".rq-{'1' * 32}"
    es.put("/made", {"settings": {STAMP: stamp, "index.hidden": True}})
    es.put("/marked", {"aliases": {marker: {"is_hidden": True}, ".rq-of-somebody": {}}})
    healthy, checks = await doctor(service)
    assert healthy
    assert checks["leftovers"] == {
        "name": "leftovers",
        "verdict": "warning",
        "finding": "made by operations that are not in hand here: made; "
        "with a marker alias: marked",
        "remedy": "Unless another Reindex Queue works on this cluster: see whether anybody needs "
        "these indices, and delete by hand what nobody does. "
        f"To take such a marker off: DELETE /marked/_alias/{marker}",
    }
    es.delete("/made")
    es.delete(f"/marked/_alias/{marker}")
    _, checks = await doctor(service)
    assert checks["leftovers"]["verdict"] == "ok"


async def test_what_operations_in_hand_have_in_the_cluster_is_no_leftover(
    relayed: Service, relay: Relay, es: Elastic
) -> None:
    filled(es, "plain")
    released = await held_at(relay, ("GET", POLL), relayed, "plain")
    assert es.settings("reindexed-v8-plain")[STAMP]
    _, checks = await doctor(relayed)
    assert checks["leftovers"]["verdict"] == "ok"
    released.set()
    await relayed.completed("plain")


async def test_a_database_that_is_away_is_said_and_the_rest_is_looked_at(
    elasticsearch_url: str, postgres_server: PostgresServer, postgres_url: str
) -> None:
    async with running_service(elasticsearch_url, postgres_url) as service:
        await state_is(service, "idle")
        postgres_server.kill()
        healthy, checks = await doctor(service)
        assert not healthy
        assert checks["database"]["verdict"] == "wrong"
        assert "DATABASE_URL" in checks["database"]["remedy"]
        assert checks["queue"]["verdict"] == "unknown"
        assert checks["elasticsearch"]["verdict"] == "ok"
        check_envelope(await service.client.get("/api/v1/worker"), 503, "database")
        check_envelope(await service.client.get("/api/v1/operations"), 503, "database")
        with pytest.raises(StoreUnavailable):
            await service.parts.store.ping()
        postgres_server.start()


async def test_a_hold_and_missing_privileges_are_told_with_a_remedy(
    relayed: Service, relay: Relay, es: Elastic
) -> None:
    es.put("/a", {"settings": {"number_of_replicas": 0}})
    relay.answer("PUT", "^/a/_block/write", 503, BUSY, times=None)
    await relayed.post_batch("a")
    await relayed.holds("a", "es_rejected_execution_exception")
    healthy, checks = await doctor(relayed)
    assert healthy
    assert checks["queue"]["verdict"] == "warning"
    assert "es_rejected_execution_exception" in checks["queue"]["finding"]
    assert "reindex-queue cancel a" in checks["queue"]["remedy"]

    relay.answer("GET", "^/_security/_authenticate", 200, {"username": "us"})
    held = {"cluster": {"monitor": False}, "index": {"a": {"manage": False}}}
    relay.answer("POST", "^/_security/user/_has_privileges", 200, held)
    restricted = {"error": {"type": "security_exception", "reason": "restricted"}}
    relay.answer("POST", "^/_aliases", 400, restricted)
    healthy, checks = await doctor(relayed)
    assert not healthy
    assert checks["privileges"]["verdict"] == "wrong"
    for lack in ("monitor on the cluster", "manage on a", "all documents and fields of a"):
        assert lack in checks["privileges"]["finding"]
    asked = [seen for seen in relay.seen if seen.path.endswith("_has_privileges")]
    assert b"reindexed-v8-a" in asked[-1].body
    relay.clear()
    _, checks = await doctor(relayed)  # asks anew, and what was made up is forgotten
    assert checks["privileges"]["verdict"] == "ok"
    await relayed.completed("a")


def test_versions_are_judged() -> None:
    def verdict(*numbers: str) -> Severity:
        return of_versions([Version(number) for number in numbers]).verdict

    assert verdict("7.17.15") is verdict("8.0.0") is verdict("9.4.3", "9.5.0") is Severity.OK
    assert verdict("8.19.8", "9.4.3") is verdict("7.10.2") is verdict("6.8.23") is Severity.WRONG
    assert verdict("10.0.0") is Severity.WARNING
