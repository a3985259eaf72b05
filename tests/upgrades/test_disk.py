"""A disk without room is waited for, before the write block and in mid-copy, by the real marks."""

from __future__ import annotations

from app.jobs.transitions import same_hold
from testbed.relay import Relay
from tests.elasticsearch import Elastic
from tests.service import Service, running_service
from tests.upgrades.midway import filled

DISK = "cluster.routing.allocation.disk"
PLENTY = "900tb"
NONE = "1b"


def marks(es: Elastic, low: str, high: str) -> None:
    """Bytes that must stay free; the flood stage is never reached."""
    settings = {
        f"{DISK}.threshold_enabled": True,
        f"{DISK}.watermark.low": low,
        f"{DISK}.watermark.high": high,
        f"{DISK}.watermark.flood_stage": NONE,
    }
    es.put("/_cluster/settings", {"persistent": settings})


def test_a_hold_of_which_only_the_figures_change_is_no_event() -> None:
    assert same_hold("a has 5.1gb left", "a has 12mb left")
    assert same_hold("x has 0 of 2 shard copies active", "x has 1 of 2 shard copies active")
    assert not same_hold("a has 5gb left", "b has 5gb left")
    assert not same_hold("a has 5gb left", None)


async def test_an_operation_waits_for_room_before_it_blocks_writes(
    service: Service, es: Elastic
) -> None:
    filled(es, "old")
    marks(es, PLENTY, NONE)
    plan = (await service.client.post("/api/v1/plan", json={"indices": [{"index": "old"}]})).json()
    assert "below the low watermark" in plan["indices"][0]["diskShortage"]
    assert plan["disk"]["shortage"] == f"old: {plan['indices'][0]['diskShortage']}"
    await service.post_batch("old")
    await service.holds("old", "below the low watermark")
    assert es.blocks("old") == {}
    assert es.indices() == {"old"}
    marks(es, NONE, NONE)
    await retried(service, "old")
    await service.completed("old")


async def test_a_copy_stops_at_the_high_watermark_and_goes_on_by_itself(
    relay: Relay, sqlite_url: str, es: Elastic
) -> None:
    filled(es, "old", 40)
    windows = {"reindex_window_documents": 10, "reindex_windows_in_flight": 1}
    small = {"reindex_synchronous_documents": 0}
    marks(es, NONE, NONE)
    released = relay.hold("POST", "^/_reindex")
    async with running_service(relay.url, sqlite_url, **windows, **small) as service:
        await service.post_batch("old")
        await relay.wait_for("POST", "^/_reindex")
        marks(es, PLENTY, PLENTY)
        released.set()
        await service.holds("old", "beyond the high watermark")
        operation = await service.operation("old")
        assert operation["lastCompletedStep"] == 40
        assert operation["reindexTaskPercComplete"] == 0.25
        marks(es, NONE, NONE)
        await service.completed("old")
    copies = [seen for seen in relay.seen if seen.path.startswith("/_reindex")]
    assert len(copies) == 4


async def retried(service: Service, index: str) -> None:
    """Does not wait for the next look, ten seconds later."""
    operation = await service.parts.reading.operation(index)
    answer = await service.client.post(f"/api/v1/operations/{operation.id}/retry")
    assert answer.status_code == 200
