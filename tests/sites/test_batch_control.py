"""Steering all of a batch at once: every operation has its answer, none is half-way."""

from __future__ import annotations

import asyncio
import re
from typing import Any

import pytest

from testbed.relay import Relay
from tests.api.test_bad_input import check_envelope
from tests.elasticsearch import Elastic
from tests.service import Service
from tests.upgrades.midway import POLL, all_copied, filled, held_at
from tests.upgrades.portrait import as_found, contents

ALONE = {"number_of_replicas": 0}
NAMES = ("done", "running", "waiting", "last")


class Batch:
    """A batch of which one has completed, one is copied and not looked at yet, and two wait.

    `released` lets the second one go on.
    """

    def __init__(self, service: Service, batch_id: str, released: asyncio.Event) -> None:
        self._service = service
        self.id = batch_id
        self.released = released

    @classmethod
    async def under_way(cls, service: Service, relay: Relay, es: Elastic) -> Batch:
        for name in NAMES:
            filled(es, name, 5, settings=ALONE)
        block = relay.hold("PUT", "^/running/_block")
        posted = await service.post_options(*({"index": name} for name in NAMES))
        await service.completed("done")
        looks = [seen for seen in relay.seen if re.search(POLL, seen.path)]
        released = relay.hold("GET", POLL)
        block.set()
        await relay.wait_for("GET", POLL, times=len(looks) + 1)
        await all_copied(es)
        return cls(service, posted["id"], released)

    async def asked(self, action: str, body: Any = None) -> dict[str, dict[str, Any]]:
        """The answer by index, for which the counts must be right."""
        path = f"/api/v1/batches/{self.id}/{action}"
        answer = await self._service.client.post(path, json=body)
        assert answer.status_code == 200, answer.text
        told = answer.json()
        assert told["id"] == self.id
        outcomes = [one["outcome"] for one in told["operations"]]
        assert {k: n for k, n in told["counts"].items() if n} == {
            outcome: outcomes.count(outcome) for outcome in outcomes
        }
        return {one["indexName"]: one for one in told["operations"]}


def outcomes(told: dict[str, dict[str, Any]]) -> list[str]:
    return [told[name]["outcome"] for name in NAMES]


async def test_a_batch_is_cancelled_and_tried_again(
    relayed: Service, relay: Relay, es: Elastic
) -> None:
    batch = await Batch.under_way(relayed, relay, es)
    told = await batch.asked("cancel")
    assert outcomes(told) == ["tooLate", "changed", "changed", "changed"]
    assert told["done"]["reason"] == "It is too late to cancel: done is completed."
    assert [told[name]["pending"] for name in NAMES] == [None, "cancelling", None, None]
    assert told["waiting"]["state"] == told["last"]["state"] == "cancelled"
    again = await batch.asked("cancel")
    assert outcomes(again) == ["tooLate", "unchanged", "unchanged", "unchanged"]
    assert "already" in again["running"]["reason"]
    retry = f"/api/v1/operations/{told['running']['id']}/retry"
    assert (await relayed.client.post(retry)).status_code == 409  # its cancel comes first
    batch.released.set()
    await relayed.state_of(told["running"]["id"], "cancelled")
    assert es.indices() == {"reindexed-v8-done", "running", "waiting", "last"}
    assert es.blocks("running") == {}

    es.delete("/last")
    retried = await batch.asked("retry")
    assert outcomes(retried)[0] == "unchanged"
    assert retried["running"]["outcome"] == "changed"
    assert retried["last"]["outcome"] == "refused"
    assert "does not exist" in retried["last"]["reason"]
    follower = await relayed.shown(retried["running"]["followedBy"])
    assert (follower["indexName"], follower["queued"]) == ("running", True)
    assert follower["batchId"] != batch.id
    await relayed.completed("running")


