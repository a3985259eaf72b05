"""An index that indices of other clusters follow (CCR) is not taken from under them unasked."""

from __future__ import annotations

from typing import Any

import pytest
from aiohttp import web

from testbed.relay import Relay, Seen
from tests.elasticsearch import Elastic
from tests.service import Service
from tests.upgrades.midway import filled
from tests.upgrades.portrait import as_found, contents


def follow(relay: Relay) -> None:
    """From now on the histories of `led` are held for a follower, and not for a recovery: the
    Elasticsearch of the tests has no CCR."""

    def led(body: dict[str, Any]) -> None:
        for shards in body.get("indices", {}).get("led", {}).get("shards", {}).values():
            for copy in shards:
                for lease in copy["retention_leases"]["leases"]:
                    assert lease.pop("source") == "peer recovery"
                    lease["source"] = "ccr"

    async def answered(request: Seen) -> web.Response:
        return await relay.forward_changed(request, led)

    relay.when("GET", "^/[^/]*led[^/]*/_stats", answered, None)


@pytest.fixture
def indices(es: Elastic) -> list[str]:
    for name in ("led", "free"):
        filled(es, name, settings={"number_of_replicas": 0})
    return ["led", "free"]


async def test_a_leader_is_refused_with_the_recipe_unless_forced(
    relayed: Service, relay: Relay, es: Elastic, indices: list[str]
) -> None:
    follow(relay)
    before = as_found(es, "led")
    answer = await relayed.post_batch(*indices)
    assert [one["indexName"] for one in answer["enqueued"]] == ["free"]
    (error,) = answer["errors"]
    for part in ("follows led", "_ccr/unfollow", "follow reindexed-v8-led", "Auto-follow"):
        assert part in error["message"]
    await relayed.completed("free")

    asked = {"indices": [{"index": "led"}]}
    plan = (await relayed.client.post("/api/v1/plan", json=asked)).json()
    assert [one["code"] for one in plan["indices"][0]["blockers"]] == ["ccr_leader"]
    refused = (await relayed.client.post("/api/v1/batches", json=asked)).json()["refused"]
    assert [(one["index"], one["code"]) for one in refused] == [("led", "ccr_leader")]
    assert as_found(es, "led") == before

    documents = contents(es, "led")
    await relayed.post_options({"index": "led", "force": True})
    await relayed.completed("led")
    assert contents(es, "led") == documents


async def test_one_that_became_a_leader_in_the_queue_is_seen_before_it_is_blocked(
    relayed: Service, relay: Relay, es: Elastic, indices: list[str]
) -> None:
    await relayed.client.post("/api/v1/pace/stop", json={"reason": "to look"})
    await relayed.post_batch(*indices)
    follow(relay)
    before = as_found(es, "led")
    await relayed.client.post("/api/v1/pace/go-on")
    assert (await relayed.ended("led"))["status"] == 2
    shown = await relayed.newest("led")
    assert shown
    assert shown["error"]["code"] == "ccr_leader"
    assert as_found(es, "led") == before
    await relayed.completed("free")
