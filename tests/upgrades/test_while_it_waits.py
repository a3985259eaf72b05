"""What is done to an index between its POST and its turn, and to the cluster meanwhile."""

from __future__ import annotations

import asyncio
from typing import Any

from testbed.relay import Relay
from tests.elasticsearch import Elastic
from tests.service import Service
from tests.upgrades.midway import POLL, filled, held_at
from tests.upgrades.portrait import as_found, contents, made_anew

ALONE = {"number_of_replicas": 0}


async def failed(service: Service, name: str, *words: str) -> None:
    operation = await service.ended(name)
    assert (operation["status"], operation["lastCompletedStep"]) == (2, 0)
    for word in words:
        assert word in operation["errorMessage"]


async def test_what_became_of_an_index_in_the_queue_is_seen_when_its_turn_comes(
    relayed: Service, relay: Relay, es: Elastic
) -> None:
    names = ["head", "deleted", "remade", "renamed", "shut", "aliased", "templated", "taken", "end"]
    for name in names:
        filled(es, name, 3, settings=ALONE)
    released = await held_at(relay, ("PUT", "^/head/_block/write"), relayed, *names)

    es.delete("/deleted")
    es.delete("/remade")
    filled(es, "remade", 5, settings=ALONE)
    es.delete("/renamed")
    filled(es, "other", 1, aliases={"renamed": {}})
    es.post("/shut/_close")
    es.put("/shut/_settings", {"index.hidden": True, "index.blocks.metadata": True})
    es.put("/aliased/_alias/late", {"routing": "7"})
    template: dict[str, Any] = {
        "index_patterns": ["reindexed-v8-templated"],
        "template": {"mappings": {"properties": {"intruder": {"type": "keyword"}}}},
    }
    es.put("/_index_template/late", template)
    filled(es, "reindexed-v8-taken", 2)
    untouched = ["other", "templated", "taken", "reindexed-v8-taken"]
    before = {name: as_found(es, name) for name in untouched}
    released.set()

    await relayed.completed("head", "remade", "shut", "aliased", "end")
    await failed(relayed, "deleted", "Index deleted does not exist")
    await failed(relayed, "renamed", "renamed is an alias of other")
    await failed(relayed, "templated", "intruder")
    await failed(relayed, "taken", "reindexed-v8-taken already exists", "left alone")
    assert {name: as_found(es, name) for name in untouched} == before
    assert len(contents(es, "remade")) == 5
    assert es.is_closed("reindexed-v8-shut")
    assert es.blocks("reindexed-v8-shut") == {"index.blocks.metadata": "true"}
    assert es.aliases("reindexed-v8-aliased")["late"] == {
        "index_routing": "7",
        "search_routing": "7",
    }
    done = {f"reindexed-v8-{name}" for name in ("head", "remade", "shut", "aliased", "end")}
    assert es.indices() == done | set(untouched)


def limit_shards(es: Elastic, number: int | None) -> None:
    es.put("/_cluster/settings", {"persistent": {"cluster.max_shards_per_node": number}})


async def test_a_cluster_that_is_full_of_shards_is_waited_for_at_every_step_that_adds_some(
    relayed: Service, es: Elastic
) -> None:
    """Making the target, opening a closed source, putting the replicas back."""
    filled(es, "first", 1, settings=ALONE)
    await relayed.post_batch("first")  # its task's result makes .tasks
    await relayed.completed("first")
    filled(es, "shut", 5, settings={"number_of_replicas": 1})
    documents, make = contents(es, "shut"), made_anew(es, "shut")
    es.post("/shut/_close")

    limit_shards(es, 2)
    await relayed.post_batch("shut")
    await relayed.holds("shut", "this action would add [1]")
    assert es.blocks("shut") == {}
    limit_shards(es, 3)
    await relayed.holds("shut", "this action would add [2]")
    limit_shards(es, 5)
    await relayed.holds("shut", "this action would add [1]")
    assert (await relayed.operation("shut"))["lastCompletedStep"] == 50
    limit_shards(es, 6)
    await relayed.completed("shut")
    es.post("/shut/_open?wait_for_active_shards=1")
    assert contents(es, "shut") == documents
    assert made_anew(es, "reindexed-v8-shut") == make


async def test_a_result_that_cannot_be_kept_is_waited_for_and_the_part_is_copied_again(
    relayed: Service, relay: Relay, es: Elastic
) -> None:
    filled(es, "plain", settings=ALONE)
    documents = contents(es, "plain")
    released = await held_at(relay, ("POST", "^/_reindex"), relayed, "plain")
    limit_shards(es, 2)  # there is no room for .tasks
    released.set()
    await relayed.holds("plain", "left no result in the index .tasks")
    limit_shards(es, None)
    await relayed.completed("plain")
    assert contents(es, "plain") == documents


async def test_a_cluster_that_was_made_read_only_is_waited_for(
    relayed: Service, relay: Relay, es: Elastic
) -> None:
    def read_only(on: bool | None) -> None:
        es.put("/_cluster/settings", {"persistent": {"cluster.blocks.read_only": on}})

    filled(es, "plain")
    documents = contents(es, "plain")
    read_only(on=True)
    await relayed.post_batch("plain")
    await relayed.holds("plain", "cluster read-only")
    assert es.indices() == {"plain"}
    assert es.blocks("plain") == {}
    restores = ("PUT", "^/reindexed-v8-plain/_settings")
    released = relay.hold(*restores)
    read_only(on=None)
    await relay.wait_for(*restores)
    read_only(on=True)
    released.set()
    await relayed.holds("plain", "cluster read-only")
    assert es.indices() >= {"plain", "reindexed-v8-plain"}
    read_only(on=None)
    await relayed.completed("plain")
    assert contents(es, "plain") == documents


async def test_an_alias_that_only_looks_like_a_marker_moves_along(
    service: Service, es: Elastic
) -> None:
    filled(es, "plain", aliases={".rq-of-somebody": {"is_hidden": True}})
    await service.post_batch("plain")
    await service.completed("plain")
    assert es.aliases("reindexed-v8-plain").keys() == {"plain", ".rq-of-somebody"}


async def test_an_operation_that_ends_during_a_post_of_its_index_is_not_followed_by_another(
    relayed: Service, relay: Relay, es: Elastic
) -> None:
    """It is live when the POST begins, so nobody looks whether the index may be queued."""
    filled(es, "ending")
    filled(es, "other")
    ending, looking = relay.hold("GET", POLL), relay.hold("GET", "other")
    await relayed.post_batch("ending")
    await relay.wait_for("GET", POLL)
    posting = asyncio.create_task(relayed.post_batch("ending", "other"))
    await relay.wait_for("GET", "other")
    ending.set()
    await relayed.completed("ending")
    looking.set()
    answer = await posting
    assert [operation["indexName"] for operation in answer["enqueued"]] == ["other"]
    (refused,) = answer["errors"]
    assert (refused["indexName"], "already in-progress" in refused["message"]) == ("ending", True)
    await relayed.completed("other")
    assert (await relayed.operation("ending"))["status"] == 1
