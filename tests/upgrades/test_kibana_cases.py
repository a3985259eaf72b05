"""Kibana's own cases of its state machine and its integration tests, where no other test has them.

`tests/README.md` says which case is where.
"""

from __future__ import annotations

import json
from typing import Any

import pytest
from aiohttp import web

from app.domain.job import Status
from app.store.store import Store
from testbed.relay import Action, Relay, Seen
from tests.conditions import eventually
from tests.elasticsearch import Elastic
from tests.service import BASE, Service, running_service
from tests.store.operations import lease_of, saved, started
from tests.upgrades.midway import crawl, filled, hurry
from tests.upgrades.portrait import as_found, contents, made_anew

ALONE = {"settings": {"number_of_replicas": 0}}
NOT_ACKNOWLEDGED: dict[str, Any] = {"acknowledged": False, "shards_acknowledged": False}
REFUSED: dict[str, Any] = {"error": {"type": "illegal_argument_exception", "reason": "not today"}}

DUMMYDATA: list[dict[str, Any]] = [
    {"@timestamp": "2019-06-20T10:00:00Z", "https": True, "response_ms": 12, "versions": ["1.0"]},
    {"@timestamp": "2019-06-20T11:00:00Z", "https": True, "response_ms": 9, "versions": ["1.1"]},
    {"@timestamp": "2019-06-20T12:00:00Z", "https": False, "response_ms": 7, "versions": []},
]


async def test_dummydata_keeps_its_documents_settings_mappings_and_the_counts_of_its_aliases(
    service: Service, es: Elastic
) -> None:
    es.put("/dummydata", {"settings": {"number_of_replicas": 1, "refresh_interval": "10s"}})
    es.bulk("dummydata", DUMMYDATA)
    es.put("/dummydata/_alias/myAlias")
    es.put("/dummy*/_alias/wildcardAlias")
    es.put("/dummydata/_alias/myHttpsAlias", {"filter": {"term": {"https": True}}})
    make, documents = made_anew(es, "dummydata"), contents(es, "dummydata")

    answer = await service.client.post(f"{BASE}/dummydata")
    assert (answer.status_code, answer.json()["status"]) == (200, 0)
    await service.completed("dummydata")

    assert (await service.operation("dummydata"))["errorMessage"] is None
    assert es.get("/dummydata").keys() == {"reindexed-v8-dummydata"}
    assert made_anew(es, "reindexed-v8-dummydata") == make
    assert es.settings("dummydata")["index.refresh_interval"] == "10s"
    assert contents(es, "dummydata") == documents
    counted = {
        alias: es.get(f"/{alias}/_count")["count"]
        for alias in ("dummydata", "myAlias", "wildcardAlias", "myHttpsAlias")
    }
    assert counted == {"dummydata": 3, "myAlias": 3, "wildcardAlias": 3, "myHttpsAlias": 2}


async def test_settings_that_the_source_does_not_have_are_not_set_in_the_end(
    service: Service, es: Elastic
) -> None:
    filled(es, "plain", 3)
    await service.post_batch("plain")
    await service.completed("plain")
    settings = es.settings("reindexed-v8-plain")
    assert settings["index.number_of_replicas"] == "1"  # Elasticsearch's default
    assert "index.refresh_interval" not in settings


async def test_an_index_of_the_major_before_has_the_standing_warnings_and_is_reindexed(
    service: Service, es: Elastic
) -> None:
    filled(es, "reindexed-v7-6.0-data", 3, **ALONE, aliases={"6.0-data": {}})
    status = (await service.client.get(f"{BASE}/reindexed-v7-6.0-data")).json()
    kinds = [warning["warningType"] for warning in status["warnings"]]
    assert kinds == ["makeIndexReadonly", "replaceIndexWithAlias"]
    assert status["meta"]["reindexName"] == "reindexed-v8-6.0-data"
    await service.post_batch("reindexed-v7-6.0-data")
    await service.completed("reindexed-v7-6.0-data")
    assert es.aliases("reindexed-v8-6.0-data").keys() == {"6.0-data", "reindexed-v7-6.0-data"}


async def test_a_batch_of_three_shortens_the_queue_from_its_head(
    service: Service, es: Elastic
) -> None:
    names = [f"batch-reindex-test{n}" for n in (1, 2, 3)]
    for name in names:
        filled(es, name, 200, **ALONE)
    es.post(f"/{names[0]}/_close")
    answer = await service.post_batch(*names)
    assert (len(answer["enqueued"]), answer["errors"]) == (3, [])
    seen: list[list[str]] = []

    async def empty() -> bool:
        now = [operation["indexName"] for operation in await service.queue()]
        if not seen or seen[-1] != now:
            seen.append(now)
        return not now

    await eventually(empty, "the queue is empty")
    assert all(queue == names[len(names) - len(queue) :] for queue in seen)
    await service.completed(*names)
    assert [es.is_closed(f"reindexed-v8-{name}") for name in names] == [True, False, False]


@pytest.mark.parametrize("how", ["single", "batch"])
async def test_a_paused_operation_is_resumed_by_a_post_and_completes(
    elasticsearch_url: str, sqlite_url: str, es: Elastic, how: str
) -> None:
    filled(es, "dummydata", 3, **ALONE)
    store = await Store.open(sqlite_url, "default", 15.0)
    lease = await lease_of(store)
    paused = await started(store, lease, "dummydata")
    await saved(store, lease, paused, {"status": Status.PAUSED})
    await store.role.release(lease)
    await store.close()
    async with running_service(elasticsearch_url, sqlite_url) as service:
        assert (await service.operation("dummydata"))["status"] == 3
        if how == "batch":
            answer = await service.post_batch("dummydata")
            assert [o["status"] for o in answer["enqueued"]] == [0]
        else:
            single = await service.client.post(f"{BASE}/dummydata")
            assert (single.status_code, single.json()["status"]) == (200, 0)
        await service.completed("dummydata")
        assert (await service.parts.reading.operation("dummydata")).id == paused.id
    assert len(contents(es, "dummydata")) == 3


