"""What each level of proof finds: a changed document though all counts agree."""

from __future__ import annotations

import json
from typing import Any

import pytest
from aiohttp import web

from testbed.relay import Relay, Seen
from tests.conditions import eventually
from tests.elasticsearch import Elastic
from tests.service import Service, running_service
from tests.upgrades.midway import POLL, all_copied, filled
from tests.upgrades.portrait import as_found

SMALL_PAGES = {"reindex_batch_documents": 50, "reindex_windows_in_flight": 10}


async def copied(service: Service, relay: Relay, es: Elastic, **options: Any) -> tuple[str, Any]:
    """The id of an operation on `old` that is copied and not proven yet, and what lets it go on."""
    released = relay.hold("GET", POLL, times=None)
    (operation,) = (await service.post_options({"index": "old"}, **options))["operations"]
    await relay.wait_for("GET", POLL)
    await all_copied(es)
    return operation["id"], released


def change(es: Elastic, document: str, **values: Any) -> None:
    """Writes to the target through its name."""
    es.put(f"/reindexed-v8-old/_doc/{document}", values)


@pytest.mark.parametrize("level", ["sample", "full"])
async def test_a_changed_document_of_a_small_index_is_named(
    relayed: Service, relay: Relay, es: Elastic, level: str
) -> None:
    filled(es, "old", 40, settings={"number_of_shards": 2})
    before = as_found(es, "old")
    operation_id, released = await copied(relayed, relay, es, proof=level)
    change(es, "3", n=4711)
    released.set()
    ended = await relayed.ended("old")
    assert ended["status"] == 2
    assert "of those that were compared 1 differs" in ended["errorMessage"]
    assert "Both indices were kept" in ended["errorMessage"]
    shown = await relayed.shown(operation_id)
    assert shown["error"]["code"] == "documents_differ"
    assert shown["failure"]["counts"] == {"differs": 1}
    (document,) = shown["failure"]["documents"]
    assert document == {"id": "3", "type": "differs", "reason": "_version 1 → 2, _source"}
    assert es.indices() == {"old", "reindexed-v8-old"}
    assert as_found(es, "old") == before


async def test_only_counted_it_is_not_found(relayed: Service, relay: Relay, es: Elastic) -> None:
    filled(es, "old", 40)
    operation_id, released = await copied(relayed, relay, es, proof="count")
    change(es, "3", n=4711)
    released.set()
    await relayed.completed("old")
    proof = (await relayed.shown(operation_id))["proof"]
    assert (proof["level"], proof["documents"], proof["compared"]) == ("count", 40, 0)


async def test_one_changed_document_of_thousands_is_found_by_a_full_proof(
    relayed: Service, relay: Relay, es: Elastic
) -> None:
    filled(es, "old", 4000, settings={"number_of_shards": 2})
    before = as_found(es, "old")
    operation_id, released = await copied(relayed, relay, es, proof="full")
    es.delete("/reindexed-v8-old/_doc/3999")
    change(es, "stranger", n=3999)
    released.set()
    ended = await relayed.ended("old")
    assert ended["status"] == 2
    assert "1 is missing" in ended["errorMessage"]
    failure = (await relayed.shown(operation_id))["failure"]
    assert failure["documents"] == [{"id": "3999", "type": "missing", "reason": "missing"}]
    assert as_found(es, "old") == before


async def test_a_sample_of_thousands_finds_what_is_wrong_everywhere(
    relayed: Service, relay: Relay, es: Elastic
) -> None:
    filled(es, "old", 1500)
    operation_id, released = await copied(relayed, relay, es, proof="sample")
    es.bulk("reindexed-v8-old", [{"n": n + 1} for n in range(1500)])
    released.set()
    ended = await relayed.ended("old")
    assert ended["status"] == 2
    failure = (await relayed.shown(operation_id))["failure"]
    assert [one["reason"] for one in failure["documents"]] == ["_version 1 → 2, _source"] * 10
    assert f"{failure['counts']['differs']} differ." in ended["errorMessage"]
    assert failure["counts"]["differs"] > 10


