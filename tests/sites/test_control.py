"""Pause, resume, retry and cancel in every state, on the real server."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx
import pytest

from testbed.relay import Relay
from tests.conditions import eventually
from tests.elasticsearch import Elastic
from tests.service import Service, running_service
from tests.upgrades.midway import POLL, all_copied, filled, held_at
from tests.upgrades.portrait import as_found, contents


async def listed(service: Service, name: str) -> dict[str, Any]:
    """The newest operation of an index as /api/v1 has it."""
    found = await service.client.get(f"/api/v1/operations?index={name}&order=desc&limit=1")
    return found.json()["operations"][0]


async def ask(service: Service, name: str, what: str) -> httpx.Response:
    operation = await listed(service, name)
    return await service.client.post(f"/api/v1/operations/{operation['id']}/{what}")


async def becomes(service: Service, name: str, state: str) -> None:
    async def is_so() -> bool:
        return (await listed(service, name))["state"] == state

    await eventually(is_so, f"{name} is {state}")


async def test_a_paused_copy_keeps_what_it_has_and_frees_the_queue(
    relay: Relay, es: Elastic, sqlite_url: str
) -> None:
    filled(es, "long", 300)
    filled(es, "next")
    before = contents(es, "long")
    slow = {"reindex_batch_documents": 1, "reindex_window_documents": 20}
    async with running_service(relay.url, sqlite_url, **slow) as service:
        held = relay.hold("POST", r"^/_reindex", None)
        first = relay.wait_for("POST", r"^/_reindex")
        await service.post_batch("long", "next")
        await first
        held.set()
        await becomes_partly_done(service, "long")
        assert (await ask(service, "long", "pause")).status_code == 200
        await becomes(service, "long", "paused")
        assert es.copy_tasks() == []
        assert es.blocks("long") == {"index.blocks.write": "true"}
        await service.completed("next")
        paused = await listed(service, "long")
        done = paused["progress"]["windowsDone"]
        assert done >= 1
        texts = [event.text for event in await service.events("long")]
        assert "writes to long stay blocked until it goes on or is cancelled" in texts

        started = len([s for s in relay.seen if s.path.startswith("/_reindex?")])
        assert (await ask(service, "long", "resume")).json()["queuedAt"] == paused["queuedAt"]
        await service.completed("long")
        again = len([s for s in relay.seen if s.path.startswith("/_reindex?")]) - started
        assert again <= paused["progress"]["windowsTotal"] - done  # what was done was not repeated
    assert contents(es, "long") == before


async def becomes_partly_done(service: Service, name: str) -> None:
    async def partly() -> bool:
        progress = (await listed(service, name))["progress"]
        return bool(progress and progress["windowsDone"] >= 1)

    await eventually(partly, f"a window of {name} is done")


async def test_a_waiting_operation_is_paused_and_resumed_at_its_place(
    relayed: Service, relay: Relay, es: Elastic
) -> None:
    for name in ("first", "second", "third"):
        filled(es, name)
    held = relay.hold("GET", POLL)
    await relayed.post_batch("first", "second", "third")
    await relay.wait_for("GET", POLL)
    assert (await ask(relayed, "second", "pause")).json()["state"] == "paused"
    assert [o["indexName"] for o in await relayed.queue()] == ["first", "third"]
    assert es.blocks("second") == {}
    assert (await ask(relayed, "second", "resume")).json()["state"] == "waiting"
    assert [o["indexName"] for o in await relayed.queue()] == ["first", "second", "third"]
    held.set()
    await relayed.completed("first", "second", "third")


@pytest.mark.parametrize("begun", [False, True])
async def test_a_paused_operation_is_cancelled(
    relayed: Service, relay: Relay, es: Elastic, begun: bool
) -> None:
    filled(es, "first")
    filled(es, "plain", aliases={"also": {}})
    before = as_found(es, "plain")
    held = relay.hold("GET", POLL)
    await relayed.post_batch(*(["plain"] if begun else ["first", "plain"]))
    await relay.wait_for("GET", POLL)
    await ask(relayed, "plain", "pause")
    if begun:
        held.set()
    await becomes(relayed, "plain", "paused")
    assert (await ask(relayed, "plain", "cancel")).status_code == 200
    held.set()
    await becomes(relayed, "plain", "cancelled")
    assert as_found(es, "plain") == before
    assert "reindexed-v8-plain" not in es.indices()


async def paused_behind_another(service: Service, relay: Relay, es: Elastic) -> asyncio.Event:
    """`plain` is paused in its copy, and `long` copies until the event is set."""
    filled(es, "long")
    released = await held_at(relay, ("GET", POLL), service, "plain")
    await ask(service, "plain", "pause")
    released.set()
    await becomes(service, "plain", "paused")
    held = relay.hold("GET", POLL, None)
    await service.post_batch("long")
    await relay.wait_for("GET", POLL, 2)
    return held


async def test_a_paused_operation_is_cancelled_while_another_is_in_hand(
    relayed: Service, relay: Relay, es: Elastic
) -> None:
    """That may take hours, and writes to the paused index are blocked."""
    filled(es, "plain")
    before = as_found(es, "plain")
    held = await paused_behind_another(relayed, relay, es)
    assert (await ask(relayed, "plain", "cancel")).status_code == 200
    await becomes(relayed, "plain", "cancelled")
    assert as_found(es, "plain") == before
    assert (await listed(relayed, "long"))["state"] == "running"
    held.set()
    await relayed.completed("long")


async def test_what_is_resumed_behind_another_waits_for_its_turn(
    relayed: Service, relay: Relay, es: Elastic
) -> None:
    filled(es, "plain")
    held = await paused_behind_another(relayed, relay, es)
    assert (await ask(relayed, "plain", "resume")).json()["state"] == "waiting"
    held.set()
    await relayed.completed("plain", "long")


async def test_what_is_tried_again_keeps_its_pace(service: Service, es: Elastic) -> None:
    for name in ("one", "two"):
        es.fill_with_refused(name)
    pace = {"requestsPerSecond": 500}
    batch = await service.post_options({"index": "one"}, {"index": "two"}, pace=pace)
    await becomes(service, "two", "failed")
    own = f"/api/v1/operations/{(await listed(service, 'one'))['id']}"
    await service.client.post("/api/v1/pace/stop")
    answer = await service.client.post(f"{own}/retry")
    assert answer.status_code == 200, answer.text
    own = f"/api/v1/operations/{answer.json()['id']}"
    assert await pace_of(service, answer.json()["batchId"]) == 500
    answer = await service.client.post(f"/api/v1/batches/{batch['id']}/retry")
    assert answer.status_code == 200, answer.text
    assert await pace_of(service, (await listed(service, "two"))["batchId"]) == 500
    await service.client.patch(f"{own}/pace", json={"requestsPerSecond": 7})
    await service.client.post(f"{own}/cancel")
    await becomes(service, "one", "cancelled")
    again = (await service.client.post(f"{own}/retry")).json()
    found = (await service.client.get(f"/api/v1/operations/{again['id']}/pace")).json()
    assert found["requestsPerSecond"] == 7


async def pace_of(service: Service, batch: str) -> float:
    answer = await service.client.get(f"/api/v1/batches/{batch}/pace")
    return answer.json()["requestsPerSecond"]


async def test_the_last_wish_counts_a_cancel_overtakes_a_pause(
    relayed: Service, relay: Relay, es: Elastic
) -> None:
    filled(es, "plain")
    before = as_found(es, "plain")
    held = relay.hold("GET", POLL)
    await relayed.post_batch("plain")
    await relay.wait_for("GET", POLL)
    await ask(relayed, "plain", "pause")
    await ask(relayed, "plain", "cancel")
    held.set()
    await becomes(relayed, "plain", "cancelled")
    assert as_found(es, "plain") == before


async def test_a_failed_operation_is_tried_again_as_it_was_asked_for(
    service: Service, es: Elastic
) -> None:
    es.fill_with_refused("plain")
    body = {"indices": [{"indexName": "plain", "newIndexName": "other"}]}
    await service.client.post("/api/reindex_service/reindex/batch", json=body)
    await becomes(service, "plain", "failed")
    es.let_malformed_pass("plain", passes=True)
    answer = await ask(service, "plain", "retry")
    assert answer.status_code == 200, answer.text
    assert (answer.json()["newIndexName"], answer.json()["keepsOldIndex"]) == ("other", True)
    await becomes(service, "plain", "completed")
    assert es.indices() == {"plain", "other"}


async def test_one_that_waits_for_something_is_tried_again_at_once(
    relayed: Service, relay: Relay, es: Elastic
) -> None:
    filled(es, "plain")
    relay.answer("PUT", "_block", 429, times=5)  # long pauses by now
    await relayed.post_batch("plain")
    await relay.wait_for("PUT", "_block", times=3)
    await relayed.holds("plain", "429")
    assert (await ask(relayed, "plain", "retry")).status_code == 200
    await relayed.completed("plain")
    assert "tried again" in [event.what for event in await relayed.events("plain")]


async def test_what_does_not_fit_the_state_is_refused_with_the_state(
    service: Service, es: Elastic
) -> None:
    filled(es, "plain")
    await service.post_batch("plain")
    await service.completed("plain")
    for what, status in (("pause", 409), ("resume", 409), ("retry", 409), ("cancel", 400)):
        answer = await ask(service, "plain", what)
        assert (answer.status_code, "completed" in answer.text) == (status, True), answer.text
    missing = await service.client.post("/api/v1/operations/nothing/pause")
    assert missing.status_code == 404


async def test_with_the_policy_skip_a_long_hold_makes_room_and_is_finished_later(
    relay: Relay, es: Elastic, sqlite_url: str
) -> None:
    """It holds before its swap; while it is parked its index takes writes, and a write is kept."""
    filled(es, "stuck", 30)
    filled(es, "next")
    settings = {
        "reindex_hold_policy": "skip",
        "reindex_hold_skip_seconds": 0.0,
        "reindex_synchronous_documents": 0,
    }
    relay.answer("GET", POLL, 503, times=None)
    async with running_service(relay.url, sqlite_url, **settings) as service:
        await service.post_batch("stuck", "next")
        await service.holds("stuck", "503")

        async def parked() -> bool:
            return "parked" in [event.what for event in await service.events("stuck")]

        await eventually(parked, "the one that holds is put aside")
        assert es.blocks("stuck") == {}
        relay.clear()
        await service.completed("next")
        es.put("/stuck/_doc/late?refresh=true", {"n": -1})
        await ask(service, "stuck", "retry")
        await service.completed("stuck")
    assert "late" in [document.id for document in contents(es, "stuck")]
    assert len(contents(es, "stuck")) == 31
    await all_copied(es)
