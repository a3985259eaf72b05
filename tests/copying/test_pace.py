"""The pace of real copies: throttled, changed while they run, stopped, within their hours."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from aiohttp import web

from testbed.relay import Relay, Seen
from tests.conditions import eventually
from tests.elasticsearch import Elastic
from tests.service import Service, running_service
from tests.upgrades.midway import filled
from tests.upgrades.portrait import contents

BY_TASK: dict[str, Any] = {"reindex_synchronous_documents": 0}
THREE_WINDOWS: dict[str, Any] = {
    **BY_TASK,
    "reindex_window_documents": 1_000,
    "reindex_batch_documents": 1_000,
}


@pytest.fixture
def big(es: Elastic) -> Iterator[None]:
    """The index `big`, three windows large; at the end it must be whole under its new name."""
    filled(es, "big", 3_000, settings={"number_of_replicas": 0})
    before = contents(es, "big")
    yield
    assert es.indices() == {"reindexed-v8-big"}
    assert contents(es, "big") == before


async def set_pace(service: Service, path: str = "", **body: Any) -> None:
    answer = await service.client.patch(f"/api/v1{path}/pace", json=body)
    assert answer.status_code == 200, answer.text


async def posted(service: Service, name: str = "big") -> str:
    return (await service.post_options({"index": name}))["operations"][0]["id"]


def rates(es: Elastic) -> list[float]:
    """To what the running copy tasks keep, in documents a second."""
    return sorted(task["status"]["requests_per_second"] for task in es.copy_tasks())


async def keep_to(es: Elastic, *expected: float) -> None:
    """Waits until so many tasks run, at these rates (-1: no limit)."""

    async def they_do() -> bool:
        return rates(es) == pytest.approx(list(expected), rel=0.01)

    await eventually(they_do, f"copy tasks at {expected} documents a second")


async def no_task_runs(es: Elastic) -> None:
    async def ended() -> bool:
        return not es.copy_tasks()

    await eventually(ended, "no copy task runs")


@pytest.mark.usefixtures("big")
async def test_a_rate_is_shared_by_the_windows_and_changed_while_they_run(
    relay: Relay, es: Elastic, sqlite_url: str
) -> None:
    async with running_service(relay.url, sqlite_url, **THREE_WINDOWS) as service:
        await set_pace(service, requestsPerSecond=60)
        operation = await posted(service)
        await keep_to(es, 20, 20, 20)
        sent = await relay.wait_for("POST", "^/_reindex[?]")
        assert "scroll=1h" in sent.path
        assert b'"size": 40' in sent.body.replace(b'"size":', b'"size": ')
        shown = (await service.shown(operation))["pace"]
        assert (shown["requestsPerSecond"], shown["windowsInFlight"]) == (60, 3)

        await set_pace(service, f"/operations/{operation}", requestsPerSecond=30)
        await keep_to(es, 10, 10, 10)
        await set_pace(service, f"/operations/{operation}", requestsPerSecond=None)
        await set_pace(service, requestsPerSecond=None)
        await keep_to_or_end(es, -1)
        await service.completed("big")
        what = [event.what for event in await service.events("big")]
        assert what.count("copy task throttled") >= 3


async def keep_to_or_end(es: Elastic, rate: float) -> None:
    async def they_do() -> bool:
        return set(rates(es)) <= {rate}

    await eventually(they_do, f"copy tasks at {rate} or none")


@pytest.mark.usefixtures("big")
async def test_everything_stops_stays_stopped_over_a_new_start_and_goes_on(
    relay: Relay, es: Elastic, sqlite_url: str
) -> None:
    filled(es, "next", 5)
    async with running_service(relay.url, sqlite_url, **THREE_WINDOWS) as service:
        await set_pace(service, requestsPerSecond=60)
        operation = await posted(service)
        await keep_to(es, 20, 20, 20)
        before = await progress_of(service, operation)
        stop = await service.client.post("/api/v1/pace/stop", json={"reason": "search is slow"})
        assert stop.json()["stopped"]["blockedIndices"] == ["big"]
        again = await service.client.post("/api/v1/pace/stop", json={"reason": "once more"})
        assert again.json()["stopped"]["reason"] == "search is slow"
        await service.holds("big", "search is slow; writes to big stay blocked")
        await no_task_runs(es)
        after = await progress_of(service, operation)
        assert after["documentsDone"] >= before["documentsDone"]
        assert after["documentsDone"] == int(after["fraction"] * after["documentsTotal"])
        next_one = await posted(service, "next")
        attempts = await attempts_of(service, operation)
    async with running_service(relay.url, sqlite_url, **THREE_WINDOWS) as service:

        async def looked() -> bool:
            return await attempts_of(service, operation) > attempts

        await eventually(looked, "the new worker has looked at it")
        assert (await service.shown(next_one))["state"] == "waiting"
        await nothing_is_asked(service, relay)
        assert es.copy_tasks() == []
        assert es.blocks("big") == {"index.blocks.write": "true"}
        worker = (await service.client.get("/api/v1/worker")).json()
        assert "search is slow" in worker["waitsFor"]
        await set_pace(service, requestsPerSecond=90)  # while it is stopped
        assert (await service.client.post("/api/v1/pace/go-on")).json()["stopped"] is None
        await keep_to(es, 30, 30, 30)
        await set_pace(service, requestsPerSecond=None)
        await service.completed("big", "next")
        what = [event.what for event in await service.events("big")]
        assert "copy stops" in what
        assert "copy task cancelled" in what
    es.delete("/reindexed-v8-next")


async def progress_of(service: Service, operation: str) -> dict[str, Any]:
    return (await service.shown(operation))["progress"]


async def attempts_of(service: Service, operation: str) -> int:
    return ((await service.shown(operation))["hold"] or {"attempts": 0})["attempts"]


async def nothing_is_asked(service: Service, relay: Relay) -> None:
    """However often the worker is woken, it has nothing to ask the cluster."""
    looks = len(relay.seen)
    for _ in range(20):
        assert (await service.client.post("/api/v1/pace/stop")).status_code == 200
    assert len(relay.seen) == looks


async def test_one_that_is_cancelled_while_everything_is_stopped_is_as_it_was_found(
    service: Service, es: Elastic
) -> None:
    filled(es, "big", 500)
    await set_pace(service, requestsPerSecond=20)
    operation = await posted(service)
    await keep_to(es, 20)
    await service.client.post("/api/v1/pace/stop")
    assert (await service.client.post(f"/api/v1/operations/{operation}/cancel")).status_code == 200
    assert await service.state_of(operation, "cancelled", "failed") == "cancelled"
    assert es.copy_tasks() == []
    assert es.indices() == {"big"}
    assert es.blocks("big") == {}


def hours(begins: int, ends: int) -> list[dict[str, str]]:
    """Hours that begin and end so many minutes from now."""
    now = datetime.now(UTC)
    start, end = (now + timedelta(minutes=minutes) for minutes in (begins, ends))
    return [{"from": f"{start:%H:%M}", "to": f"{end:%H:%M}", "zone": "UTC"}]


@pytest.mark.usefixtures("big")
async def test_a_service_that_ends_while_it_stops_a_copy_does_not_cancel_the_operation(
    relay: Relay, es: Elastic, sqlite_url: str
) -> None:
    """A cancelled task that a window waits for would be a person's doing."""
    async with running_service(relay.url, sqlite_url, **THREE_WINDOWS) as service:
        await set_pace(service, requestsPerSecond=60)
        await posted(service)
        await keep_to(es, 20, 20, 20)
        relay.cut_after("POST", "/_cancel", None)
        await service.client.post("/api/v1/pace/stop")
        await relay.wait_for("POST", "/_cancel")
    relay.clear()
    async with running_service(relay.url, sqlite_url, **THREE_WINDOWS) as service:
        await set_pace(service, requestsPerSecond=None)
        await service.client.post("/api/v1/pace/go-on")
        await service.completed("big")