async def test_a_batch_is_paused_and_resumed_where_it_stopped(
    relayed: Service, relay: Relay, es: Elastic
) -> None:
    batch = await Batch.under_way(relayed, relay, es)
    documents = contents(es, "running")
    places = [o["reindexOptions"]["queueSettings"]["queuedAt"] for o in await relayed.queue()]
    told = await batch.asked("pause")
    assert outcomes(told) == ["tooLate", "changed", "changed", "changed"]
    assert "too late to pause" in told["done"]["reason"]
    assert [told[name]["pending"] for name in NAMES] == [None, "pausing", None, None]
    shown = await relayed.shown(told["running"]["id"])
    assert (shown["state"], shown["pending"]) == ("running", "pausing")
    batch.released.set()
    await relayed.state_of(told["running"]["id"], "paused")
    paused = await batch.asked("pause")
    assert outcomes(paused) == ["tooLate", "unchanged", "unchanged", "unchanged"]
    blocked = [paused[name]["writesBlocked"] for name in NAMES]
    assert blocked == [False, True, False, False]
    assert [bool(es.blocks(name)) for name in NAMES[1:]] == blocked[1:]
    assert await relayed.queue() == []

    resumed = await batch.asked("resume")
    assert outcomes(resumed) == ["unchanged", "changed", "changed", "changed"]
    assert "Only a paused operation" in resumed["done"]["reason"]
    after = [await relayed.shown(told[name]["id"]) for name in NAMES[1:]]
    assert len(places) == 3
    assert [one["queuedAt"] for one in after] == sorted(one["queuedAt"] for one in after)
    await relayed.completed(*NAMES)
    assert contents(es, "running") == documents


async def test_a_pause_that_is_not_granted_yet_is_taken_back(
    relayed: Service, relay: Relay, es: Elastic
) -> None:
    filled(es, "plain", settings=ALONE)
    released = relay.hold("GET", POLL)
    (operation,) = (await relayed.post_options({"index": "plain"}))["operations"]
    await relay.wait_for("GET", POLL)
    path = f"/api/v1/operations/{operation['id']}"
    assert (await relayed.client.post(f"{path}/pause")).json()["pending"] == "pausing"
    assert (await relayed.client.post(f"{path}/pause")).status_code == 200
    assert (await relayed.client.post(f"{path}/retry")).status_code == 409
    resumed = await relayed.client.post(f"{path}/resume")
    assert (resumed.status_code, resumed.json()["pending"]) == (200, None)
    released.set()
    await relayed.completed("plain")
    whats = [event.what for event in await relayed.events("plain")]
    assert "pause taken back" in whats
    assert "paused" not in whats


async def test_a_batch_is_rolled_back_as_far_as_it_was_kept(service: Service, es: Elastic) -> None:
    for name in ("a", "b"):
        filled(es, name, 5, settings=ALONE)
    before = {name: contents(es, name) for name in ("a", "b")}
    wanted = [{"index": "a", "keepOldIndex": True}, {"index": "b"}]
    posted = await service.post_options(*wanted)
    await service.completed("a", "b")
    path = f"/api/v1/batches/{posted['id']}/rollback"
    told = (await service.client.post(path)).json()
    assert [one["outcome"] for one in told["operations"]] == ["changed", "refused"]
    assert "was not kept" in told["operations"][1]["reason"]
    await service.state_of(posted["operations"][0]["id"], "rolledBack")
    again = (await service.client.post(path, json={"force": True})).json()
    assert [one["outcome"] for one in again["operations"]] == ["unchanged", "refused"]
    assert {name: contents(es, name) for name in ("a", "b")} == before
    retried = (await service.client.post(path.replace("rollback", "retry"))).json()
    assert [one["outcome"] for one in retried["operations"]] == ["unchanged", "unchanged"]


async def test_a_whole_batch_that_waits_goes_in_one_step(
    relayed: Service, relay: Relay, es: Elastic
) -> None:
    """All or nothing, and each with an event of its own."""
    names = [f"i{n:03}" for n in range(12)]
    for name in ("head", *names):
        es.put(f"/{name}", {"settings": ALONE})
    before = as_found(es, names[0])
    released = await held_at(relay, ("PUT", "^/head/_block"), relayed, "head")
    posted = await relayed.post_options(*({"index": name} for name in names))
    told = (await relayed.client.post(f"/api/v1/batches/{posted['id']}/cancel")).json()
    assert told["counts"] == {"changed": 12, "unchanged": 0, "tooLate": 0, "refused": 0}
    assert {one["state"] for one in told["operations"]} == {"cancelled"}
    assert [one["indexName"] for one in told["operations"]] == names
    assert [event.what for event in await relayed.events(names[-1])] == ["queued", "cancelled"]
    released.set()
    await relayed.completed("head")
    assert as_found(es, names[0]) == before


@pytest.mark.parametrize("action", ["cancel", "pause", "resume", "retry", "rollback"])
async def test_an_unknown_batch_is_not_found(service: Service, action: str) -> None:
    answer = await service.client.post(f"/api/v1/batches/none/{action}")
    check_envelope(answer, 404, "There is no batch none")