# --- the state machine, step by step


async def test_what_is_sent_at_each_step(relayed: Service, relay: Relay, es: Elastic) -> None:
    """As Kibana does it, and what this service adds for safety."""
    filled(es, "plain", 5, **ALONE, aliases={"hidden": {"is_hidden": True}})
    await relayed.post_batch("plain")
    await relayed.completed("plain")

    def sent(method: str, path: str) -> list[Any]:
        found = [s for s in relay.seen if s.method == method and s.path.partition("?")[0] == path]
        return [json.loads(seen.body) if seen.body else None for seen in found]

    assert sent("PUT", "/plain/_block/write") == [None]
    (created,) = sent("POST", "/_create_from/plain/reindexed-v8-plain")
    assert created.keys() == {"settings_override"}
    override = created["settings_override"]
    assert override["index.number_of_replicas"] == "0"
    assert override["index.refresh_interval"] == "-1"
    (copy,) = sent("POST", "/_reindex")
    assert copy["source"]["index"] == "plain"
    assert copy["dest"]["index"] == "reindexed-v8-plain"
    swap = sent("POST", "/_aliases")[-1]["actions"]
    marker = swap[0]["remove"]
    assert marker["index"] == "reindexed-v8-plain"
    assert marker["must_exist"] is True
    assert swap[1:] == [
        {"remove_index": {"index": "plain"}},
        {"add": {"index": "reindexed-v8-plain", "alias": "plain", "is_hidden": False}},
        {"add": {"index": "reindexed-v8-plain", "alias": "hidden", "is_hidden": True}},
    ]


async def test_the_progress_of_a_running_copy_is_a_fraction(
    relay: Relay, es: Elastic, sqlite_url: str
) -> None:
    filled(es, "plain", 40, **ALONE)
    crawl(relay)
    async with running_service(relay.url, sqlite_url, reindex_batch_documents=1) as service:
        await service.post_batch("plain")

        async def under_way() -> bool:
            return bool((await service.operation("plain"))["reindexTaskPercComplete"])

        await eventually(under_way, "there is some progress")
        operation = await service.operation("plain")
        assert 0 < operation["reindexTaskPercComplete"] < 1
        assert (operation["status"], operation["lastCompletedStep"]) == (0, 40)
        hurry(es)
        await service.completed("plain")
        assert (await service.operation("plain"))["reindexTaskPercComplete"] == 1


STEPS = {
    "create": ("POST", "^/_create_from", 0),
    "block": ("PUT", "^/plain/_block/write", 0),
    "start": ("POST", "^/_reindex", 40),
    "restore": ("PUT", "^/reindexed-v8-plain/_settings", 50),
    "swap": ("POST", "^/_aliases", 55),
}


def forwarded_marker(relay: Relay) -> Action:
    """Lets the call through that only puts the marker on."""

    async def forward(request: Seen) -> web.Response | None:
        assert b"remove_index" not in request.body
        return await relay.forward(request)

    return forward


@pytest.mark.parametrize("step", STEPS)
async def test_an_error_of_elasticsearch_fails_it_at_that_step_with_the_source_as_found(
    relayed: Service, relay: Relay, es: Elastic, step: str
) -> None:
    filled(es, "plain", aliases={"also": {}})
    before = as_found(es, "plain")
    method, path, completed = STEPS[step]
    if step == "swap":
        relay.when(method, path, forwarded_marker(relay))  # it comes with the settings before
    relay.answer(method, path, 400, REFUSED)
    await relayed.post_batch("plain")
    operation = await relayed.ended("plain")
    assert (operation["status"], operation["lastCompletedStep"]) == (2, completed)
    assert "not today" in operation["errorMessage"]
    assert es.indices() == {"plain"}
    assert as_found(es, "plain") == before


async def test_what_was_not_acknowledged_is_looked_for_and_done_again(
    relayed: Service, relay: Relay, es: Elastic
) -> None:
    filled(es, "plain")
    documents = contents(es, "plain")
    for method, path, _ in STEPS.values():
        if path != "^/_reindex":
            relay.answer(method, path, 200, NOT_ACKNOWLEDGED)
    relay.answer("POST", "^/_aliases", 200, NOT_ACKNOWLEDGED)  # the swap itself, after the marker
    await relayed.post_batch("plain")
    await relayed.completed("plain")
    assert contents(es, "plain") == documents
    assert es.indices() == {"reindexed-v8-plain"}


async def test_a_result_of_a_task_that_cannot_be_removed_spoils_nothing(
    relayed: Service, relay: Relay, es: Elastic
) -> None:
    names = ["odd", "broken", "forbidden"]
    for name in names:
        filled(es, name, 3, **ALONE)
    relay.answer("POST", "^/_bulk", 200, {"errors": True, "items": [{"delete": {"status": 404}}]})
    relay.answer("POST", "^/_bulk", 500, {"error": {"type": "exception", "reason": "no"}})
    relay.answer("POST", "^/_bulk", 403, {"error": {"type": "security_exception", "reason": "no"}})
    await relayed.post_batch(*names)
    await relayed.completed(*names)
    for name in names:
        assert "warning" not in [event.what for event in await relayed.events(name)]
