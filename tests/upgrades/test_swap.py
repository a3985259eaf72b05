"""The swap: what is true at that moment, proven again where time has passed, and guarded."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from aiohttp import web

from testbed.relay import Relay, Seen
from tests.elasticsearch import Elastic
from tests.service import Service
from tests.upgrades.midway import POLL, Removal, all_copied, filled, held_at
from tests.upgrades.portrait import as_found, contents

SWAP = "^/_aliases"


async def test_the_aliases_of_that_moment_move(relayed: Service, relay: Relay, es: Elastic) -> None:
    filled(es, "plain", aliases={"gone": {}, "changed": {}})
    released = await held_at(relay, ("GET", POLL), relayed, "plain")
    actions = [
        {"remove": {"index": "plain", "alias": "gone"}},
        {"add": {"index": "plain", "alias": "changed", "routing": "7"}},
        {"add": {"index": "plain", "alias": "new", "is_hidden": True}},
    ]
    es.post("/_aliases", {"actions": actions})
    released.set()
    await relayed.completed("plain")
    assert es.aliases("reindexed-v8-plain") == {
        "plain": {"is_hidden": False},
        "changed": {"index_routing": "7", "search_routing": "7"},
        "new": {"is_hidden": True},
    }


async def test_a_target_written_to_after_the_proof_is_kept_and_removed_by_the_retry(
    relayed: Service, relay: Relay, es: Elastic
) -> None:
    filled(es, "plain")
    before, documents = as_found(es, "plain"), contents(es, "plain")
    released = await held_at(relay, ("POST", SWAP), relayed, "plain")
    es.put("/reindexed-v8-plain/_doc/stranger", {"n": 1})
    released.set()
    operation = await relayed.ended("plain")
    assert operation["status"] == 2
    assert "plain has 20 documents" in operation["errorMessage"]
    assert "reindexed-v8-plain has 21" in operation["errorMessage"]
    assert es.indices() == {"plain", "reindexed-v8-plain"}
    assert as_found(es, "plain") == before

    await relayed.post_batch("plain")
    await relayed.completed("plain")
    assert es.indices() == {"reindexed-v8-plain"}
    assert contents(es, "plain") == documents
    assert es.aliases("plain").keys() == {"plain"}
    removals = [s.body for s in relay.seen if s.path.startswith("/_aliases")]
    assert all(b"must_exist" in body for body in removals if b"remove_index" in body)
    assert not [s.path for s in relay.seen if s.method == "DELETE"]


def use(es: Elastic) -> None:
    es.put("/reindexed-v8-plain/_alias/accepted")


def make_another(es: Elastic) -> None:
    es.delete("/plain")
    filled(es, "plain", 1)


@pytest.mark.parametrize("done", [use, make_another])
async def test_a_kept_target_that_may_be_needed_is_not_removed_by_the_retry(
    relayed: Service, relay: Relay, es: Elastic, done: Callable[[Elastic], None]
) -> None:
    filled(es, "plain")
    released = await held_at(relay, ("POST", SWAP), relayed, "plain")
    es.put("/reindexed-v8-plain/_doc/stranger", {"n": 1})
    released.set()
    assert (await relayed.ended("plain"))["status"] == 2
    done(es)
    await relayed.post_batch("plain")
    ended = await relayed.ended("plain")
    assert ended["status"] == 2
    assert "already exists" in ended["errorMessage"]
    assert len(es.documents("reindexed-v8-plain")) == 21


async def test_a_target_that_still_holds_the_documents_is_proven_again_and_swapped(
    relayed: Service, relay: Relay, es: Elastic
) -> None:
    filled(es, "plain")
    documents = contents(es, "plain")
    released = await held_at(relay, ("POST", SWAP), relayed, "plain")
    es.put("/reindexed-v8-plain/_doc/stranger", {"n": 1})
    es.delete("/reindexed-v8-plain/_doc/stranger")
    released.set()
    await relayed.completed("plain")
    assert contents(es, "plain") == documents
    whats = [event.what for event in await relayed.events("plain")]
    assert whats.count("proven") == 2


async def test_a_source_written_to_after_the_proof_is_not_removed(
    relayed: Service, relay: Relay, es: Elastic
) -> None:
    filled(es, "plain")
    released = await held_at(relay, ("POST", SWAP), relayed, "plain")
    es.put("/plain/_settings", {"index.blocks.write": None})
    es.put("/plain/_doc/3", {"n": 4711})
    es.put("/plain/_settings", {"index.blocks.write": True})
    released.set()
    operation = await relayed.ended("plain")
    assert operation["status"] == 2
    assert es.indices() == {"plain"}
    assert es.blocks("plain") == {}
    assert es.get("/plain/_doc/3")["_source"] == {"n": 4711}


async def test_the_old_name_as_an_alias_of_another_index_stops_the_swap(
    relayed: Service, relay: Relay, es: Elastic
) -> None:
    filled(es, "plain")
    es.put("/other")
    released = await held_at(relay, ("POST", SWAP), relayed, "plain")
    es.delete("/plain")
    es.put("/other/_alias/plain")
    released.set()
    operation = await relayed.ended("plain")
    assert operation["status"] == 2
    assert es.aliases("other").keys() == {"plain"}
    assert es.indices() == {"other", "reindexed-v8-plain"}
    assert len(contents(es, "reindexed-v8-plain")) == 20


async def test_the_source_stays_if_the_target_is_replaced_in_the_last_moment(
    relayed: Service, relay: Relay, es: Elastic
) -> None:
    """The marker is on the target that was proven; the one that has its name now has none."""
    filled(es, "plain", aliases={"also": {}})
    before, documents = as_found(es, "plain"), contents(es, "plain")
    removal = Removal(relay)
    await relayed.post_batch("plain")
    await removal.arrived.wait()
    es.delete("/reindexed-v8-plain")
    filled(es, "reindexed-v8-plain", 1)
    removal.released.set()
    operation = await relayed.ended("plain")
    assert es.indices() == {"plain", "reindexed-v8-plain"}
    assert operation["status"] == 2
    assert as_found(es, "plain") == before
    assert contents(es, "plain") == documents
    assert es.aliases("reindexed-v8-plain") == {}
    assert len(contents(es, "reindexed-v8-plain")) == 1


async def test_a_name_that_is_shared_as_soon_as_it_is_an_alias_was_swapped_all_the_same(
    relayed: Service, relay: Relay, es: Elastic
) -> None:
    filled(es, "plain")
    filled(es, "more", 3)

    async def swap_and_share(request: Seen) -> web.Response | None:
        answer = await relay.forward(request)
        if b"remove_index" in request.body:
            es.put("/more/_alias/plain")
            return None
        return answer

    relay.when("POST", "^/_aliases", swap_and_share, None)
    await relayed.post_batch("plain")
    await relayed.completed("plain")
    assert es.indices() == {"more", "reindexed-v8-plain"}
    assert es.aliases("reindexed-v8-plain").keys() == {"plain"}


@pytest.mark.parametrize("again", [True, False], ids=["made again", "gone"])
async def test_the_target_stays_if_the_source_goes_in_the_last_moment_of_an_undo(
    relayed: Service, relay: Relay, es: Elastic, again: bool
) -> None:
    filled(es, "plain")
    documents = contents(es, "plain")
    removal, released = Removal(relay), relay.hold("GET", POLL)
    await relayed.post_batch("plain")
    await relay.wait_for("GET", POLL)
    await all_copied(es)
    assert await relayed.cancel("plain") == 200
    released.set()
    await removal.arrived.wait()
    es.delete("/plain")
    if again:
        filled(es, "plain", 1)
    removal.released.set()
    operation = await relayed.ended("plain")
    assert es.indices() == {"reindexed-v8-plain", *(["plain"] if again else [])}
    assert operation["status"] == 4
    assert contents(es, "reindexed-v8-plain") == documents
    assert "target kept" in [event.what for event in await relayed.events("plain")]
    if again:
        assert es.blocks("plain") == {}
        assert es.aliases("plain") == {}


async def test_a_filter_that_is_not_parsed_any_more_is_found_before_the_write_block(
    service: Service, es: Elastic
) -> None:
    """Here for want of its script; after an upgrade for want of a query (`test_upgrade_chain`)."""
    script = {"script": {"lang": "painless", "source": "doc['n'].value > 1"}}
    es.put("/_scripts/more", script)
    query = {"script": {"script": {"id": "more"}}}
    filled(es, "plain", aliases={"more": {"filter": query}, "all": {}})
    es.delete("/_scripts/more")
    before = as_found(es, "plain")

    body = {"indices": [{"index": "plain"}]}
    (planned,) = (await service.client.post("/api/v1/plan", json=body)).json()["indices"]
    (blocker,) = planned["blockers"]
    await service.post_batch("plain")
    operation = await service.ended("plain")
    assert (operation["status"], operation["lastCompletedStep"]) == (2, 0)
    for text in (blocker["message"], operation["errorMessage"]):
        assert "The alias more of plain has a filter" in text
        assert '"id": "more"' in text
        assert "POST _aliases" in text
    assert as_found(es, "plain") == before
    assert "write block added" not in [event.what for event in await service.events("plain")]

    es.put("/_scripts/more", script)
    await service.post_batch("plain")
    await service.completed("plain")
    assert es.get("/more/_count")["count"] == 18


async def test_aliases_that_move_alone_move_to_nothing_but_what_was_proven(
    relayed: Service, relay: Relay, es: Elastic
) -> None:
    """With `deleteOldIndex: false` the old index keeps its name, so nothing is removed."""
    filled(es, "plain", aliases={"also": {}})
    before = as_found(es, "plain")
    place = ("PUT", "^/reindexed-v8-plain/_settings")
    released = relay.hold(*place)
    body = {"indexName": "plain", "reindexOptions": {"deleteOldIndex": False}}
    assert (await relayed.client.post("/api/reindex_service/reindex", json=body)).is_success
    await relay.wait_for(*place)
    es.put("/reindexed-v8-plain/_doc/stranger", {"n": 1})
    released.set()
    operation = await relayed.ended("plain")
    assert operation["status"] == 2
    assert "reindexed-v8-plain has 21" in operation["errorMessage"]
    assert es.aliases("plain").keys() == {"also"}
    assert es.aliases("reindexed-v8-plain") == {}
    assert as_found(es, "plain") == before
