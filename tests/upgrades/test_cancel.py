"""Cancelled before the swap, an index is as it was found; after the swap it is too late."""

from __future__ import annotations

import pytest
from aiohttp import web

from testbed.relay import Relay, Seen
from tests.conditions import eventually
from tests.elasticsearch import Elastic
from tests.service import Service, running_service
from tests.upgrades.midway import (
    POLL,
    Removal,
    crawl,
    filled,
    give_primary,
    held_at,
    take_primary,
)
from tests.upgrades.portrait import as_found, contents

PLACES = {
    "block": ("PUT", "^/plain/_block/write"),
    "create": ("POST", "^/_create_from"),
    "start": ("POST", "^/_reindex"),
    "poll": ("GET", POLL),
    "prove": ("POST", "^/reindexed-v8-plain/_refresh"),
    "restore": ("PUT", "^/reindexed-v8-plain/_settings"),
}


@pytest.mark.parametrize("place", PLACES)
async def test_cancelled_at_a_step_the_source_is_as_it_was_found(
    relayed: Service, relay: Relay, es: Elastic, place: str
) -> None:
    filled(es, "plain", aliases={"also": {"filter": {"term": {"n": 1}}}})
    documents = contents(es, "plain")
    closed = place != "start"
    if closed:
        es.post("/plain/_close")
        es.put("/plain/_settings", {"index.blocks.read_only": True})
    before = as_found(es, "plain")
    released = await held_at(relay, PLACES[place], relayed, "plain")

    assert await relayed.cancel("plain") == 200
    released.set()
    operation = await relayed.ended("plain")

    assert operation["status"] == 4
    assert es.indices() == {"plain"}
    assert as_found(es, "plain") == before
    assert es.copy_tasks() == []
    if closed:
        es.put("/plain/_settings", {"index.blocks.read_only": None})
        es.post("/plain/_open?wait_for_active_shards=1")
    assert contents(es, "plain") == documents
    assert es.aliases("plain") == {"also": {"filter": {"term": {"n": 1}}}}


@pytest.mark.parametrize("cancelled", [True, False])
async def test_a_block_that_somebody_sets_while_it_holds_before_its_own_stays(
    relayed: Service, relay: Relay, es: Elastic, cancelled: bool
) -> None:
    filled(es, "plain")
    relay.answer("POST", "^/_create_from", 503, {"error": {"type": "busy"}}, times=None)
    await relayed.post_batch("plain")
    await relayed.holds("plain", "busy")
    es.put("/plain/_settings", {"index.blocks.write": True, "index.blocks.read_only": True})
    before = as_found(es, "plain")
    if cancelled:
        assert await relayed.cancel("plain") == 200
        assert (await relayed.ended("plain"))["status"] == 4
        assert as_found(es, "plain") == before
    else:
        relay.clear()
        await relayed.completed("plain")
        assert es.blocks("reindexed-v8-plain") == es.blocks("plain")
        assert es.blocks("plain").keys() == {"index.blocks.write", "index.blocks.read_only"}


async def test_the_copy_of_a_source_that_is_not_whole_stays_until_it_is(
    relayed: Service, relay: Relay, es: Elastic
) -> None:
    filled(es, "plain")
    documents = contents(es, "plain")
    released = await held_at(relay, PLACES["restore"], relayed, "plain")
    take_primary(es, "plain")
    assert await relayed.cancel("plain") == 200
    released.set()
    await relayed.holds("plain", "may be the only whole copy")
    assert len(es.documents("reindexed-v8-plain")) == 20
    give_primary(es)
    assert (await relayed.ended("plain"))["status"] == 4
    assert es.indices() == {"plain"}
    assert contents(es, "plain") == documents


