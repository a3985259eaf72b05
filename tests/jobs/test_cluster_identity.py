"""What was queued for one cluster is not done to another."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiohttp import web

from testbed.relay import Relay, Seen
from tests.conditions import eventually
from tests.elasticsearch import Elastic
from tests.service import BASE, Service, running_service
from tests.store.database import execute
from tests.upgrades.midway import POLL, filled, held_at
from tests.upgrades.portrait import as_found, contents

OTHER = "another-cluster-of-22-c"


@asynccontextmanager
async def on_the_same_data(
    relay: Relay, sqlite_url: str, **settings: Any
) -> AsyncGenerator[Service]:
    settings = {"reindex_synchronous_documents": 0, **settings}
    async with running_service(relay.url, sqlite_url, **settings) as service:
        yield service


def another_cluster_answers(relay: Relay) -> None:
    """As far as its name goes."""

    async def renamed(request: Seen) -> web.Response:
        return await relay.forward_changed(request, lambda body: body.update(cluster_uuid=OTHER))

    relay.when("GET", "^/$", renamed, None)


def clusters(sqlite_url: str) -> list[str]:
    """Those that the data have moved to."""
    rows = execute(sqlite_url, "SELECT after FROM event WHERE what = 'cluster changed'")
    return [json.loads(after) for (after,) in rows]


async def test_an_operation_in_hand_waits_for_its_own_cluster(
    relay: Relay, es: Elastic, sqlite_url: str
) -> None:
    filled(es, "plain")
    documents = contents(es, "plain")
    async with on_the_same_data(relay, sqlite_url) as service:
        released = await held_at(relay, ("GET", POLL), service, "plain")
        service.parts.worker.stop()
        released.set()
    another_cluster_answers(relay)
    before = as_found(es, "plain")
    async with on_the_same_data(relay, sqlite_url) as service:
        await service.holds("plain", f"({OTHER}) is not the one that the data are about")
        checks = (await service.client.get("/api/v1/doctor")).json()["checks"]
        (left,) = [check for check in checks if check["name"] == "leftovers"]
        assert left["verdict"] == "unknown"  # they may be in the hands of another service
        (check,) = [check for check in checks if check["name"] == "cluster"]
        assert check["verdict"] == "wrong"
        assert f"REINDEX_CLUSTER_UUID to {OTHER}" in check["remedy"]
        es.put("/meant-for-the-other")
        answer = await service.client.post(
            f"{BASE}/batch", json={"indexNames": ["meant-for-the-other"]}
        )
        assert answer.status_code == 503
        assert "ELASTICSEARCH_HOSTS" in answer.json()["message"]
        assert [operation["indexName"] for operation in await service.queue()] == ["plain"]
        assert as_found(es, "plain") == before
        relay.clear()
        await service.completed("plain")
        assert contents(es, "plain") == documents
        assert clusters(sqlite_url) == []


async def test_a_cluster_that_nothing_is_there_for_is_left_for_another(
    relay: Relay, es: Elastic, sqlite_url: str
) -> None:
    filled(es, "plain")
    filled(es, "next")
    async with on_the_same_data(relay, sqlite_url) as service:
        await service.post_batch("plain")
        await service.completed("plain")
    another_cluster_answers(relay)
    async with on_the_same_data(relay, sqlite_url) as service:
        await service.post_batch("next")
        await service.completed("next")
        assert clusters(sqlite_url) == [OTHER]


async def test_the_cluster_that_a_person_names_is_the_one(
    relay: Relay, es: Elastic, sqlite_url: str
) -> None:
    filled(es, "plain")
    documents = contents(es, "plain")
    own = es.get("/")["cluster_uuid"]
    async with on_the_same_data(relay, sqlite_url) as service:
        released = await held_at(relay, ("GET", POLL), service, "plain")
        service.parts.worker.stop()
        released.set()
    another_cluster_answers(relay)
    async with on_the_same_data(relay, sqlite_url, reindex_cluster_uuid=own) as service:
        await service.holds("plain", f"({OTHER}) is not the one")
    async with on_the_same_data(relay, sqlite_url, reindex_cluster_uuid=OTHER) as service:
        await service.completed("plain")
        assert clusters(sqlite_url) == [OTHER]
    assert contents(es, "plain") == documents


async def said(caplog: pytest.LogCaptureFixture, event: str) -> bool:
    return event in caplog.text


async def test_a_cluster_that_is_exchanged_under_a_running_service_takes_nothing(
    relayed: Service, relay: Relay, es: Elastic
) -> None:
    filled(es, "plain")
    filled(es, "next")
    held = relay.hold("GET", POLL)
    await relayed.post_batch("plain")
    await relay.wait_for("GET", POLL)
    another_cluster_answers(relay)
    answer = await relayed.client.post(f"{BASE}/batch", json={"indexNames": ["next"]})
    assert answer.status_code == 503
    path = "/api/upgrade_assistant/update_index/next"
    answer = await relayed.client.post(path, json={"operations": ["blockWrite"]})
    assert (answer.status_code, "ELASTICSEARCH_HOSTS" in answer.text) == (503, True)
    assert es.blocks("next") == {}
    relay.clear()
    held.set()
    await relayed.completed("plain")
    assert len(await relayed.queue()) == 0


async def test_a_kept_copy_is_not_forgotten_before_another_cluster(
    relay: Relay, es: Elastic, sqlite_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    filled(es, "plain")
    async with on_the_same_data(relay, sqlite_url) as service:
        posted = await service.post_options({"index": "plain"}, keepOldIndex=True)
        await service.completed("plain")
        (operation,) = posted["operations"]
    execute(sqlite_url, "UPDATE job SET kept_until = '2020-01-01 00:00:00'")
    another_cluster_answers(relay)
    async with on_the_same_data(relay, sqlite_url) as service:
        await eventually(lambda: said(caplog, "operation_holds"), "the worker has looked at it")
        shown = await service.shown(operation["id"])
        assert shown["keptCopy"]["state"] == "kept"
        assert shown["keptCopy"]["index"] in es.indices()
    relay.clear()
    async with on_the_same_data(relay, sqlite_url) as service:

        async def gone() -> bool:
            state = (await service.shown(operation["id"]))["keptCopy"]["state"]
            return state != "kept" and shown["keptCopy"]["index"] not in es.indices()

        await eventually(gone, "the kept copy is removed")


async def test_a_cluster_that_has_not_formed_is_waited_for(
    relay: Relay, es: Elastic, sqlite_url: str
) -> None:
    filled(es, "plain")
    async with on_the_same_data(relay, sqlite_url) as service:

        async def dissolved(_: Seen) -> web.Response:
            relay.answer("GET", "^/$", 200, {"cluster_uuid": "_na_"}, times=None)
            return web.Response(status=503)

        relay.when("GET", POLL, dissolved)
        await service.post_batch("plain")
        await service.holds("plain", "no master that its nodes agree on")
        relay.clear()
        await service.completed("plain")
