"""Operations started by name: beside the queue, a few at once."""

from __future__ import annotations

from testbed.relay import Relay
from tests.api.test_upgrade_assistant import QUICK
from tests.conditions import eventually
from tests.elasticsearch import Elastic
from tests.service import BASE, Service

BLOCK = "/api/upgrade_assistant/update_index"


async def working_at(service: Service) -> set[str]:
    """The indices of the operations that the worker has in hand, as `/readyz` shows them."""
    worker = (await service.client.get("/readyz")).json()["worker"]
    shown = [await service.parts.store.operations.load(key) for key in worker["operations"]]
    return {operation.index_name for operation in shown}


async def works_at(service: Service, *names: str) -> None:
    async def so() -> bool:
        return await working_at(service) == set(names)

    await eventually(so, f"the worker has {names} in hand")


async def looked_around(service: Service, es: Elastic) -> None:
    """When this returns, the worker has asked at least once more what there is to do.

    It does such an errand before it takes new operations, so it has taken them before the second.
    """
    for name in ("errand-1", "errand-2"):
        es.put(f"/{name}", QUICK)
        answer = await service.client.post(f"{BLOCK}/{name}", json={"operations": ["blockWrite"]})
        assert answer.status_code == 200, answer.text


async def test_two_singles_run_beside_a_batch_and_a_third_waits_for_one_to_end(
    relayed: Service, relay: Relay, es: Elastic
) -> None:
    names = ["head", "next", "one", "two", "three"]
    for name in names:
        es.put(f"/{name}", QUICK)
    held = {name: relay.hold("PUT", f"^/{name}/_block/write") for name in names}
    await relayed.post_batch("head", "next")
    for name in ("one", "two", "three"):
        answer = await relayed.client.post(f"{BASE}/{name}", headers={"kbn-xsrf": "true"})
        assert answer.status_code == 200, answer.text
        assert "reindexOptions" not in answer.json()
    await works_at(relayed, "head", "one", "two")
    await looked_around(relayed, es)
    assert await working_at(relayed) == {"head", "one", "two"}
    assert (await relayed.operation("three"))["locked"] is None
    assert [operation["indexName"] for operation in await relayed.queue()] == ["head", "next"]

    held["two"].set()
    await relayed.completed("two")
    await works_at(relayed, "head", "one", "three")

    held["head"].set()
    await relayed.completed("head")
    await works_at(relayed, "next", "one", "three")
    for event in held.values():
        event.set()
    await relayed.completed(*names)
    assert es.indices() - {"errand-1", "errand-2"} == {f"reindexed-v8-{name}" for name in names}


async def test_a_single_is_cancelled_without_a_trace_and_the_others_go_on(
    relayed: Service, relay: Relay, es: Elastic
) -> None:
    names = ["head", "one", "two", "three"]
    for name in names:
        es.put(f"/{name}", QUICK)
        es.bulk(name, [{"n": n} for n in range(3)])
    held = {name: relay.hold("POST", f"^/_create_from/{name}/") for name in names}
    await relayed.post_batch("head")
    for name in ("one", "two", "three"):
        await relayed.client.post(f"{BASE}/{name}")
    await works_at(relayed, "head", "one", "two")
    await relay.wait_for("POST", "^/_create_from/one/")

    assert await relayed.cancel("three") == 200  # never started: it ends at once
    assert (await relayed.operation("three"))["status"] == 4
    assert await relayed.cancel("one") == 200
    held["one"].set()
    assert (await relayed.ended("one"))["status"] == 4
    assert es.blocks("one") == es.blocks("three") == {}
    assert (await relayed.operation("two"))["status"] == 0
    for event in held.values():
        event.set()
    await relayed.completed("head", "two")
    assert es.indices() == {"reindexed-v8-head", "one", "reindexed-v8-two", "three"}
    es.post("/one/_doc", {"n": 4})