@pytest.mark.usefixtures("big")
async def test_nothing_begins_outside_of_the_hours_and_a_copy_stops_when_they_end(
    relay: Relay, es: Elastic, sqlite_url: str
) -> None:
    async with running_service(relay.url, sqlite_url, **THREE_WINDOWS) as service:
        await set_pace(service, hours=hours(120, 180), requestsPerSecond=60)
        asked = len(relay.seen)
        operation = await posted(service)
        worker = (await service.client.get("/api/v1/worker")).json()
        assert "outside of the hours for copies" in worker["waitsFor"]
        assert (await service.shown(operation))["pace"]["until"] is not None
        assert not any(seen.method == "PUT" for seen in relay.seen[asked:])
        assert es.blocks("big") == {}

        await set_pace(service, hours=hours(-60, 60))
        await keep_to(es, 20, 20, 20)
        await set_pace(service, f"/operations/{operation}", hours=hours(30, 180))
        await service.holds("big", "writes to big stay blocked")
        await no_task_runs(es)
        assert (await service.shown(operation))["state"] == "holding"
        await set_pace(service, f"/operations/{operation}", hours=None, requestsPerSecond=None)
        await set_pace(service, hours=None, requestsPerSecond=None)
        await service.completed("big")


@pytest.mark.usefixtures("big")
async def test_a_pace_that_was_changed_while_it_was_paused_is_kept_to(
    relay: Relay, es: Elastic, sqlite_url: str
) -> None:
    """Also: it is so slow that running batches would rest for too long, so they are made anew."""
    async with running_service(relay.url, sqlite_url, **THREE_WINDOWS) as service:
        await set_pace(service, requestsPerSecond=300)
        operation = await posted(service)
        await keep_to(es, 100, 100, 100)
        await service.client.post(f"/api/v1/operations/{operation}/pause")
        await service.state_of(operation, "paused")
        await set_pace(service, f"/operations/{operation}", requestsPerSecond=150)
        await service.client.post(f"/api/v1/operations/{operation}/resume")
        await keep_to(es, 50, 50, 50)
        await set_pace(service, f"/operations/{operation}", requestsPerSecond=0.1)
        await keep_to(es, 0.1)

        async def made_anew() -> bool:
            return 1 in [w["batch"] for w in (await service.shown(operation))["windows"]]

        await eventually(made_anew, "a window has batches of one document")
        await set_pace(service, f"/operations/{operation}", requestsPerSecond=None)
        await set_pace(service, requestsPerSecond=None)
        await service.completed("big")


async def test_small_indices_keep_the_rate_together(
    relay: Relay, es: Elastic, sqlite_url: str
) -> None:
    """Each is one batch, which nothing but this service can slow down: 40 documents at 20 a second
    are two seconds."""
    filled(es, "a", 40)
    filled(es, "b", 40)
    arrived: list[float] = []

    async def noted(request: Seen) -> web.Response:
        arrived.append(time.monotonic())
        return await relay.forward(request)

    relay.when("POST", "^/_reindex", noted, None)
    settings = {"reindex_requests_per_second": 20.0}
    async with running_service(relay.url, sqlite_url, **settings) as service:
        await service.post_batch("a", "b")
        await service.completed("a", "b")
    first, second = arrived
    assert second - first > 1.0