async def test_documents_of_every_kind_are_compared_page_by_page(
    es: Elastic, elasticsearch_url: str, sqlite_url: str
) -> None:
    properties = {
        "children": {"type": "nested"},
        "relation": {"type": "join", "relations": {"parent": "child"}},
        "free": {"type": "object", "enabled": False},
    }
    settings = {"number_of_shards": 3, "number_of_replicas": 0, "max_result_window": 100}
    es.put("/old", {"settings": settings, "mappings": {"properties": properties}})
    documents = [{"n": n, "children": [{"a": n}, {"a": 1}]} for n in range(1200)]
    es.bulk("old", documents)
    for _ in range(4):  # most of the sequence numbers belong to nothing any more
        es.bulk("old", documents[:900])
    es.bulk("old", [{"n": n, "relation": "parent"} for n in range(40)], routing="r")
    child = {"relation": {"name": "child", "parent": "1"}}
    es.put("/old/_doc/child?routing=r", {"n": 1, **child})
    odd = r'{"free": {"half": "\ud800", "huge": 123456789012345678901234567890}}'
    es.put_as_it_is("/old/_doc/odd?refresh=true", odd)
    for n in range(1100, 1110):
        es.delete(f"/old/_doc/{n}")
    async with running_service(elasticsearch_url, sqlite_url, **SMALL_PAGES) as service:
        (operation,) = (await service.post_options({"index": "old"}, proof="full"))["operations"]
        await service.completed("old")
        proof = (await service.shown(operation["id"]))["proof"]
    assert proof["level"] == "full"
    assert proof["compared"] == proof["documents"] == es.get("/old/_count")["count"] > 1_100


async def test_where_only_the_sums_differ_the_documents_decide(
    relayed: Service, relay: Relay, es: Elastic
) -> None:
    """The same JSON, written otherwise; beside it documents that are no JSON."""
    filled(es, "old", 1500)
    es.put_as_it_is("/old/_doc/commented", b'{"n": 1 /* one */}')
    es.put_as_it_is("/old/_doc/open?refresh", b'{"n": 1} // and so on')
    operation_id, released = await copied(relayed, relay, es, proof="full")
    same = "/reindexed-v8-old/_doc/7?version=1&version_type=external_gte"
    es.put_as_it_is(same, '{  "n" : 7 }')
    released.set()
    await relayed.completed("old")
    proof = (await relayed.shown(operation_id))["proof"]
    whats = [event["what"] for event in (await relayed.shown(operation_id))["events"]]
    assert "proof goes on one by one" in whats
    assert proof["level"] == "full"
    assert proof["compared"] == es.get("/old/_count")["count"] == 1502


class Slow:
    """Lets a full comparison take its time: each page waits."""

    def __init__(self, relay: Relay, seconds: float = 0.06) -> None:
        relay.delay("POST", "^/(reindexed-v8-)?old/_search.*_shards", seconds, times=None)

    async def half_way(self, service: Service, operation_id: str) -> int:
        """How much is compared, once it is something."""

        async def begun() -> bool:
            proving = (await service.shown(operation_id))["proving"]
            return proving is not None and proving["compared"] > 0

        await eventually(begun, "a part is compared")
        return (await service.shown(operation_id))["proving"]["compared"]


async def test_a_full_proof_shows_how_far_it_is_and_goes_on_after_a_restart(
    relay: Relay, es: Elastic, sqlite_url: str
) -> None:
    filled(es, "old", 3000, settings={"number_of_shards": 2})
    slow = Slow(relay)
    async with running_service(relay.url, sqlite_url, **SMALL_PAGES) as service:
        (operation,) = (await service.post_options({"index": "old"}, proof="full"))["operations"]
        await slow.half_way(service, operation["id"])
    async with running_service(relay.url, sqlite_url, **SMALL_PAGES) as service:
        so_far = (await service.shown(operation["id"]))["proving"]
        assert 0 < so_far["compared"] < so_far["documents"] == 3000
        relay.clear()
        relay.seen.clear()
        await service.completed("old")
        shown = await service.shown(operation["id"])
    assert (shown["proof"]["compared"], shown["proving"]) == (3000, None)
    pages = [seen for seen in relay.seen if "_search" in seen.path and "_shards" in seen.path]
    assert {seen.path.split("/")[1] for seen in pages} == {"old", "reindexed-v8-old"}
    assert not [seen for seen in pages if "_shards%3A0" in seen.path and b'"gte":0,' in seen.body]


async def test_a_full_proof_can_be_cancelled_between_two_pages(
    relay: Relay, es: Elastic, sqlite_url: str
) -> None:
    filled(es, "old", 3000)
    before = as_found(es, "old")
    slow = Slow(relay)
    async with running_service(relay.url, sqlite_url, **SMALL_PAGES) as service:
        (operation,) = (await service.post_options({"index": "old"}, proof="full"))["operations"]
        await slow.half_way(service, operation["id"])
        assert await service.cancel("old") == 200
        assert (await service.ended("old"))["status"] == 4
    assert es.indices() == {"old"}
    assert as_found(es, "old") == before


