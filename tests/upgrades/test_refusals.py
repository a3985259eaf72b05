"""What fails for good: named in plain words, the source as found, nothing else touched."""

from __future__ import annotations

from testbed.relay import Relay
from tests.elasticsearch import Elastic
from tests.service import Service
from tests.upgrades.midway import POLL, all_copied, filled, held_at
from tests.upgrades.portrait import as_found, contents


async def failed(service: Service, index: str, *words: str) -> None:
    operation = await service.ended(index)
    assert operation["status"] == 2, operation
    for word in words:
        assert word in operation["errorMessage"]


async def test_documents_that_the_target_refuses_fail_the_operation(
    service: Service, es: Elastic
) -> None:
    """One has a value that was left out when it came, and would be refused by now."""
    lenient = {"type": "long", "ignore_malformed": True}
    filled(es, "strict", mappings={"properties": {"n": lenient}, "dynamic": False})
    es.put("/strict/_doc/odd", {"n": "many"})
    strict = {"type": "long", "ignore_malformed": False}
    es.put("/strict/_mapping", {"dynamic": "strict", "properties": {"n": strict}})
    before, documents = as_found(es, "strict"), contents(es, "strict")

    await service.post_batch("strict")
    await failed(service, "strict", "document_parsing_exception", "failed to parse field [n]")
    ended = await service.newest_ended("strict")
    (document,) = (await service.shown(ended["id"]))["failure"]["documents"]
    assert document["id"] == "odd"

    assert es.indices() == {"strict"}
    assert as_found(es, "strict") == before
    assert contents(es, "strict") == documents


async def test_a_target_that_is_there_is_refused_when_it_is_posted(
    service: Service, es: Elastic
) -> None:
    filled(es, "plain")
    filled(es, "reindexed-v8-plain", 3)
    filled(es, "second")
    filled(es, "other", aliases={"reindexed-v8-second": {}})
    answer = await service.post_batch("plain", "second")
    assert answer["enqueued"] == []
    taken, alias = (error["message"] for error in answer["errors"])
    assert taken == "The index reindexed-v8-plain already exists. Please try again."
    assert "reindexed-v8-second is an alias of other" in alias


async def test_a_foreign_target_is_left_alone(relayed: Service, relay: Relay, es: Elastic) -> None:
    """Somebody takes the name between the POST and the creation."""
    filled(es, "plain")
    released = await held_at(relay, ("POST", "^/_create_from"), relayed, "plain")
    filled(es, "reindexed-v8-plain", 3)
    before = [as_found(es, "plain"), as_found(es, "reindexed-v8-plain")]
    released.set()
    await failed(relayed, "plain", "reindexed-v8-plain already exists", "left alone")

    assert [as_found(es, "plain"), as_found(es, "reindexed-v8-plain")] == before
    assert len(contents(es, "reindexed-v8-plain")) == 3


async def test_a_target_name_that_is_an_alias_is_left_alone(
    relayed: Service, relay: Relay, es: Elastic
) -> None:
    filled(es, "plain")
    released = await held_at(relay, ("POST", "^/_create_from"), relayed, "plain")
    filled(es, "other", aliases={"reindexed-v8-plain": {}})
    before = [as_found(es, "plain"), as_found(es, "other")]
    released.set()
    await failed(relayed, "plain", "reindexed-v8-plain", "alias")

    assert [as_found(es, "plain"), as_found(es, "other")] == before


async def test_a_source_deleted_in_mid_copy_leaves_its_only_copy(
    relayed: Service, relay: Relay, es: Elastic
) -> None:
    filled(es, "plain")
    documents = contents(es, "plain")
    released = await held_at(relay, ("GET", POLL), relayed, "plain")
    await all_copied(es)
    es.delete("/plain")
    released.set()
    await failed(relayed, "plain", "plain does not exist")
    assert es.indices() == {"reindexed-v8-plain"}
    assert contents(es, "reindexed-v8-plain") == documents
    assert "target kept" in [event.what for event in await relayed.events("plain")]


async def test_a_source_made_again_in_mid_copy_is_not_touched(
    relayed: Service, relay: Relay, es: Elastic
) -> None:
    filled(es, "plain")
    released = await held_at(relay, ("GET", POLL), relayed, "plain")
    await all_copied(es)
    es.delete("/plain")
    filled(es, "plain", 2)
    new = as_found(es, "plain")
    released.set()
    await failed(relayed, "plain", "plain was deleted and made again")
    assert as_found(es, "plain") == new
    assert len(contents(es, "plain")) == 2
    assert len(contents(es, "reindexed-v8-plain")) == 20


async def test_a_write_during_the_copy_fails_it_and_is_not_lost(
    relayed: Service, relay: Relay, es: Elastic
) -> None:
    filled(es, "plain")
    before = as_found(es, "plain")
    released = await held_at(relay, ("GET", POLL), relayed, "plain")
    es.put("/plain/_settings", {"index.blocks.write": None})
    es.put("/plain/_doc/late", {"n": 4711})
    es.put("/plain/_settings", {"index.blocks.write": True})
    released.set()
    await failed(relayed, "plain", "plain was written to during the copy")
    assert es.indices() == {"plain"}
    assert as_found(es, "plain") == before
    assert len(contents(es, "plain")) == 21


async def test_an_update_during_the_copy_that_leaves_all_counts_equal_fails_it(
    relayed: Service, relay: Relay, es: Elastic
) -> None:
    filled(es, "plain")
    released = await held_at(relay, ("GET", POLL), relayed, "plain")
    await all_copied(es)
    es.put("/plain/_settings", {"index.blocks.write": None})
    es.put("/plain/_doc/3", {"n": 4711})
    es.put("/plain/_settings", {"index.blocks.write": True})
    released.set()
    await failed(relayed, "plain", "plain was written to during the copy")
    assert es.indices() == {"plain"}
    assert es.get("/plain/_doc/3")["_source"] == {"n": 4711}


async def test_a_lifted_write_block_fails_the_operation(
    relayed: Service, relay: Relay, es: Elastic
) -> None:
    filled(es, "plain")
    released = await held_at(relay, ("GET", POLL), relayed, "plain")
    es.put("/plain/_settings", {"index.blocks.write": None})
    released.set()
    await failed(relayed, "plain", "write block of plain")
    assert es.indices() == {"plain"}
    assert es.blocks("plain") == {}


async def test_a_target_that_is_gone_fails_the_operation(
    relayed: Service, relay: Relay, es: Elastic
) -> None:
    filled(es, "plain")
    before = as_found(es, "plain")
    released = await held_at(relay, ("GET", POLL), relayed, "plain")
    await all_copied(es)
    es.delete("/reindexed-v8-plain")
    released.set()
    await failed(relayed, "plain", "target reindexed-v8-plain was deleted")
    assert es.indices() == {"plain"}
    assert as_found(es, "plain") == before
