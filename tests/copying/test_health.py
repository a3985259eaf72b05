"""The health gate before a real cluster, some of whose statistics are made up by the relay."""

from __future__ import annotations

from typing import Any

import pytest

from app.domain.names import IndexName
from testbed.relay import Relay
from tests.conditions import eventually
from tests.elasticsearch import Elastic
from tests.service import Service, running_service
from tests.upgrades.midway import filled

STATISTICS = ("GET", "^/_nodes/stats/")
SEARCHES = ("GET", "^/shop/_search")
OFTEN: dict[str, Any] = {
    "reindex_health_seconds": 0.2,
    "reindex_synchronous_documents": 0,
    "reindex_window_documents": 1_000,
    "reindex_batch_documents": 1_000,
}


def heap(percent: int) -> dict[str, Any]:
    """An answer in which a node's heap is so full, and which tells nothing else."""
    memory = {"heap_max_in_bytes": 100, "pools": {"old": {"used_in_bytes": percent}}}
    return {"nodes": {"a": {"name": "es-1", "jvm": {"mem": memory}}}}


async def changes(service: Service, name: str) -> list[str]:
    return [e.text for e in await service.events(name) if e.what == "health gate"]


async def health(service: Service) -> dict[str, Any]:
    return (await service.client.get("/api/v1/pace")).json()["health"]


async def test_a_strained_cluster_gets_fewer_windows_and_a_critical_one_none(
    relay: Relay, es: Elastic, sqlite_url: str
) -> None:
    filled(es, "big", 4_000, settings={"number_of_replicas": 0})
    async with running_service(relay.url, sqlite_url, **OFTEN) as service:
        await service.client.patch("/api/v1/pace", json={"requestsPerSecond": 300})
        relay.answer(*STATISTICS, 200, heap(99), times=None)
        posted = await service.post_options({"index": "big"})
        operation = posted["operations"][0]["id"]
        await service.holds("big", "the health gate lets nothing start: heap of es-1 is 99% full")
        shown = (await service.shown(operation))["pace"]
        assert shown["windowsInFlight"] == 0
        assert "health gate: heap of es-1 is 99% full" in shown["reason"]
        assert es.copy_tasks() == []

        relay.clear()
        relay.answer(*STATISTICS, 200, heap(85), times=None)
        await runs(es, 1)
        assert (await health(service))["windowsInFlight"] == 1
        relay.clear()
        relay.answer(*STATISTICS, 200, heap(10), times=None)
        await runs(es, 3)
        assert (await health(service))["windowsInFlight"] is None

        relay.clear()
        relay.answer(*STATISTICS, 200, heap(99), times=None)
        await eventually(lambda: crawl(es), "the running tasks crawl")
        relay.clear()
        await service.client.patch("/api/v1/pace", json={"requestsPerSecond": None})
        await service.completed("big")
        told = await changes(service, "big")
        assert told[:4] == [
            "0 windows at once: heap of es-1 is 99% full",
            "1 window at once: heap of es-1 is 85% full",
            "2 windows at once: recovering: heap of es-1 is 85% full",
            "no limit: the cluster is calm",
        ]


async def runs(es: Elastic, tasks: int) -> None:
    async def so_many() -> bool:
        return len(es.copy_tasks()) == tasks

    await eventually(so_many, f"{tasks} copy tasks run")


async def crawl(es: Elastic) -> bool:
    rates = [task["status"]["requests_per_second"] for task in es.copy_tasks()]
    return bool(rates) and max(rates) < 15


@pytest.mark.parametrize(
    ("status", "body", "said"),
    [
        (200, {}, "no node told how it does"),
        (200, {"nodes": {"a": {"name": "es-1", "jvm": "?", "os": None}}}, None),
        (200, {"nodes": [1, 2]}, "not what this service understands"),
        (200, "<html>", "not as Elasticsearch does"),
        (503, {"error": {"type": "circuit_breaking_exception", "reason": "full"}}, "503"),
        (403, {"error": {"type": "security_exception", "reason": "no monitor"}}, "no monitor"),
    ],
)
async def test_statistics_that_lack_or_fail_do_no_harm_and_are_said(
    relay: Relay,
    es: Elastic,
    sqlite_url: str,
    status: int,
    body: dict[str, Any] | str,
    said: str | None,
) -> None:
    filled(es, "plain")
    relay.answer(*STATISTICS, status, body, times=None)
    async with running_service(relay.url, sqlite_url) as service:
        await service.post_batch("plain")
        await service.completed("plain")
        told = await changes(service, "plain")
        assert bool(told) == bool(said)
        blind = (await health(service))["blind"]
        assert (said or "") in (blind or "")
        assert not any(event.what == "holds" for event in await service.events("plain"))


