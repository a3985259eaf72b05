"""Kibana's reindex API as it is on the wire: keys, codes, texts."""

from __future__ import annotations

import json
import time
from typing import Any

from app.domain.names import IndexName
from app.store.store import Store
from testbed.relay import Relay
from tests.api.test_bad_input import check_envelope
from tests.conditions import eventually
from tests.elasticsearch import Elastic
from tests.service import BASE, Service, running_service
from tests.upgrades.midway import held_at

BATCH = f"{BASE}/batch"
QUICK = {"settings": {"number_of_replicas": 0}}
ALWAYS = {
    "indexName",
    "newIndexName",
    "status",
    "lastCompletedStep",
    "locked",
    "reindexTaskId",
    "reindexTaskPercComplete",
    "errorMessage",
    "runningReindexCount",
}


def fresh(name: str, **more: Any) -> dict[str, Any]:
    """A new operation, as the reference's 1.1 has it."""
    return {
        "indexName": name,
        "newIndexName": f"reindexed-v8-{name}",
        "status": 0,
        "lastCompletedStep": 0,
        "locked": None,
        "reindexTaskId": None,
        "reindexTaskPercComplete": None,
        "errorMessage": None,
        "runningReindexCount": None,
        **more,
    }


def queued_at(operation: dict[str, Any]) -> int:
    return operation["reindexOptions"]["queueSettings"]["queuedAt"]


async def test_a_batch_answers_with_fresh_operations_and_errors(
    service: Service, es: Elastic
) -> None:
    es.put("/index1", QUICK)
    before = int(time.time() * 1000)
    answer = await service.client.post(BATCH, json={"indexNames": ["index1", "index2"]})
    assert answer.status_code == 200
    (operation,) = answer.json()["enqueued"]
    at = queued_at(operation)
    assert answer.json() == {
        "enqueued": [fresh("index1", reindexOptions={"queueSettings": {"queuedAt": at}})],
        "errors": [
            {"indexName": "index2", "message": "Index index2 does not exist in this cluster."}
        ],
    }
    assert before <= at <= int(time.time() * 1000)
    await service.completed("index1")


async def test_an_empty_batch_is_answered_with_two_empty_lists(service: Service) -> None:
    assert await service.post_batch() == {"enqueued": [], "errors": []}
    assert await service.queue() == []


async def test_a_batch_keeps_the_order_of_the_names_with_strictly_increasing_times(
    service: Service, es: Elastic
) -> None:
    names = ["c", "a", "d", "b"]
    for name in names:
        es.put(f"/{name}", QUICK)
    first = await service.post_batch("c", "a")
    second = await service.post_batch("d", "b")
    queued = [*first["enqueued"], *second["enqueued"]]
    assert [operation["indexName"] for operation in queued] == names
    times = [queued_at(operation) for operation in queued]
    assert times == sorted(set(times))
    await service.completed(*names)


async def test_the_queue_is_the_running_one_and_then_the_waiting_ones_in_order(
    relayed: Service, relay: Relay, es: Elastic
) -> None:
    for name in ("b", "a", "ended"):
        es.put(f"/{name}", QUICK)
    await relayed.post_batch("ended")
    await relayed.completed("ended")
    released = relay.hold("PUT", "/b/_block/write")
    posted = await relayed.post_batch("b", "a")
    await relay.wait_for("PUT", "/b/_block/write")

    running, waiting = await relayed.queue()
    settings = running["reindexOptions"]["queueSettings"]
    assert set(settings) == {"queuedAt", "startedAt"}
    assert settings["queuedAt"] <= settings["startedAt"]
    assert running["locked"] is not None
    assert {**running, "locked": None, "reindexOptions": None} == fresh("b", reindexOptions=None)
    assert waiting == posted["enqueued"][1]
    assert await relayed.operation("a") == waiting

    released.set()
    await relayed.completed("b", "a")
    assert await relayed.queue() == []


