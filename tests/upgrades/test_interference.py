"""What others do to the indices while they are copied: seen before harm is done, and told.

`test_refusals.py` has more of it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from typing import Any

import pytest

from testbed.relay import Relay
from tests.elasticsearch import Elastic
from tests.service import Service, running_service
from tests.upgrades.midway import POLL, all_copied, crawl, filled, held_at
from tests.upgrades.portrait import as_found, contents

TARGET = "reindexed-v8-plain"
TYPED: dict[str, Any] = {"mappings": {"properties": {"n": {"type": "keyword"}}}}
ALONE = {"number_of_replicas": 0}


@pytest.fixture
async def slow(relay: Relay, sqlite_url: str) -> AsyncGenerator[Service]:
    """A service that copies document by document, so that `crawl` can slow it down."""
    async with running_service(relay.url, sqlite_url, reindex_batch_documents=1) as running:
        yield running


async def copied(service: Service, relay: Relay, es: Elastic) -> asyncio.Event:
    """Posts `plain` and waits until it is copied; nobody has looked yet: what lets that happen."""
    released = await held_at(relay, ("GET", POLL), service, "plain")
    await all_copied(es)
    return released


async def copying(service: Service, relay: Relay, es: Elastic) -> None:
    """Posts `plain` and waits until its copy is running, a document a second."""
    crawl(relay)
    await service.post_batch("plain")
    await relay.wait_for("GET", POLL)
    assert es.copy_tasks()


async def failed(service: Service, code: str, *words: str) -> dict[str, Any]:
    """Waits until `plain` has failed as interference of that kind, and answers it whole."""
    operation = await service.ended("plain")
    assert operation["status"] == 2, operation
    for word in words:
        assert word in operation["errorMessage"]
    newest = await service.client.get("/api/v1/operations?index=plain&order=desc&limit=1")
    shown = await service.shown(newest.json()["operations"][0]["id"])
    assert (shown["error"]["code"], shown["failure"]["class"]) == (code, "interference")
    assert shown["failure"]["remedy"]
    return shown


async def test_a_source_deleted_while_it_is_copied_leaves_what_there_is_of_its_copy(
    slow: Service, relay: Relay, es: Elastic
) -> None:
    filled(es, "plain", settings=ALONE)
    await copying(slow, relay, es)
    es.delete("/plain")
    await failed(slow, "source_missing", "Index plain does not exist")
    assert es.indices() == {TARGET}
    assert es.copy_tasks() == []
    assert "target kept" in [event.what for event in await slow.events("plain")]


async def test_a_source_closed_while_it_is_copied_stays_closed_and_whole(
    slow: Service, relay: Relay, es: Elastic
) -> None:
    filled(es, "plain", settings=ALONE)
    documents = contents(es, "plain")
    await copying(slow, relay, es)
    es.post("/plain/_close")
    await failed(slow, "source_closed", "Somebody closed plain", "Open it")
    assert es.indices() == {"plain"}
    assert es.is_closed("plain")
    assert es.blocks("plain") == {}
    es.post("/plain/_open?wait_for_active_shards=1")
    assert contents(es, "plain") == documents
    assert es.copy_tasks() == []


async def test_a_target_deleted_in_mid_copy_comes_back_and_is_never_swapped_in(
    slow: Service, relay: Relay, es: Elastic
) -> None:
    """The running `_reindex` makes it again with dynamic mappings, and all counts would agree."""
    filled(es, "plain", settings=ALONE, **TYPED)
    before, documents = as_found(es, "plain"), contents(es, "plain")
    await copying(slow, relay, es)
    es.delete(f"/{TARGET}")
    (task,) = es.copy_tasks()
    es.post(f"/_reindex/{task['node']}:{task['id']}/_rethrottle?requests_per_second=-1")
    shown = await failed(slow, "target_replaced", "still writing", "left alone")
    assert "Remove or rename it" in shown["failure"]["remedy"]
    assert es.get(f"/{TARGET}/_mapping")[TARGET]["mappings"] != TYPED["mappings"]
    assert as_found(es, "plain") == before
    assert contents(es, "plain") == documents

    es.delete(f"/{TARGET}")
    assert (await slow.client.post(f"/api/v1/operations/{shown['id']}/retry")).status_code == 200
    await slow.completed("plain")
    assert contents(es, "plain") == documents
    assert es.get(f"/{TARGET}/_mapping")[TARGET]["mappings"] == TYPED["mappings"]


async def test_a_changed_setting_or_mapping_of_the_target_is_told_by_name(
    relayed: Service, relay: Relay, es: Elastic
) -> None:
    filled(es, "plain", settings=ALONE)
    before = as_found(es, "plain")
    released = await copied(relayed, relay, es)
    es.put(f"/{TARGET}/_settings", {"index.max_result_window": 99})
    released.set()
    await failed(relayed, "target_changed", "max_result_window")
    assert es.indices() == {"plain"}
    assert as_found(es, "plain") == before


async def test_a_template_added_during_the_copy_changes_nothing(
    relayed: Service, relay: Relay, es: Elastic
) -> None:
    filled(es, "plain", settings=ALONE, aliases={"also": {}})
    documents = contents(es, "plain")
    released = await copied(relayed, relay, es)
    template: dict[str, Any] = {"aliases": {"everything": {}}, "mappings": {"dynamic": "strict"}}
    es.put("/_index_template/late", {"index_patterns": [TARGET, "plain"], "template": template})
    released.set()
    await relayed.completed("plain")
    assert es.aliases(TARGET).keys() == {"plain", "also"}
    assert contents(es, "plain") == documents


async def test_a_source_deleted_as_its_target_is_made_is_named_as_the_reason(
    relayed: Service, relay: Relay, es: Elastic
) -> None:
    filled(es, "plain", settings=ALONE)
    released = await held_at(relay, ("POST", "^/_create_from"), relayed, "plain")
    es.delete("/plain")
    released.set()
    await failed(relayed, "source_missing", "Index plain does not exist")
    assert es.indices() == set()
