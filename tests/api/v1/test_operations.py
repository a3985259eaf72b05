"""`/api/v1/operations`: every state of an operation by its name, and all that is known of it."""

from __future__ import annotations

import re
from typing import Any

from testbed.relay import Relay
from tests.api.test_bad_input import check_envelope
from tests.conditions import eventually
from tests.elasticsearch import Elastic
from tests.service import Service, running_service
from tests.upgrades.midway import crawl, filled, held_at, hurry

LIST = "/api/v1/operations"
SWAP = ("POST", "^/_aliases")
BUSY: dict[str, Any] = {"error": {"type": "es_rejected_execution_exception", "reason": "full"}}
TIME = re.compile(r"20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")


async def listed(service: Service, query: str = "") -> list[dict[str, Any]]:
    answer = await service.client.get(f"{LIST}?{query}")
    assert answer.status_code == 200, answer.text
    return answer.json()["operations"]


async def one(service: Service, index: str) -> dict[str, Any]:
    (found,) = await listed(service, f"index={index}")
    return found


async def whole(service: Service, index: str) -> dict[str, Any]:
    found = await one(service, index)
    answer = await service.client.get(f"{LIST}/{found['id']}")
    assert answer.status_code == 200, answer.text
    return answer.json()


async def reached(service: Service, index: str, state: str) -> dict[str, Any]:
    async def there() -> bool:
        return (await one(service, index))["state"] == state

    await eventually(there, f"{index} is {state}")
    return await one(service, index)


async def test_a_completed_operation_is_known_whole(service: Service, es: Elastic) -> None:
    filled(es, "a", settings={"number_of_replicas": 0, "number_of_shards": 2})
    await service.post_batch("a")
    await service.completed("a")
    operation = await whole(service, "a")
    summary = await one(service, "a")
    extra = {"failure", "proof", "proving", "windows", "events"}
    assert {key: value for key, value in operation.items() if key not in extra} == summary
    assert (summary["state"], summary["step"], summary["queued"]) == (
        "completed",
        "aliasCreated",
        True,
    )
    assert (summary["newIndexName"], summary["keepsOldIndex"]) == ("reindexed-v8-a", False)
    assert summary["hold"] is summary["error"] is summary["mode"] is None
    assert summary["cancelRequested"] is summary["writesBlocked"] is False
    assert summary["pending"] is operation["failure"] is None
    assert summary["batchId"]
    assert summary["caller"].startswith("api:")
    for key in ("queuedAt", "createdAt", "startedAt", "updatedAt", "endedAt"):
        assert TIME.fullmatch(summary[key]), (key, summary[key])
    progress = summary["progress"]
    assert (progress["fraction"], progress["documentsDone"], progress["documentsTotal"]) == (
        1,
        20,
        20,
    )
    assert progress["windowsDone"] == progress["windowsTotal"] == len(operation["windows"]) == 2
    assert progress["overallSpeed"] > 0
    assert progress["speed"] is progress["etaSeconds"] is None
    assert operation["proof"]["documents"] == operation["proof"]["luceneDocuments"] == 20
    assert [w["state"] for w in operation["windows"]] == ["done", "done"]
    assert sum(w["seen"] for w in operation["windows"]) == 20
    whats = [event["what"] for event in operation["events"]]
    assert (whats[0], whats[-1]) == ("queued", "completed")
    assert all(event["indexName"] for event in operation["events"])
    numbers = [event["number"] for event in operation["events"]]
    assert numbers == sorted(numbers)


async def test_an_operation_is_seen_copying_with_its_speed_and_its_end(
    relay: Relay, es: Elastic, sqlite_url: str
) -> None:
    filled(es, "a", 60, settings={"number_of_replicas": 0})
    filled(es, "b")
    crawl(relay)
    settings = {"reindex_batch_documents": 1, "reindex_synchronous_documents": 0}
    async with running_service(relay.url, sqlite_url, **settings) as service:
        await service.post_batch("a", "b")

        async def estimated() -> bool:
            progress = (await one(service, "a"))["progress"]
            return progress is not None and progress["etaSeconds"] is not None

        await eventually(estimated, "an end is estimated")
        running = await one(service, "a")
        assert (running["state"], running["step"]) == ("running", "reindexStarted")
        progress = running["progress"]
        assert 0.01 <= progress["fraction"] < 1
        assert 0 < progress["documentsDone"] < progress["documentsTotal"] == 60
        assert progress["speed"] > 0
        (window,) = (await whole(service, "a"))["windows"]
        assert (window["state"], window["batch"], window["fromSeqNo"]) == ("running", 1, None)
        assert ":" in window["taskId"]
        waiting = await one(service, "b")
        assert (waiting["state"], waiting["step"]) == ("waiting", "created")
        assert waiting["progress"] is waiting["startedAt"] is None
        assert waiting["batchId"] == running["batchId"]
        both = await listed(service, f"batch={running['batchId']}")
        assert [o["indexName"] for o in both] == ["a", "b"]
        hurry(es)
        await service.completed("a", "b")


