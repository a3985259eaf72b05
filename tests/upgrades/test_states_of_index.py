"""Closed and blocked indices come out closed and blocked, and never take a write in between."""

from __future__ import annotations

from typing import Any

import pytest
from aiohttp import web

from testbed.relay import Relay, Seen
from tests.elasticsearch import Elastic
from tests.service import Service
from tests.upgrades.midway import held_at
from tests.upgrades.portrait import as_found, contents, made_anew

BLOCKS = ("write", "read_only", "metadata", "read")


@pytest.mark.parametrize("shards", [1, 3])
async def test_a_closed_index_comes_out_closed(service: Service, es: Elastic, shards: int) -> None:
    es.put("/shut", {"settings": {"number_of_shards": shards}, "aliases": {"door": {}}})
    es.bulk("shut", [{"n": n} for n in range(20)])
    documents = contents(es, "shut")
    es.post("/shut/_close")

    await service.post_batch("shut")
    await service.completed("shut")

    assert es.indices() == {"reindexed-v8-shut"}
    assert es.is_closed("reindexed-v8-shut")
    assert es.blocks("reindexed-v8-shut") == {}
    es.post("/shut/_open?wait_for_active_shards=1")
    assert es.aliases("shut").keys() == {"shut", "door"}
    assert contents(es, "shut") == documents


async def test_a_closed_index_with_blocks_comes_out_closed_and_blocked(
    service: Service, es: Elastic
) -> None:
    es.put("/shut")
    es.bulk("shut", [{"n": n} for n in range(5)])
    documents = contents(es, "shut")
    es.post("/shut/_close")
    es.put("/shut/_settings", {"index.blocks.read_only": True})

    await service.post_batch("shut")
    await service.completed("shut")

    assert es.is_closed("reindexed-v8-shut")
    assert es.blocks("reindexed-v8-shut") == {"index.blocks.read_only": "true"}
    es.put("/shut/_settings", {"index.blocks.read_only": None})
    es.post("/shut/_open?wait_for_active_shards=1")
    assert contents(es, "shut") == documents


@pytest.mark.parametrize("how", ["_settings", "_block"])
async def test_a_write_blocked_index_comes_out_write_blocked(
    service: Service, es: Elastic, how: str
) -> None:
    es.put("/kept")
    es.bulk("kept", [{"n": n} for n in range(5)])
    if how == "_block":
        es.put("/kept/_block/write")
    else:
        es.put("/kept/_settings", {"index.blocks.write": True})
    documents = contents(es, "kept")

    await service.post_batch("kept")
    await service.completed("kept")

    assert es.blocks("reindexed-v8-kept") == {"index.blocks.write": "true"}
    assert contents(es, "kept") == documents


@pytest.mark.parametrize("blocks", [*([b] for b in BLOCKS), list(BLOCKS)], ids=" ".join)
async def test_a_block_comes_out_as_it_was_and_no_other(
    service: Service, es: Elastic, blocks: list[str]
) -> None:
    es.put("/kept", {"aliases": {"other-name": {"routing": "x"}}})
    es.bulk("kept", [{"n": n} for n in range(5)])
    documents, make = contents(es, "kept"), made_anew(es, "kept")
    wanted = {f"index.blocks.{block}": "true" for block in blocks}
    es.put("/kept/_settings", wanted)

    await service.post_batch("kept")
    await service.completed("kept")

    assert es.indices() == {"reindexed-v8-kept"}
    assert es.blocks("reindexed-v8-kept") == wanted
    es.put("/reindexed-v8-kept/_settings", dict.fromkeys(wanted))
    assert es.aliases("kept")["other-name"] == {"index_routing": "x", "search_routing": "x"}
    assert contents(es, "kept") == documents
    assert made_anew(es, "reindexed-v8-kept") == make


@pytest.mark.parametrize("block", ["write", "read_only"])
async def test_an_index_that_refuses_writes_has_no_writable_moment(
    relayed: Service, relay: Relay, es: Elastic, block: str
) -> None:
    es.put("/kept")
    es.bulk("kept", [{"n": 1}])
    es.post("/kept/_close")
    es.put("/kept/_settings", {f"index.blocks.{block}": True})
    tried: list[Any] = []
    changes = r"^/(kept|reindexed-v8-kept)/_(settings|block|open|close)|^/_aliases"

    async def write_before_and_after(request: Seen) -> web.Response:
        tried.append(es.request("PUT", "/kept/_doc/late", {"late": True}).json())
        answer = await relay.forward(request)
        tried.append(es.request("PUT", "/kept/_doc/late", {"late": True}).json())
        return answer

    relay.when("*", changes, write_before_and_after, None)
    await relayed.post_batch("kept")
    await relayed.completed("kept")
    assert len(tried) >= 8
    assert not [answer for answer in tried if answer.get("_index") == "kept"]


async def test_cancelled_before_it_is_started_leaves_no_trace(
    relayed: Service, relay: Relay, es: Elastic
) -> None:
    for name in ("first", "second"):
        es.put(f"/{name}")
    before = as_found(es, "second")
    released = await held_at(relay, ("PUT", "/first/_block/write"), relayed, "first", "second")
    assert await relayed.cancel("second") == 200
    assert [o["indexName"] for o in await relayed.queue()] == ["first"]
    assert (await relayed.operation("second"))["status"] == 4
    released.set()
    await relayed.completed("first")
    assert as_found(es, "second") == before
    assert es.indices() == {"reindexed-v8-first", "second"}
