"""The wall clock of the service is set while it runs: nothing waits longer for it, or shorter."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from app.domain.job import ENDED_STATES
from testbed.faketime import FakedClock
from testbed.relay import Relay
from tests.conditions import eventually
from tests.e2e.process import ServiceProcess
from tests.elasticsearch import Elastic
from tests.upgrades.midway import filled

HOUR, DAY = 3600, 86_400
ALONE = {"number_of_replicas": 0}
FULL = {"type": "es_rejected_execution_exception", "reason": "full"}
REJECTED = {
    **{"took": 1, "timed_out": False, "total": 20, "created": 0, "updated": 0, "deleted": 0},
    "failures": [{"index": "reindexed-v8-plain", "id": "7", "cause": FULL, "status": 429}],
}


@asynccontextmanager
async def serving(clock: FakedClock, url: str, **settings: str) -> AsyncGenerator[ServiceProcess]:
    environment = {"ELASTICSEARCH_HOSTS": url, **clock.environment, **settings}
    async with ServiceProcess(environment) as service:
        yield service


async def completed(service: ServiceProcess, name: str) -> dict[str, Any]:
    """Waits until the newest operation of that index has completed, and answers it.

    It asks now and then only: with libfaketime every answer takes a service ten times as long.
    """
    found: list[dict[str, Any]] = []

    async def over() -> bool:
        found[:] = [o for o in [await service.api.newest(name)] if o and o["state"] in ENDED_STATES]
        return bool(found)

    await eventually(over, f"the operation of {name} ends", 60, pause=0.5)
    assert found[0]["state"] == "completed"
    return found[0]


@pytest.fixture
def clock(tmp_path: Path) -> FakedClock:
    return FakedClock(tmp_path)


@pytest.mark.parametrize("jump", [-HOUR, pytest.param(HOUR, marks=pytest.mark.wide)])
async def test_clock_a_resting_window_does_not_wait_for_one_that_is_set(
    relay: Relay, es: Elastic, clock: FakedClock, jump: int
) -> None:
    filled(es, "plain", settings=ALONE)
    before = es.documents("plain")
    relay.answer("POST", "^/_reindex", 200, REJECTED, times=4)

    def refused() -> int:
        return sum(seen.path.startswith("/_reindex") for seen in relay.seen)

    async with serving(clock, relay.url) as service:
        await service.api.post_batch("plain")

        async def rests() -> bool:
            return refused() >= 3

        await eventually(rests, "the window rests before its fourth try")
        clock.set_by(jump)
        shown = await completed(service, "plain")
        now = datetime.now(UTC) + timedelta(seconds=jump)
        ended = datetime.fromisoformat(shown["endedAt"])
        assert abs((now - ended).total_seconds()) < HOUR / 2, "times are shown as the clock is set"
    assert es.documents("plain") == before
    assert refused() == 5


@pytest.mark.wide
async def test_clock_an_operation_that_holds_makes_room_though_it_is_set_back(
    relay: Relay, es: Elastic, clock: FakedClock
) -> None:
    filled(es, "stuck", settings=ALONE)
    filled(es, "next", settings=ALONE)
    relay.answer("PUT", "^/stuck/_block", 429, {"error": FULL, "status": 429}, times=None)
    skips = {"REINDEX_HOLD_POLICY": "skip", "REINDEX_HOLD_SKIP_SECONDS": "6"}
    async with serving(clock, relay.url, **skips) as service:
        await service.api.post_options({"index": "stuck"}, {"index": "next"})
        await relay.wait_for("PUT", "^/stuck/_block")
        clock.set_by(-HOUR)
        await completed(service, "next")
        relay.clear()
        shown = await service.api.newest("stuck")
        assert shown
        await service.client.post(f"/api/v1/operations/{shown['id']}/retry")
        await completed(service, "stuck")
    assert es.indices() == {"reindexed-v8-next", "reindexed-v8-stuck"}


def kept_copies(es: Elastic) -> set[str]:
    return {index for index in es.indices() if index.startswith("kept-")}


@pytest.mark.wide
async def test_clock_a_kept_copy_stays_its_time_though_it_is_set_forward(
    es: Elastic, clock: FakedClock
) -> None:
    filled(es, "old", settings=ALONE)
    filled(es, "next", settings=ALONE)
    async with serving(clock, es.url, REINDEX_KEEP_DAYS="1") as service:
        posted = await service.api.post_options({"index": "old"}, keepOldIndex=True)
        await completed(service, "old")
        clock.set_by(3 * DAY)
        await service.api.post_batch("next")
        await completed(service, "next")

        async def idle() -> bool:  # what is idle has looked for copies whose time is over
            return (await service.client.get("/readyz")).json()["worker"]["state"] == "idle"

        await eventually(idle, "the worker is idle", pause=0.5)
        assert len(kept_copies(es)) == 1
        (operation,) = posted["operations"]
        assert (await service.api.roll_back(operation["id"])).status_code < 300

        async def rolled_back() -> bool:
            return (await service.api.shown(operation["id"]))["state"] == "rolledBack"

        await eventually(rolled_back, "it is rolled back", pause=0.5)


async def test_clock_a_kept_copy_goes_in_time_though_it_is_set_back(
    es: Elastic, clock: FakedClock
) -> None:
    filled(es, "old", settings=ALONE)
    async with serving(clock, es.url, REINDEX_KEEP_DAYS=str(15 / DAY)) as service:
        await service.api.post_options({"index": "old"}, keepOldIndex=True)
        await completed(service, "old")
        assert len(kept_copies(es)) == 1
        clock.set_by(-HOUR)

        async def gone() -> bool:
            return not kept_copies(es)

        await eventually(gone, "its time is over", 60, pause=0.5)


@pytest.mark.wide
async def test_clock_a_service_that_is_started_with_one_set_back_does_not_wait_for_the_difference(
    relay: Relay, es: Elastic, clock: FakedClock
) -> None:
    filled(es, "plain", settings=ALONE)
    relay.answer("POST", "^/_reindex", 200, REJECTED, times=4)
    async with serving(clock, relay.url) as service:
        await service.api.post_batch("plain")

        async def rests() -> bool:
            return sum(seen.path.startswith("/_reindex") for seen in relay.seen) >= 3

        await eventually(rests, "the window rests")
        service.kill()
        clock.set_by(-HOUR)
        await service.start()
        await completed(service, "plain")
