"""Settings that an index or a cluster lives with, and that would forbid to copy it."""

from __future__ import annotations

from typing import Any

import pytest

from testbed.relay import Relay
from tests.elasticsearch import Elastic
from tests.service import Service, running_service
from tests.upgrades.midway import filled
from tests.upgrades.portrait import contents, made_anew

FORBIDDING: dict[str, dict[str, Any]] = {
    "no slices": {"index.max_slices_per_scroll": "1"},
    "fewer slices than shards": {"index.max_slices_per_scroll": "2"},
    "one shard a node": {"index.routing.allocation.total_shards_per_node": "1"},
    "no allocation": {"index.routing.allocation.enable": "none"},
    "small pages": {"index.max_result_window": "7"},
}
TASKS = {"reindex_synchronous_documents": 0, "reindex_window_documents": 20}


@pytest.mark.parametrize(
    ("copied_by", "proof"), [({}, "sample"), (TASKS, "full")], ids=["one request", "tasks"]
)
@pytest.mark.parametrize("forbidding", FORBIDDING.values(), ids=FORBIDDING.keys())
async def test_settings_that_forbid_a_copy_are_overridden_and_given_back(
    es: Elastic,
    elasticsearch_url: str,
    sqlite_url: str,
    forbidding: dict[str, Any],
    copied_by: dict[str, Any],
    proof: str,
) -> None:
    filled(es, "plain", 150, settings={"number_of_shards": 3, "number_of_replicas": 0})
    es.put("/plain/_settings", forbidding)
    es.request("GET", "/_cluster/health?wait_for_no_initializing_shards=true&timeout=5s")
    before = made_anew(es, "plain"), contents_by_pages(es, "plain")
    async with running_service(
        elasticsearch_url, sqlite_url, reindex_proof=proof, **copied_by
    ) as service:
        await service.post_batch("plain")
        await service.completed("plain")
        assert "window runs again" not in [event.what for event in await service.events("plain")]
    assert es.indices() == {"reindexed-v8-plain"}
    after = made_anew(es, "reindexed-v8-plain"), contents_by_pages(es, "reindexed-v8-plain")
    assert after == before


@pytest.mark.wide
@pytest.mark.timeout(240)
async def test_settings_that_ask_for_more_active_copies_than_there_are_do_not_stop_a_copy(
    es: Elastic, service: Service
) -> None:
    """Elasticsearch waits a minute for them when the write block is put on (8.19)."""
    filled(es, "plain", 20, settings={"number_of_replicas": 1})
    es.put("/plain/_settings", {"index.write.wait_for_active_shards": "all"})
    before = made_anew(es, "plain"), contents(es, "plain")
    await service.post_batch("plain")
    await service.completed("plain", seconds=200)
    assert (made_anew(es, "plain"), contents(es, "plain")) == before


def contents_by_pages(es: Elastic, index: str) -> list[Any]:
    """As `contents`, also where fewer are allowed at a time."""
    allowed = es.settings(index).get("index.max_result_window")
    if allowed is None:
        return contents(es, index)
    found = [es.get(f"/{index}/_doc/{n}") for n in range(150)]
    return [(hit["_id"], hit["_version"], hit["_source"]) for hit in found]


async def test_settings_that_forbid_to_allocate_do_not_stop_a_kept_copy_and_its_rollback(
    es: Elastic, service: Service
) -> None:
    filled(es, "plain", 20, settings={"number_of_shards": 2, "number_of_replicas": 0})
    forbidding = {
        "index.routing.allocation.total_shards_per_node": "1",
        "index.routing.allocation.enable": "none",
    }
    es.put("/plain/_settings", forbidding)
    before, documents = es.settings("plain"), contents(es, "plain")
    await service.post_options({"index": "plain", "keepOldIndex": True})
    await service.completed("plain")
    operation = await service.newest("plain")
    assert operation
    assert (await service.roll_back(operation["id"])).status_code == 200
    await service.state_of(operation["id"], "rolledBack")
    (only,) = es.indices()
    after = es.settings(only)
    kept = ("index.number_of_replicas", *forbidding)
    assert {key: after.get(key) for key in kept} == {key: before.get(key) for key in kept}
    assert contents(es, only) == documents


@pytest.mark.parametrize("copied_by", [{}, TASKS], ids=["one request", "tasks"])
@pytest.mark.parametrize("rate", [None, 1_000.0], ids=["no limit", "limited"])
async def test_a_cluster_that_lets_search_contexts_rest_for_a_short_time_only_is_heeded(
    es: Elastic, relay: Relay, sqlite_url: str, copied_by: dict[str, Any], rate: float | None
) -> None:
    filled(es, "plain", 60, settings={"number_of_shards": 2})
    before = contents(es, "plain")
    short = {"search.default_keep_alive": "20s", "search.max_keep_alive": "30s"}
    es.put("/_cluster/settings", {"persistent": short})
    try:
        async with running_service(
            relay.url, sqlite_url, reindex_requests_per_second=rate, **copied_by
        ) as service:
            await service.post_batch("plain")
            await service.completed("plain")
            whats = [event.what for event in await service.events("plain")]
            assert "window runs again" not in whats
    finally:
        es.put("/_cluster/settings", {"persistent": dict.fromkeys(short)})
    assert contents(es, "plain") == before