async def test_an_operation_over_time_has_the_keys_of_kibanas_appendix(
    relayed: Service, relay: Relay, es: Elastic
) -> None:
    es.put("/a", {"settings": {"number_of_replicas": 0, "refresh_interval": "7s"}})
    es.bulk("a", [{"n": n} for n in range(10)])
    backup = {"index.number_of_replicas": "0", "index.refresh_interval": "7s"}
    at_create = relay.hold("POST", "/_create_from")
    at_copy = relay.hold("POST", "/_reindex")
    at_restore = relay.hold("PUT", "/reindexed-v8-a/_settings")
    await relayed.post_batch("a")

    await relay.wait_for("POST", "/_create_from")
    created = await relayed.operation("a")
    assert set(created) == {*ALWAYS, "reindexOptions"}
    assert set(created["reindexOptions"]) == {"queueSettings"}
    at_create.set()

    await reached(relayed, "a", 40)
    started = await relayed.operation("a")
    assert set(started) == {*ALWAYS, "reindexOptions", "backupSettings"}
    assert started["backupSettings"] == backup
    assert started["reindexOptions"]["openAndClose"] is False
    assert started["reindexTaskPercComplete"] == 0
    at_copy.set()

    await reached(relayed, "a", 50)
    copied = await relayed.operation("a")
    assert copied["reindexTaskPercComplete"] == 1
    assert ":" in copied["reindexTaskId"]
    at_restore.set()

    await relayed.completed("a")
    ended = await relayed.operation("a")
    assert ended == {
        **copied,
        "status": 1,
        "lastCompletedStep": 60,
        "locked": None,
    }


async def reached(service: Service, name: str, step: int) -> None:
    async def at_step() -> bool:
        return (await service.operation(name))["lastCompletedStep"] == step

    await eventually(at_step, f"{name} is at step {step}")


async def test_a_closed_index_says_so_in_its_options(service: Service, es: Elastic) -> None:
    es.put("/a", QUICK)
    es.post("/a/_close")
    await service.post_batch("a")
    await service.completed("a")
    assert (await service.operation("a"))["reindexOptions"]["openAndClose"] is True


async def test_an_index_without_an_operation_has_no_reindex_op(
    service: Service, es: Elastic
) -> None:
    es.put("/a")
    answer = await service.client.get(f"{BASE}/a")
    assert answer.status_code == 200
    assert "reindexOp" not in answer.json()


async def test_a_single_start_answers_the_bare_operation_without_queue_settings(
    relayed: Service, relay: Relay, es: Elastic
) -> None:
    es.put("/a", QUICK)
    released = relay.hold("PUT", "/a/_block/write")
    answer = await relayed.client.post(f"{BASE}/a", headers={"kbn-xsrf": "true"})
    assert (answer.status_code, answer.json()) == (200, fresh("a"))
    assert await relayed.queue() == []
    again = await relayed.client.post(f"{BASE}/a")
    check_envelope(again, 400, "A reindex operation already in-progress for a")
    batch = await relayed.post_batch("a")
    assert batch == {
        "enqueued": [],
        "errors": [{"indexName": "a", "message": "A reindex operation already in-progress for a"}],
    }
    released.set()
    await relayed.completed("a")


async def test_after_a_completed_operation_a_new_one_can_be_started(
    service: Service, es: Elastic
) -> None:
    es.put("/a", QUICK)
    await service.post_batch("a")
    await service.completed("a")
    check_envelope(await service.client.post(f"{BASE}/a"), 400, "alias of reindexed-v8-a")

    es.post("/_aliases", {"actions": [{"remove_index": {"index": "reindexed-v8-a"}}]})
    es.put("/a", QUICK)
    es.bulk("a", [{"n": 1}])
    answer = await service.client.post(f"{BASE}/a")
    assert (answer.status_code, answer.json()) == (200, fresh("a"))
    await service.completed("a")
    assert es.indices() == {"reindexed-v8-a"}


async def test_two_sources_of_one_target_are_refused_by_name(
    relayed: Service, relay: Relay, es: Elastic
) -> None:
    es.put("/a", QUICK)
    es.put("/reindexed-v7-a", QUICK)
    released = relay.hold("PUT", "/a/_block/write")
    answer = await relayed.post_batch("a", "reindexed-v7-a")
    assert [o["indexName"] for o in answer["enqueued"]] == ["a"]
    assert "reindexed-v8-a, which is also the target of a" in answer["errors"][0]["message"]
    single = await relayed.client.post(f"{BASE}/reindexed-v7-a")
    check_envelope(single, 409, "also the target of a")
    released.set()
    await relayed.completed("a")