async def test_a_write_behind_the_comparison_is_found(
    relay: Relay, es: Elastic, sqlite_url: str
) -> None:
    filled(es, "old", 3000)
    slow = Slow(relay)
    async with running_service(relay.url, sqlite_url, **SMALL_PAGES) as service:
        (operation,) = (await service.post_options({"index": "old"}, proof="full"))["operations"]
        await slow.half_way(service, operation["id"])
        change(es, "0", n=0)
        relay.clear()
        ended = await service.ended("old")
        shown = await service.shown(operation["id"])
        whats = [event["what"] for event in shown["events"]]
    assert ended["status"] == 2
    (document,) = shown["failure"]["documents"]
    assert (document["id"], document["reason"]) == ("0", "_version 1 → 2")
    assert "proof begins anew" in whats


async def test_a_target_made_again_while_it_is_compared_is_not_taken(
    relay: Relay, es: Elastic, sqlite_url: str
) -> None:
    filled(es, "old", 3000)
    slow = Slow(relay)
    async with running_service(relay.url, sqlite_url, **SMALL_PAGES) as service:
        (operation,) = (await service.post_options({"index": "old"}, proof="full"))["operations"]
        await slow.half_way(service, operation["id"])
        es.delete("/reindexed-v8-old")
        es.put("/reindexed-v8-old")
        relay.clear()
        assert (await service.ended("old"))["status"] == 2
    assert len(es.documents("old")) == 3000
    assert es.blocks("old") == {}


async def test_a_small_index_costs_no_request_more_than_being_counted(
    relay: Relay, es: Elastic, sqlite_url: str
) -> None:
    sent: dict[str, int] = {}
    for level in ("count", "sample"):
        filled(es, level, 3)
        async with running_service(relay.url, f"{sqlite_url}-{level}", reindex_proof=level) as one:
            relay.seen.clear()
            await one.post_batch(level)
            await one.completed(level)
            own = (f"/{level}/", f"/reindexed-v8-{level}/")
            sent[level] = len([seen for seen in relay.seen if seen.path.startswith(own)])
    assert sent["sample"] == sent["count"] > 5


async def test_an_overloaded_cluster_is_asked_for_smaller_pages(
    relay: Relay, es: Elastic, sqlite_url: str
) -> None:
    filled(es, "old", 1500)
    sizes: list[int] = []
    too_large = {"error": {"type": "circuit_breaking_exception", "reason": "too large"}}

    async def measure(request: Seen) -> web.Response:
        sizes.append(json.loads(request.body)["size"])
        if sizes[-1] > 10:
            return web.json_response(too_large, status=429)
        return await relay.forward(request)

    relay.when("POST", "^/old/_search.*_shards", measure, times=None)
    settings = {**SMALL_PAGES, "reindex_batch_documents": 10}  # a page is two of them
    async with running_service(relay.url, sqlite_url, **settings) as service:
        await service.post_options({"index": "old"}, proof="full")
        await service.completed("old")
    assert sizes[0] == 20
    assert sizes[-1] == 10


@pytest.mark.parametrize(
    ("up_to", "level"), [("1200, 256mb", "full"), ("1199, 256mb", "sample"), ("1200, 1b", "sample")]
)
async def test_how_a_copy_is_proven_is_chosen_by_its_size_and_shown_before_and_after(
    es: Elastic, elasticsearch_url: str, sqlite_url: str, up_to: str, level: str
) -> None:
    filled(es, "old", 1200, settings={"number_of_replicas": 0})
    limit = {"reindex_proof_full_up_to": up_to}
    async with running_service(elasticsearch_url, sqlite_url, **limit) as service:
        plan = await service.client.post("/api/v1/plan", json={"indices": [{"index": "old"}]})
        assert plan.json()["indices"][0]["proof"] == level
        (operation,) = (await service.post_options({"index": "old"}))["operations"]
        await service.completed("old")
        shown = await service.shown(operation["id"])
    assert shown["proofLevel"] == shown["proof"]["level"] == level
    assert level == "sample" or shown["proof"]["compared"] == 1200
    (chosen,) = [e["text"] for e in shown["events"] if e["what"] == "proof chosen"]
    assert chosen.startswith(level)
