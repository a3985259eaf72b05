"""What a failed operation leaves in the cluster: nothing of ours that somebody has to tidy up."""

from __future__ import annotations

import json
from typing import Any

import pytest
from aiohttp import web

from testbed.relay import Relay, Seen
from tests.elasticsearch import Elastic
from tests.service import Service, running_service
from tests.store.database import execute
from tests.upgrades.midway import POLL, all_copied, filled, held_at
from tests.upgrades.portrait import as_found, contents

TARGET = "reindexed-v8-plain"


async def test_a_target_that_was_made_and_not_recorded_goes_with_a_cancel(
    relayed: Service, relay: Relay, es: Elastic
) -> None:
    """It is known by its stamp: no look at it succeeds between the creation and its save."""
    filled(es, "plain")
    before = as_found(es, "plain")

    async def without_the_product(request: Seen) -> web.Response:
        answer = await relay.forward(request)
        assert isinstance(answer.body, bytes)
        if TARGET in json.loads(answer.body)["metadata"]["indices"]:
            return web.Response(body=answer.body, content_type="application/json")
        return answer

    relay.when("GET", "^/_cluster/state/metadata/plain,.*mappings(&|$)", without_the_product, None)
    await relayed.post_batch("plain")
    await relayed.holds("plain", "X-Elastic-Product is missing")
    assert es.indices() == {"plain", TARGET}
    assert (await relayed.parts.reading.operation("plain")).target_uuid is None
    assert await relayed.cancel("plain") == 200
    assert (await relayed.ended("plain"))["status"] == 4
    assert es.indices() == {"plain"}
    assert as_found(es, "plain") == before

    relay.clear()
    assert (await relayed.post_batch("plain"))["errors"] == []
    await relayed.completed("plain")


async def test_a_target_kept_after_a_failed_second_proof_has_no_marker(
    relayed: Service, relay: Relay, es: Elastic
) -> None:
    filled(es, "plain")
    released = await held_at(relay, ("POST", "^/_aliases"), relayed, "plain")
    es.put(f"/{TARGET}/_doc/stranger", {"n": 1})
    released.set()
    assert (await relayed.ended("plain"))["status"] == 2
    assert es.indices() == {"plain", TARGET}
    assert es.aliases(TARGET) == {}
    assert es.aliases("plain") == {}


async def test_the_only_copy_of_a_deleted_source_stays_without_a_marker(
    relayed: Service, relay: Relay, es: Elastic
) -> None:
    filled(es, "plain")
    documents = contents(es, "plain")
    released = await held_at(relay, ("POST", "^/_aliases"), relayed, "plain")
    es.delete("/plain")
    released.set()
    assert (await relayed.ended("plain"))["status"] == 2
    assert es.indices() == {TARGET}
    assert es.aliases(TARGET) == {}
    assert contents(es, TARGET) == documents


async def test_a_kept_target_that_somebody_blocked_does_not_hold_the_queue(
    relayed: Service, relay: Relay, es: Elastic
) -> None:
    filled(es, "plain")
    filled(es, "next", 3)
    released = await held_at(relay, ("GET", POLL), relayed, "plain", "next")
    await all_copied(es)
    swap = relay.hold("POST", "^/_aliases")
    released.set()
    await relay.wait_for("POST", "^/_aliases")
    es.delete("/plain")
    block = relay.hold("GET", f"^/_cluster/state/metadata/{TARGET}[?]")
    swap.set()
    await relay.wait_for("GET", f"^/_cluster/state/metadata/{TARGET}[?]")
    es.put(f"/{TARGET}/_settings", {"index.blocks.metadata": True})
    block.set()
    assert (await relayed.ended("plain"))["status"] == 2
    await relayed.completed("next")
    assert "marker left" in [event.what for event in await relayed.events("plain")]


@pytest.mark.parametrize("aliases", [{"also": {}}, {}])
async def test_a_database_of_yesterday_harms_no_index_that_is_in_use_since(
    es: Elastic, elasticsearch_url: str, sqlite_url: str, aliases: dict[str, Any]
) -> None:
    """Where aliases have moved it is seen that all was done; else the new index is left alone."""
    filled(es, "plain", aliases=aliases)
    documents = contents(es, "plain")
    async with running_service(elasticsearch_url, sqlite_url) as service:
        body = {"indexName": "plain", "reindexOptions": {"deleteOldIndex": False}}
        assert (await service.client.post("/api/reindex_service/reindex", json=body)).is_success
        await service.completed("plain")
    es.delete(f"/{TARGET}/_doc/3?refresh=true")
    es.put(f"/{TARGET}/_doc/new?refresh=true", {"n": 1})
    since = contents(es, TARGET)
    execute(
        sqlite_url,
        "UPDATE job SET status = 0, last_completed_step = 40, position = 'plan_copy', "
        "past_return = FALSE, record = json_remove(record, '$.proof'), ended_at = NULL",
    )
    execute(sqlite_url, "UPDATE copy_window SET state = 'planned', seen = 0")
    async with running_service(elasticsearch_url, sqlite_url) as service:
        assert (await service.ended("plain"))["status"] == (1 if aliases else 2)
        whats = [event.what for event in await service.events("plain")]
        assert ("target kept" in whats) is not bool(aliases)
    assert contents(es, TARGET) == since
    assert contents(es, "plain") == documents
    assert es.aliases(TARGET) == aliases
    assert es.aliases("plain") == {}