async def test_why_an_operation_waits_is_told_and_that_it_went_on(
    relayed: Service, relay: Relay, es: Elastic
) -> None:
    filled(es, "a")
    relay.answer(*SWAP, 503, BUSY, times=None)
    await relayed.post_batch("a")
    holding = await reached(relayed, "a", "holding")
    assert holding["step"] == "reindexCompleted"  # the marker of the swap comes with the settings
    assert "es_rejected_execution_exception" in holding["hold"]["reason"]
    assert holding["hold"]["attempts"] >= 1
    assert TIME.fullmatch(holding["hold"]["since"])
    assert holding["hold"]["nextAttemptAt"] >= holding["hold"]["since"]
    assert holding["progress"]["etaSeconds"] is None
    worker = (await relayed.client.get("/api/v1/worker")).json()
    assert worker["waitsFor"] == holding["hold"]["reason"]
    assert (worker["head"]["id"], worker["queueLength"]) == (holding["id"], 1)
    relay.clear()
    await relayed.completed("a")
    assert (await one(relayed, "a"))["hold"] is None


async def test_a_cancelled_operation_goes_back_and_a_failed_one_says_why(
    relayed: Service, relay: Relay, es: Elastic
) -> None:
    filled(es, "a")
    filled(es, "b")
    released = await held_at(relay, ("PUT", "^/a/_block/write"), relayed, "a", "b")
    assert await relayed.cancel("a") == 200
    assert (await one(relayed, "a"))["cancelRequested"] is True
    assert (await one(relayed, "a"))["pending"] == "cancelling"
    relay.answer("GET", "^/_cluster/state/metadata/a", 503, BUSY, times=None)
    released.set()
    undoing = await reached(relayed, "a", "undoing")
    assert undoing["step"] == "created"
    illegal = {"error": {"type": "illegal_argument_exception", "reason": "of no use"}}
    relay.clear()
    relay.answer("PUT", "^/b/_block/write", 400, illegal, times=None)
    cancelled = await reached(relayed, "a", "cancelled")
    assert cancelled["cancelRequested"] is False
    failed = await reached(relayed, "b", "failed")
    assert failed["error"]["code"] == "illegal_argument_exception"
    assert "of no use" in failed["error"]["message"]
    assert [o["indexName"] for o in await listed(relayed, "state=failed&state=cancelled")] == [
        "a",
        "b",
    ]
    assert await listed(relayed, "state=completed") == []


async def test_pages_counts_and_bad_questions(service: Service, es: Elastic) -> None:
    names = [f"i{n}" for n in range(5)]
    for name in names:
        es.put(f"/{name}", {"settings": {"number_of_replicas": 0}})
    await service.post_batch(*names)
    await service.completed(*names)
    for order, expected in (("asc", names), ("desc", names[::-1])):
        seen: list[str] = []
        after = ""
        while True:
            page = (
                await service.client.get(f"{LIST}?limit=2&order={order}{after}&counts=true")
            ).json()
            seen += [operation["indexName"] for operation in page["operations"]]
            assert page["counts"]["completed"] == 5
            if page["next"] is None:
                break
            after = f"&after={page['next']}"
        assert seen == expected
    assert (await service.client.get(LIST)).json()["counts"] is None

    for query, said in (
        ("limit=0", "[request query.limit]"),
        ("limit=501", "it must be at most 500"),
        ("after=yesterday", "[request query.after]"),
        ("after=-1", "[request query.after]"),
        ("state=fail", "'waiting', 'running'"),
        ("order=up", "'asc' or 'desc'"),
        ("states=failed", "definition for this key is missing"),
    ):
        check_envelope(await service.client.get(f"{LIST}?{query}"), 400, said)
    for unknown in ("0" * 32, "x", "%00", "ü" * 200):
        check_envelope(await service.client.get(f"{LIST}/{unknown}"), 404, "There is no operation")
    for strange in ("index=%00", "batch=%00", f"index={'x' * 5000}"):
        assert await listed(service, strange) == []


async def test_nul_finds_nothing_and_is_not_stored(
    elasticsearch_url: str, database_url: str
) -> None:
    async with running_service(elasticsearch_url, database_url) as service:
        check_envelope(await service.client.get(f"{LIST}/%00"), 404, "There is no operation")
        check_envelope(await service.client.get("/api/v1/batches/%00"), 404, "There is no batch")
        for strange in ("index=%00", "batch=%00"):
            assert await listed(service, strange) == []
        answer = await service.client.post("/api/v1/pace/stop", json={"reason": "a\0b"})
        assert answer.json()["stopped"]["reason"] == "a\N{REPLACEMENT CHARACTER}b"
