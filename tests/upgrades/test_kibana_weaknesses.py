"""Weaknesses of Kibana's design that no other test shows; `tests/README.md` has the whole list."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from urllib.parse import quote

import psycopg
import pytest
from aiohttp import web

from testbed.relay import Relay, Seen
from tests.conditions import eventually
from tests.elasticsearch import Elastic
from tests.service import BASE, Service, running_service
from tests.upgrades.midway import POLL, crawl, filled
from tests.upgrades.portrait import as_found, contents

Json = dict[str, Any]

REJECTED: Json = {"type": "es_rejected_execution_exception", "reason": "the queue is full"}


@pytest.mark.parametrize(
    "ending",
    [
        {"error": REJECTED},
        {"response": {"canceled": "the node shuts down"}},
        {"response": {"timed_out": True}},
    ],
    ids=["w02 error", "w03 cancelled by Elasticsearch", "w03 timed out"],
)
async def test_a_copy_that_ended_badly_is_no_success(
    relay: Relay, es: Elastic, sqlite_url: str, ending: Json
) -> None:
    """The task stops after a few documents; what it leaves looks whole but for this."""
    filled(es, "plain", 40)
    documents = contents(es, "plain")

    async def ended_early(request: Seen) -> web.Response:
        (task,) = es.copy_tasks()
        es.post(f"/_tasks/{task['node']}:{task['id']}/_cancel?wait_for_completion=true")
        return await relay.forward_changed(request, end)

    def end(said: Json) -> None:
        whole: Json = {"total": 40, "created": 40, "failures": [], "timed_out": False}
        said |= {"completed": True, "response": {**whole, **ending.get("response", {})}}
        if "error" in ending:
            said["error"] = ending["error"]

    crawl(relay)
    relay.when("GET", POLL, ended_early)
    async with running_service(relay.url, sqlite_url, reindex_batch_documents=1) as service:
        await service.post_batch("plain")
        await service.completed("plain")
        assert "window runs again" in [event.what for event in await service.events("plain")]
    assert es.indices() == {"reindexed-v8-plain"}
    assert contents(es, "plain") == documents


async def test_w11_no_job_is_stopped_so_none_stays_stopped(
    relayed: Service, relay: Relay, es: Elastic
) -> None:
    """An index that says of itself that a rollup job writes to it; cancelled, then done."""
    filled(es, "rolled", mappings={"_meta": {"_rollup": {"job": {"id": "job"}}}})
    before = as_found(es, "rolled")
    held = relay.hold("GET", POLL)
    await relayed.post_batch("rolled")
    await relay.wait_for("GET", POLL)
    assert await relayed.cancel("rolled") == 200
    held.set()
    assert (await relayed.ended("rolled"))["status"] == 4
    assert as_found(es, "rolled") == before
    await relayed.post_batch("rolled")
    await relayed.completed("rolled")
    assert not [seen.path for seen in relay.seen if "_rollup" in seen.path]


async def test_w14_a_long_call_does_not_lose_the_right_to_work(
    relay: Relay, es: Elastic, postgres_url: str
) -> None:
    """Two leases pass while Elasticsearch thinks; another service waits for it to be free."""
    filled(es, "plain")
    held = relay.hold("PUT", "^/plain/_block/write")
    lease = {"reindex_lease_seconds": 1.0}
    async with running_service(relay.url, postgres_url, **lease) as owner:
        await owner.post_batch("plain")
        await relay.wait_for("PUT", "^/plain/_block/write")
        async with running_service(relay.url, postgres_url, **lease) as other:
            first = expiry(postgres_url)

            async def renewed() -> bool:
                return (expiry(postgres_url) - first).total_seconds() > 2

            await eventually(renewed, "the lease was renewed for two more")
            assert (await other.client.get("/readyz")).json()["worker"]["state"] == "standby"
            held.set()
            await owner.completed("plain")
            assert (await other.client.get("/readyz")).json()["worker"]["state"] == "standby"
    blocks = [seen for seen in relay.seen if seen.path.startswith("/plain/_block/write")]
    assert len(blocks) == 1


def expiry(database_url: str) -> datetime:
    with psycopg.connect(database_url) as connection:
        query = "SELECT expires_at FROM cluster_state WHERE cluster_id = 'default'"
        (at,) = connection.execute(query).fetchone() or (None,)
    assert at
    return at


async def test_w17_an_operation_is_found_by_its_name_and_no_other(
    service: Service, es: Elastic
) -> None:
    """Words, operators and quotes of a query language, and names that others begin with."""
    names = ["it's", "it", "it-s", "it.s", "not", "or", "a(b)", "a", "~2"]
    for name in names:
        es.put(f"/{quote(name)}", {"settings": {"number_of_replicas": 0}})
    answer = await service.post_batch(*names)
    assert [operation["indexName"] for operation in answer["enqueued"]] == names
    for name in names:
        found = (await service.client.get(f"{BASE}/{quote(name)}")).json()["reindexOp"]
        assert found["indexName"] == name
    await service.completed(names[0])
