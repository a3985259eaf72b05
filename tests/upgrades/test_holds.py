"""Trouble that passes: the operation waits, says for what, and goes on by itself."""

from __future__ import annotations

from typing import Any

import pytest

from testbed.elasticsearch import ElasticsearchServer
from testbed.relay import Relay
from tests.conditions import eventually
from tests.elasticsearch import Elastic
from tests.service import Service
from tests.upgrades.midway import POLL, Removal, filled, give_primary, held_at, take_primary
from tests.upgrades.portrait import contents, made_anew

BUSY: dict[str, Any] = {"error": {"type": "es_rejected_execution_exception", "reason": "full"}}
FULL_DISK: dict[str, Any] = {"error": {"type": "cluster_block_exception", "reason": "disk"}}
NO_MASTER: dict[str, Any] = {"error": {"type": "master_not_discovered_exception"}}
LOGIN = "<html><body>Please log in</body></html>"


async def held_and_went_on(service: Service, es: Elastic, why: str) -> None:
    """Checks that the operation held for that reason, then completed without a trace of it."""
    await service.completed("plain")
    events = await service.events("plain")
    (reason,) = {event.text for event in events if event.what == "holds"}
    assert why in reason
    assert "goes on" in [event.what for event in events]
    operation = await service.parts.reading.operation("plain")
    assert operation.hold_reason is None
    assert operation.attempts == 0
    assert es.indices() == {"reindexed-v8-plain"}


@pytest.mark.parametrize(
    ("method", "path", "status", "body", "why"),
    [
        ("PUT", "^/plain/_block/write", 429, FULL_DISK, "429 cluster_block_exception"),
        ("POST", "^/_create_from", 200, LOGIN, "not as Elasticsearch does"),
        ("POST", "^/_reindex", 429, BUSY, "429 es_rejected_execution_exception"),
        ("GET", POLL, 502, LOGIN, "502"),
        ("POST", "^/reindexed-v8-plain/_search", 503, BUSY, "503 es_rejected_execution_exception"),
        ("POST", "^/_aliases", 503, NO_MASTER, "503 master_not_discovered_exception"),
        ("GET", "^/_cluster/state/metadata/reindexed-v8-plain", 404, LOGIN, "answered with 404"),
    ],
)
async def test_an_answer_that_is_not_a_no_is_a_hold(
    relayed: Service,
    relay: Relay,
    es: Elastic,
    method: str,
    path: str,
    status: int,
    body: dict[str, Any] | str,
    why: str,
) -> None:
    filled(es, "plain")
    documents, make = contents(es, "plain"), made_anew(es, "plain")
    relay.answer(method, path, status, body)
    await relayed.post_batch("plain")
    await held_and_went_on(relayed, es, why)
    assert contents(es, "plain") == documents
    assert made_anew(es, "plain") == make


@pytest.mark.parametrize("status", [301, 307])
async def test_a_redirect_is_a_hold_and_is_not_followed(
    relayed: Service, relay: Relay, es: Elastic, status: int
) -> None:
    filled(es, "plain")
    es.put("/elsewhere")
    relay.redirect("PUT", "^/plain/_block", f"{es.url}/elsewhere/_block/write", status)
    await relayed.post_batch("plain")
    await relayed.completed("plain")
    (reason,) = {e.text for e in await relayed.events("plain") if e.what == "holds"}
    assert "redirect" in reason
    assert es.blocks("elsewhere") == {}


async def test_a_cluster_that_goes_away_in_mid_copy_is_waited_for(
    relayed: Service, relay: Relay, es: Elastic
) -> None:
    filled(es, "plain")
    documents = contents(es, "plain")
    relay.hold("GET", POLL)
    await relayed.post_batch("plain")
    await relay.wait_for("GET", POLL)
    relay.refuse()
    await relayed.holds("plain", "cannot be reached")
    assert (await relayed.operation("plain"))["status"] == 0
    relay.accept()
    await held_and_went_on(relayed, es, "cannot be reached")
    assert contents(es, "plain") == documents


async def test_a_cluster_that_goes_away_during_an_undo_is_waited_for(
    relayed: Service, relay: Relay, es: Elastic
) -> None:
    filled(es, "plain")
    removal, released = Removal(relay), relay.hold("GET", POLL)
    await relayed.post_batch("plain")
    await relay.wait_for("GET", POLL)
    assert await relayed.cancel("plain") == 200
    released.set()
    await removal.arrived.wait()
    relay.refuse()
    await relayed.holds("plain", "cannot be reached")
    assert (await relayed.operation("plain"))["status"] == 0
    removal.released.set()
    relay.accept()
    assert (await relayed.ended("plain"))["status"] == 4
    assert es.indices() == {"plain"}
    assert es.blocks("plain") == {}
    assert es.aliases("plain") == {}


async def test_a_snapshot_of_the_source_delays_the_swap(
    relayed: Service, relay: Relay, es: Elastic, elasticsearch_server: ElasticsearchServer
) -> None:
    filled(es, "plain", 5000)
    settings = {
        "location": str(elasticsearch_server.repository / "slow"),
        "max_snapshot_bytes_per_sec": "50kb",
    }
    es.put("/_snapshot/slow", {"type": "fs", "settings": settings})
    removal = Removal(relay)
    await relayed.post_batch("plain")
    await removal.arrived.wait()
    es.put("/_snapshot/slow/one?wait_for_completion=false", {"indices": "plain"})
    removal.released.set()
    await relayed.holds("plain", "snapshot_in_progress_exception")
    assert "plain" in es.indices()

    async def taken() -> bool:
        return es.get("/_snapshot/slow/one")["snapshots"][0]["state"] == "SUCCESS"

    await held_and_went_on(relayed, es, "snapshot_in_progress_exception")
    await eventually(taken, "the snapshot is complete")
    assert es.get("/plain/_count")["count"] == 5000


async def test_without_as_many_active_copies_as_the_source_had_there_is_no_swap(
    relayed: Service, relay: Relay, es: Elastic
) -> None:
    filled(es, "plain", settings={"number_of_shards": 2})
    health = "^/_cluster/health/reindexed-v8-plain"
    relay.answer("GET", health, 200, {"active_shards": 1}, times=None)
    await relayed.post_batch("plain")
    await relayed.holds("plain", "reindexed-v8-plain has 1 of 2 shard copies active")
    await relay.wait_for("GET", health, times=4)
    assert not [seen for seen in relay.seen if b"remove_index" in seen.body]
    assert es.indices() == {"plain", "reindexed-v8-plain"}
    relay.clear()
    await held_and_went_on(relayed, es, "1 of 2 shard copies active")


async def test_a_source_whose_shard_is_away_is_waited_for(
    relayed: Service, relay: Relay, es: Elastic
) -> None:
    filled(es, "plain")
    documents = contents(es, "plain")
    released = await held_at(relay, ("POST", "^/_reindex"), relayed, "plain")
    take_primary(es, "plain")
    released.set()
    await relay.wait_for("GET", POLL, times=3)
    assert (await relayed.parts.reading.operation("plain")).runs
    give_primary(es)
    await relayed.completed("plain")
    assert contents(es, "plain") == documents