async def test_the_words_of_cancel(relayed: Service, relay: Relay, es: Elastic) -> None:
    es.put("/a", QUICK)
    es.put("/b", QUICK)
    unknown = await relayed.client.post(f"{BASE}/a/cancel")
    check_envelope(unknown, 404, "No reindex operation found for index a")

    released = await held_at(relay, ("PUT", "/a/_block/write"), relayed, "a", "b")
    waiting = await relayed.client.post(f"{BASE}/b/cancel")
    assert (waiting.status_code, waiting.json()) == (200, {"acknowledged": True})
    cancelled = await relayed.operation("b")
    assert (cancelled["status"], cancelled["lastCompletedStep"]) == (4, 0)
    assert [o["indexName"] for o in await relayed.queue()] == ["a"]
    again = await relayed.client.post(f"{BASE}/b/cancel")
    check_envelope(again, 400, "Reindex operation is not in progress")

    started = await relayed.client.post(f"{BASE}/a/cancel", headers={"kbn-xsrf": "x"})
    assert (started.status_code, started.json()) == (200, {"acknowledged": True})
    released.set()
    assert (await relayed.ended("a"))["status"] == 4
    assert es.blocks("a") == {}
    assert es.indices() == {"a", "b"}


async def test_cancelling_after_the_swap_is_too_late(
    relayed: Service, relay: Relay, es: Elastic
) -> None:
    es.put("/a", {**QUICK, "aliases": {"x": {}}})
    es.post("/a/_close")
    released = await held_at(relay, ("POST", "/reindexed-v8-a/_close"), relayed, "a")
    late = await relayed.client.post(f"{BASE}/a/cancel")
    check_envelope(late, 400, "not currently waiting for reindex task to complete")
    released.set()
    await relayed.completed("a")
    ended = await relayed.client.post(f"{BASE}/a/cancel")
    check_envelope(ended, 400, "Reindex operation is not in progress")


async def test_ten_thousand_names_are_answered_and_the_good_ones_are_durable_by_then(
    elasticsearch_url: str, database_url: str, es: Elastic
) -> None:
    good = [f"real-{n}" for n in range(3)]
    for name in good:
        es.put(f"/{name}", QUICK)
    names = [f"unknown-{n}" for n in range(9_997)]
    for n, name in enumerate(good):
        names.insert(n * 1_000 + 500, name)
    async with running_service(elasticsearch_url, database_url) as service:
        answer = await service.post_batch(*names)
        store = await Store.open(database_url, "default", 15.0)
        try:
            found = [await store.operations.latest(name) for name in map(IndexName, good)]
        finally:
            await store.close()
        assert [o["indexName"] for o in answer["enqueued"]] == good
        assert [o.index_name if o else None for o in found] == good
        assert [queued_at(o) for o in answer["enqueued"]] == [o.queued_at for o in found if o]
        assert len(answer["errors"]) == 9_997
        await service.completed(*good)


async def test_names_that_need_quoting_are_addressed_by_their_quoted_path(
    service: Service, es: Elastic
) -> None:
    for path in ("%252f", "%C3%BC%26x%3D1", "a%2Bb"):
        es.put(f"/{path}", QUICK)
        answer = await service.client.post(f"{BASE}/{path}")
        assert answer.status_code == 200, answer.text
    await service.completed("%2f", "ü&x=1", "a+b")
    assert es.indices() == {"reindexed-v8-%2f", "reindexed-v8-ü&x=1", "reindexed-v8-a+b"}


async def test_an_answer_is_json_text_of_numbers_and_not_of_names(
    service: Service, es: Elastic
) -> None:
    es.put("/a", QUICK)
    answer = await service.client.post(BATCH, json={"indexNames": ["a"]})
    assert answer.headers["content-type"] == "application/json"
    assert '"status":0,' in answer.text
    assert isinstance(json.loads(answer.text)["enqueued"][0]["lastCompletedStep"], int)
    await service.completed("a")
