"""A new index that no node may have: its source is not blocked, and it is said what allows it."""

from __future__ import annotations

import time
from typing import Any

import pytest

from testbed.elasticsearch import ElasticsearchServer
from testbed.fixtures import emptied
from tests.elasticsearch import Elastic
from tests.service import Service, running_service
from tests.upgrades.midway import filled
from tests.upgrades.portrait import contents

ROUTING = "cluster.routing.allocation"
ALONE: dict[str, Any] = {"settings": {"number_of_replicas": 0}}


def allow(es: Elastic, settings: dict[str, Any]) -> None:
    named = {f"{ROUTING}.{key}": value for key, value in settings.items()}
    es.put("/_cluster/settings", {"persistent": named})


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"enable": "none"}, "enable: no allocations are allowed"),
        ({"exclude._name": "testbed*"}, "filter: node matches"),
        pytest.param({"require.zone": "b"}, 'zone:"b"', marks=pytest.mark.wide),
        pytest.param({"include.rack": "r1"}, 'rack:"r1"', marks=pytest.mark.wide),
        ({"total_shards_per_node": 1}, "shards_limit: too many shards"),
    ],
)
async def test_a_new_index_without_a_node_is_waited_for_before_the_write_block(
    relayed: Service, es: Elastic, settings: dict[str, Any], words: str
) -> None:
    filled(es, "plain", **ALONE)
    allow(es, settings)
    begun = time.monotonic()
    (operation,) = (await relayed.post_options({"index": "plain"}))["operations"]
    await relayed.holds("plain", "no node may have primary 0 of reindexed-v8-plain: testbed-")
    assert time.monotonic() - begun < 25  # Elasticsearch itself would answer after 30 s
    hold = (await relayed.shown(operation["id"]))["hold"]["reason"]
    assert words in hold
    assert "plain takes writes meanwhile" in hold
    assert es.blocks("plain") == {}
    assert (await relayed.shown(operation["id"]))["writesBlockedSince"] is None
    es.put("/plain/_doc/late?refresh=true", {"n": -1, "new": "field"})
    documents = contents(es, "plain")
    allow(es, dict.fromkeys(settings))
    await relayed.completed("plain")
    assert contents(es, "plain") == documents
    assert es.indices() == {"reindexed-v8-plain"}


async def test_a_filter_of_the_index_itself_that_fits_no_node_any_more_is_named(
    relayed: Service, es: Elastic
) -> None:
    """Also: it is cancelled there, and nothing of it stays."""
    filled(es, "plain", **ALONE)
    es.put("/plain/_settings", {"index.routing.allocation.require.box": "hot"})
    await relayed.post_batch("plain")
    await relayed.holds("plain", 'box:"hot"')
    assert es.blocks("plain") == {}
    assert await relayed.cancel("plain") == 200
    assert (await relayed.ended("plain"))["status"] == 4
    assert es.indices() == {"plain"}
    assert es.aliases("plain") == {}


async def test_a_new_index_without_a_node_makes_room_for_others_where_that_is_wanted(
    elasticsearch_url: str, es: Elastic, sqlite_url: str
) -> None:
    filled(es, "held", **ALONE)
    es.put("/held/_settings", {"index.routing.allocation.require.box": "hot"})
    filled(es, "next", **ALONE)
    skip: dict[str, Any] = {"reindex_hold_policy": "skip", "reindex_hold_skip_seconds": 0.0}
    async with running_service(elasticsearch_url, sqlite_url, **skip) as service:
        await service.post_batch("held", "next")
        await service.completed("next")
        assert es.blocks("held") == {}


async def test_a_closed_source_is_not_touched_while_nothing_may_be_allocated(
    relayed: Service, es: Elastic
) -> None:
    filled(es, "shut", **ALONE)
    documents = contents(es, "shut")
    es.post("/shut/_close")
    allow(es, {"enable": "none"})
    await relayed.post_batch("shut")
    await relayed.holds("shut", "enable: no allocations are allowed")
    assert es.is_closed("shut")
    assert es.blocks("shut") == {}
    allow(es, {"enable": None})
    await relayed.completed("shut")
    es.post("/shut/_open?wait_for_active_shards=1")
    assert contents(es, "shut") == documents


@pytest.mark.wide
async def test_a_new_index_without_a_node_is_waited_for_on_other_series(
    other_series: ElasticsearchServer, sqlite_url: str
) -> None:
    url = emptied(other_series)
    with Elastic(url) as es:
        filled(es, "plain", **ALONE)
        documents = contents(es, "plain")
        allow(es, {"require.zone": "b"})
        async with running_service(url, sqlite_url) as service:
            await service.post_batch("plain")
            await service.holds("plain", "no node may have primary 0 of")
            assert es.blocks("plain") == {}
            allow(es, {"require.zone": None})
            await service.completed("plain")
        assert contents(es, "plain") == documents