async def test_a_slow_search_of_the_probe_slows_the_copy_down(
    relay: Relay, es: Elastic, sqlite_url: str
) -> None:
    filled(es, "big", 4_000, settings={"number_of_replicas": 0})
    filled(es, "shop")
    probed: dict[str, Any] = {**OFTEN, "reindex_search_probe": IndexName("shop")}
    async with running_service(relay.url, sqlite_url, **probed) as service:
        await service.client.patch("/api/v1/pace", json={"requestsPerSecond": 300})
        relay.answer(*SEARCHES, 200, {"took": 700}, times=None)
        posted = await service.post_options({"index": "big"})
        operation = posted["operations"][0]["id"]

        async def slowed() -> bool:
            shown = (await service.shown(operation))["pace"]["reason"]
            return "1 window at once (health gate: the search probe takes 0.7 s)" in shown

        await eventually(slowed, "the copy is slowed down")
        await runs(es, 1)
        relay.clear()
        await runs(es, 3)
        await service.client.patch("/api/v1/pace", json={"requestsPerSecond": None})
        await service.completed("big")


async def test_a_probe_that_fails_limits_nothing_and_is_said(
    relay: Relay, es: Elastic, sqlite_url: str
) -> None:
    filled(es, "plain")
    probe = IndexName("no-such-index")
    async with running_service(relay.url, sqlite_url, reindex_search_probe=probe) as service:
        await service.post_batch("plain")
        await service.completed("plain")
        told = "the search probe (REINDEX_SEARCH_PROBE) failed: index_not_found_exception"
        (change, *_) = await changes(service, "plain")
        assert f"changes no limit: {told}" in change
        assert "no-such-index" not in change
        assert (await health(service))["windowsInFlight"] is None


async def test_the_cluster_is_asked_seldom_and_an_idle_service_asks_nothing(
    relay: Relay, es: Elastic, sqlite_url: str
) -> None:
    for name in ("a", "b", "c"):
        filled(es, name)
    async with running_service(relay.url, sqlite_url, reindex_health_seconds=3600.0) as service:
        await worker_is_idle(service)
        assert relay.seen == []
        await service.post_batch("a", "b", "c")
        await service.completed("a", "b", "c")
        assert asked(relay) == 1
        assert await changes(service, "a") == []
        await worker_is_idle(service)
        before = len(relay.seen)
        for _ in range(20):  # each wakes the worker
            await service.client.post("/api/v1/pace/go-on")
        await worker_is_idle(service)
        assert len(relay.seen) == before


async def worker_is_idle(service: Service) -> None:
    async def idle() -> bool:
        return service.parts.worker.report.state == "idle"

    await eventually(idle, "the worker is idle")


def asked(relay: Relay) -> int:
    return len([seen for seen in relay.seen if seen.path.startswith("/_nodes/stats/")])


async def test_it_can_be_switched_off_and_forgets_what_it_knew(
    relay: Relay, es: Elastic, sqlite_url: str
) -> None:
    filled(es, "sick")
    filled(es, "plain")
    relay.answer(*STATISTICS, 200, heap(99), times=None)
    async with running_service(relay.url, sqlite_url, **OFTEN) as service:
        await service.post_batch("sick")
        await service.holds("sick", "health gate")
    looks = asked(relay)
    async with running_service(relay.url, sqlite_url, reindex_health_gate=False) as service:
        await service.completed("sick")
        assert (await health(service))["windowsInFlight"] is None
        assert (await changes(service, "sick"))[-1] == "it is switched off"
    assert asked(relay) == looks
