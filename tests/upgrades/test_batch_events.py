"""The events of a batch: all events of its operations, and no others."""

from __future__ import annotations

from typing import Any

from testbed.relay import Relay
from tests.conditions import eventually
from tests.elasticsearch import Elastic
from tests.service import Service
from tests.sites.test_batch_control import Batch
from tests.store.database import execute
from tests.upgrades.midway import filled


async def all_events(service: Service, **query: Any) -> list[dict[str, Any]]:
    """Every page of the log."""
    found: list[dict[str, Any]] = []
    params: dict[str, Any] = {**query, "limit": 500}
    while True:
        answer = await service.client.get("/api/v1/events", params=params)
        assert answer.status_code == 200, answer.text
        found += answer.json()["events"]
        if (after := answer.json()["next"]) is None:
            return found
        params["after"] = after


async def check_batch(service: Service, batch_id: str) -> set[str]:
    """The events of the batch are those of its operations; answers their kinds."""
    shown = await service.client.get("/api/v1/operations", params={"batch": batch_id})
    ids = {one["id"] for one in shown.json()["operations"]}
    everything = await all_events(service)
    of_operations = [event for event in everything if event["jobId"] in ids]
    assert of_operations == await all_events(service, batch=batch_id)
    assert {event["batchId"] for event in of_operations} == {batch_id}
    return {event["what"] for event in of_operations}


async def test_every_event_of_an_operation_is_one_of_its_batch(
    relayed: Service, relay: Relay, es: Elastic
) -> None:
    batch = await Batch.under_way(relayed, relay, es)
    for action in ("pause", "resume", "pause", "cancel"):
        await batch.asked(action)
    batch.released.set()

    async def ended() -> bool:
        told = await batch.asked("cancel")
        return all(one["state"] in ("completed", "cancelled") for one in told.values())

    await eventually(ended, "all of it has ended")
    kinds = await check_batch(relayed, batch.id)
    assert kinds >= {
        "queued",
        "started",
        "pause requested",
        "pause taken back",
        "paused",
        "resumed",
        "cancel requested",
        "cancelled",
        "completed",
    }


async def test_the_end_of_a_kept_copy_is_told_in_its_batch(
    service: Service, es: Elastic, sqlite_url: str
) -> None:
    filled(es, "old")
    posted = await service.post_options({"index": "old"}, keepOldIndex=True)
    await service.completed("old")
    execute(sqlite_url, "UPDATE job SET kept_until = '2020-01-01 00:00:00' WHERE kept IS NOT NULL")
    await service.post_batch("rings the bell")

    async def gone() -> bool:
        events = await all_events(service, kind="kept copy gone")
        return bool(events)

    await eventually(gone, "the kept copy is removed", 60)
    assert "kept copy gone" in await check_batch(service, posted["id"])
