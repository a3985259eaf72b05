"""No hold that nothing can end: what we cannot read or do fails, the source takes writes, the queue
goes on."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from aiohttp import web

from testbed.relay import Relay, Seen
from tests.elasticsearch import Elastic
from tests.service import Service
from tests.upgrades.midway import POLL, filled, held_at
from tests.upgrades.portrait import as_found

TARGET = "reindexed-v8-plain"
JSON = {"X-Elastic-Product": "Elasticsearch", "Content-Type": "application/json"}
STATE = f"^/_cluster/state/metadata/plain,{TARGET}"


@pytest.fixture(autouse=True)
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """The pauses between two tries are a hundredth of what they are."""

    def briefly(_: int) -> float:
        return 0.01

    monkeypatch.setattr("app.jobs.transitions.backoff", briefly)


def two(es: Elastic) -> Any:
    """`plain`, and `next`, which is to be done behind it; how `plain` is found."""
    for name in ("plain", "next"):
        filled(es, name, settings={"number_of_replicas": 0})
    return as_found(es, "plain")


async def gone_on(service: Service, es: Elastic) -> None:
    """The index behind it in the queue is done, and `plain` takes writes."""
    await service.completed("next")
    assert es.blocks("plain") == {}
    es.put("/plain/_doc/new", {"n": 1})


def unreadable(_: Any) -> bytes:
    return b'{"hits": [}'


def a_list(_: Any) -> bytes:
    return b"[]"


def without_content(_: Any) -> bytes:
    return b"{}"


def other_types(answer: Any) -> bytes:
    return json.dumps(dict.fromkeys(answer, "?")).encode()


@pytest.mark.parametrize(
    ("method", "path", "spoilt"),
    [
        ("GET", f"{STATE}.*mappings(&|$)", unreadable),
        pytest.param("GET", "^/plain/_stats", other_types, marks=pytest.mark.wide),
        ("POST", "^/_reindex", a_list),
        pytest.param("GET", POLL, without_content, marks=pytest.mark.wide),
        ("GET", POLL, other_types),
        ("POST", "^/plain/_search", unreadable),
        pytest.param("POST", f"^/{TARGET}/_search", other_types, marks=pytest.mark.wide),
        ("GET", f"^/_cluster/health/{TARGET}", without_content),
    ],
)
async def test_an_answer_that_cannot_be_understood_is_a_failure_after_a_few_tries(
    relayed: Service,
    relay: Relay,
    es: Elastic,
    method: str,
    path: str,
    spoilt: Callable[[Any], bytes],
) -> None:
    before = two(es)
    times = 0

    async def spoil(request: Seen) -> web.Response:
        nonlocal times
        answer = await relay.forward(request)
        assert isinstance(answer.body, bytes)
        if b'"next"' in request.body or "next" in request.path:
            return answer
        times += 1
        return web.Response(body=spoilt(json.loads(answer.body)), headers=JSON)

    await relayed.post_batch()
    relay.when(method, path, spoil, None)
    await relayed.post_batch("plain", "next")
    ended = await relayed.ended("plain")
    relay.clear()
    assert ended["status"] == 2
    assert "It was tried 6 times" in ended["errorMessage"]
    assert "proxy" not in ended["errorMessage"]
    shown = await relayed.newest("plain")
    assert shown is not None
    assert shown["error"]["code"] == "answer_misread"
    assert as_found(es, "plain") == before
    assert TARGET not in es.indices()
    await gone_on(relayed, es)


async def test_what_a_proxy_answers_for_a_while_is_waited_for(
    relayed: Service, relay: Relay, es: Elastic
) -> None:
    """Longer than what Elasticsearch itself answers and we do not understand."""
    filled(es, "plain", settings={"number_of_replicas": 0})
    other = {"Content-Type": "application/json"}
    relay.answer("GET", POLL, 200, b"{}", other, times=10)
    await relayed.post_batch("plain")
    await relayed.completed("plain")
    (reason,) = {e.text for e in await relayed.events("plain") if e.what == "holds"}
    assert "X-Elastic-Product is missing" in reason


async def test_a_connection_that_is_closed_at_one_request_only_is_a_failure(
    relayed: Service, relay: Relay, es: Elastic
) -> None:
    before = two(es)
    relay.cut_before("GET", f"{STATE}.*mappings(&|$)", times=None)
    await relayed.post_batch("plain", "next")
    ended = await relayed.ended("plain")
    assert ended["status"] == 2
    assert "It was tried 12 times" in ended["errorMessage"]
    assert as_found(es, "plain") == before
    await gone_on(relayed, es)


async def test_a_removal_that_is_refused_for_good_is_left_out(
    relayed: Service, relay: Relay, es: Elastic
) -> None:
    """A person has blocked the target; the next operation of the index removes it."""
    before = two(es)
    released = await held_at(relay, ("GET", POLL), relayed, "plain", "next")
    assert await relayed.cancel("plain") == 200
    es.put(f"/{TARGET}/_settings", {"index.blocks.read_only": True})
    released.set()
    ended = await relayed.ended("plain")
    assert ended["status"] == 4
    (given_up,) = [e for e in await relayed.events("plain") if e.what == "undo given up"]
    assert "cluster_block_exception" in given_up.text
    assert f"{TARGET} may be left" in given_up.text
    assert as_found(es, "plain") == before
    await gone_on(relayed, es)
    assert TARGET in es.indices()
    es.put(f"/{TARGET}/_settings", {"index.blocks.read_only": False})
    await relayed.post_batch("plain")
    await relayed.completed("plain")


async def test_an_undo_that_crashes_each_time_is_left_out(
    relayed: Service, relay: Relay, es: Elastic, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = two(es)
    released = await held_at(relay, ("GET", POLL), relayed, "plain", "next")
    assert await relayed.cancel("plain") == 200

    async def crash(*_: object) -> None:
        raise KeyError("x")

    monkeypatch.setattr("app.upgrades.steps.undo.remove_target", crash)
    released.set()
    assert (await relayed.ended("plain"))["status"] == 4
    assert as_found(es, "plain") == before
    await gone_on(relayed, es)


async def test_the_queue_does_not_wait_for_a_source_that_cannot_be_given_back(
    relayed: Service, relay: Relay, es: Elastic
) -> None:
    """It is gone on with beside the queue, as long as it takes."""
    before = two(es)
    no = {"error": {"type": "security_exception", "reason": "not yours"}}
    released = await held_at(relay, ("GET", POLL), relayed, "plain", "next")
    relay.answer("PUT", "^/plain/_settings", 403, no, times=None)
    assert await relayed.cancel("plain") == 200
    released.set()
    await relayed.completed("next")
    assert (await relayed.operation("plain"))["status"] == 0
    await relayed.holds("plain", "not yours")
    relay.clear()
    assert (await relayed.ended("plain"))["status"] == 4
    assert as_found(es, "plain") == before


async def test_a_change_that_is_accepted_and_never_made_is_a_failure(
    relayed: Service, relay: Relay, es: Elastic
) -> None:
    before = two(es)
    relay.answer("PUT", "^/plain/_block", 200, {"acknowledged": True}, times=None)
    await relayed.post_batch("plain", "next")
    ended = await relayed.ended("plain")
    assert ended["status"] == 2
    assert "the write block of plain is not in force yet" in ended["errorMessage"]
    assert as_found(es, "plain") == before
    await gone_on(relayed, es)


async def test_a_source_that_never_gets_its_writes_back_is_told_and_not_waited_for(
    relayed: Service, relay: Relay, es: Elastic
) -> None:
    two(es)
    released = await held_at(relay, ("GET", POLL), relayed, "plain", "next")
    relay.answer("PUT", "^/plain/_settings", 200, {"acknowledged": True}, times=None)
    assert await relayed.cancel("plain") == 200
    released.set()
    assert (await relayed.ended("plain"))["status"] == 4
    (given_up,) = [e for e in await relayed.events("plain") if e.what == "undo given up"]
    assert "plain may still refuse writes" in given_up.text
    await relayed.completed("next")


async def test_a_mapping_of_200_levels_and_one_of_496_are_copied(
    service: Service, es: Elastic
) -> None:
    """496 is the most that 8.19 and 9.4 can show of an index."""
    for name, levels in (("wide", 200), ("deep", 496)):
        limits = {"index.mapping.depth.limit": 1_000, "number_of_replicas": 0}
        field = ".".join(["a"] * levels)
        properties = {field: {"type": "keyword"}}
        es.put(f"/{name}", {"settings": limits, "mappings": {"properties": properties}})
        es.put(f"/{name}/_doc/1?refresh", {field: "x"})
    await service.post_batch("wide", "deep")
    await service.completed("wide", "deep")
    query = {"query": {"term": {".".join(["a"] * 496): "x"}}}
    assert es.post("/deep/_count", query)["count"] == 1


async def test_a_mapping_that_elasticsearch_itself_cannot_show_is_a_failure(
    service: Service, es: Elastic
) -> None:
    """8.19 and 9.4 make an index of 499 levels, and close the connection that asks for them."""
    limits = {"index.mapping.depth.limit": 1_000, "number_of_replicas": 0}
    properties = {".".join(["a"] * 499): {"type": "keyword"}}
    es.put("/plain", {"settings": limits, "mappings": {"properties": properties}})
    filled(es, "next", settings={"number_of_replicas": 0})
    await service.post_batch("plain", "next")
    ended = await service.ended("plain")
    assert ended["status"] == 2
    assert "It was tried 12 times" in ended["errorMessage"]
    await service.completed("next")
    es.put("/plain/_doc/new", {})


@pytest.mark.parametrize("proof", ["sample", "full"])
@pytest.mark.parametrize("documents", [300, 1_500])
async def test_documents_that_weigh_more_than_an_answer_are_compared_in_smaller_pages(
    service: Service,
    es: Elastic,
    monkeypatch: pytest.MonkeyPatch,
    proof: str,
    documents: int,
) -> None:
    """They are small on the disk; here an answer may have a MiB only."""
    monkeypatch.setattr("app.elastic.http.MOST_BYTES", 2**20)
    settings = {"number_of_replicas": 0}
    es.put("/plain", {"mappings": {"enabled": False}, "settings": settings})
    es.bulk("plain", [{"line": f"{n} " * 2_500} for n in range(documents)])
    await service.post_options({"index": "plain"}, proof=proof)
    await service.completed("plain")
    shown = await service.newest("plain")
    assert shown is not None
    compared = (await service.shown(shown["id"]))["proof"]["compared"]
    assert compared == documents or (proof == "sample" and compared > 0)
    assert not [e for e in await service.events("plain") if e.what == "holds"]


async def test_a_document_that_is_too_large_to_be_read_is_a_failure(
    service: Service, es: Elastic, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.elastic.http.MOST_BYTES", 2**20)
    filled(es, "plain", 3, mappings={"enabled": False}, settings={"number_of_replicas": 0})
    es.put("/plain/_doc/large?refresh", {"text": "x" * 2**21})
    filled(es, "next", settings={"number_of_replicas": 0})
    await service.post_options({"index": "plain"}, {"index": "next"}, proof="full")
    ended = await service.ended("plain")
    assert ended["status"] == 2
    assert "A single document of plain is larger" in ended["errorMessage"]
    assert TARGET not in es.indices()
    await gone_on(service, es)