async def test_a_running_copy_has_ended_before_its_target_is_removed(
    relay: Relay, es: Elastic, sqlite_url: str
) -> None:
    filled(es, "plain")
    before = as_found(es, "plain")
    crawl(relay)
    removal = Removal(relay)
    async with running_service(relay.url, sqlite_url, reindex_batch_documents=1) as service:
        await service.post_batch("plain")
        await relay.wait_for("GET", POLL)
        assert len(es.copy_tasks()) == 1
        assert await service.cancel("plain") == 200
        await removal.arrived.wait()
        assert es.copy_tasks() == []
        removal.released.set()
        assert (await service.ended("plain"))["status"] == 4
        whats = [event.what for event in await service.events("plain")]
    assert whats.index("copy task cancelled") < whats.index("index removed")
    assert es.indices() == {"plain"}
    assert as_found(es, "plain") == before


async def test_a_copy_task_cancelled_by_a_person_cancels_the_operation(
    relay: Relay, es: Elastic, sqlite_url: str
) -> None:
    filled(es, "plain")
    before = as_found(es, "plain")
    crawl(relay)
    async with running_service(relay.url, sqlite_url, reindex_batch_documents=1) as service:
        await service.post_batch("plain")
        await relay.wait_for("GET", POLL)
        es.post("/_tasks/_cancel?actions=*reindex")
        operation = await service.ended("plain")
    assert operation["status"] == 4
    assert "cancelled by user request" in operation["errorMessage"]
    assert es.indices() == {"plain"}
    assert as_found(es, "plain") == before


async def test_after_the_swap_it_is_too_late(relayed: Service, relay: Relay, es: Elastic) -> None:
    filled(es, "plain")
    removal = Removal(relay)
    await relayed.post_batch("plain")
    await removal.arrived.wait()
    released = relay.hold("PUT", "^/reindexed-v8-plain/_settings")
    removal.released.set()

    async def swapped() -> bool:
        return (await relayed.operation("plain"))["lastCompletedStep"] == 60

    await eventually(swapped, "the swap is saved")
    assert await relayed.cancel("plain") == 400
    released.set()
    await relayed.completed("plain")
    assert await relayed.cancel("plain") == 400
    assert es.indices() == {"reindexed-v8-plain"}


async def test_cancelled_while_the_swap_is_on_its_way_it_completes(
    relayed: Service, relay: Relay, es: Elastic
) -> None:
    filled(es, "plain")
    removal = Removal(relay)
    await relayed.post_batch("plain")
    await removal.arrived.wait()
    assert await relayed.cancel("plain") == 200
    removal.released.set()
    await relayed.completed("plain")
    assert es.indices() == {"reindexed-v8-plain"}
    assert len(contents(es, "plain")) == 20


async def test_a_swap_that_is_done_while_its_operation_is_taken_back_completes(
    relayed: Service, relay: Relay, es: Elastic
) -> None:
    """Its answer was lost, and it was not done yet when the cancelled operation looked."""
    filled(es, "plain")
    swaps: list[Seen] = []

    async def late(request: Seen) -> web.Response | None:
        if b"remove_index" in request.body:
            swaps.append(request)
            return None
        if swaps:
            assert (await relay.forward(swaps.pop())).status == 200
        return await relay.forward(request)

    relay.when("POST", "^/_aliases", late, None)
    await relayed.post_batch("plain")
    await relay.wait_for("POST", "^/_aliases", 2)  # the marker of the swap, and the swap
    assert await relayed.cancel("plain") == 200
    await relayed.completed("plain")
    whats = [event.what for event in await relayed.events("plain")]
    assert whats.index("cancelling") < whats.index("swap found done")
    assert es.indices() == {"reindexed-v8-plain"}
    assert es.aliases("reindexed-v8-plain").keys() == {"plain"}
    assert len(contents(es, "plain")) == 20


async def test_an_index_can_be_posted_again_after_it_was_cancelled(
    relayed: Service, relay: Relay, es: Elastic
) -> None:
    filled(es, "plain")
    documents = contents(es, "plain")
    released = await held_at(relay, ("GET", POLL), relayed, "plain")
    assert await relayed.cancel("plain") == 200
    released.set()
    assert (await relayed.ended("plain"))["status"] == 4
    await relayed.post_batch("plain")
    await relayed.completed("plain")
    assert contents(es, "plain") == documents
