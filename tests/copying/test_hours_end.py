"""An index is blocked only for as long as its hours last: before they end, and when they do."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from testbed.relay import Relay
from tests.conditions import eventually
from tests.copying.test_pace import (
    THREE_WINDOWS,
    hours,
    keep_to,
    no_task_runs,
    posted,
    set_pace,
)
from tests.elasticsearch import Elastic
from tests.service import Service, running_service
from tests.upgrades.midway import filled
from tests.upgrades.portrait import contents

NAME = "big"
GIVE_BACK: dict[str, Any] = {**THREE_WINDOWS, "reindex_hours_end": "give-back"}
OVER = hours(-60, -1)
"""Hours that ended a minute ago, or two."""


def big(es: Elastic) -> Any:
    filled(es, NAME, 3_000, settings={"number_of_replicas": 0})
    return contents(es, NAME)


async def copying(service: Service, es: Elastic) -> str:
    """Posts it, at 60 documents a second, within hours; its id once it copies."""
    await set_pace(service, hours=hours(-60, 60), requestsPerSecond=60)
    operation = await posted(service)
    await keep_to(es, 20, 20, 20)
    return operation


async def full_speed(service: Service) -> None:
    await set_pace(service, hours=None, requestsPerSecond=None)


async def whats(service: Service) -> list[str]:
    return [event.what for event in await service.events(NAME)]


async def test_hours_that_end_in_mid_copy_let_it_finish_and_say_until_when(
    relay: Relay, es: Elastic, sqlite_url: str
) -> None:
    documents = big(es)
    filled(es, "next", 5)
    async with running_service(relay.url, sqlite_url, **THREE_WINDOWS) as service:
        operation = await copying(service, es)
        since = (await service.shown(operation))["writesBlockedSince"]
        assert datetime.fromisoformat(since) > datetime.now(UTC) - timedelta(minutes=1)
        await set_pace(service, hours=OVER, requestsPerSecond=90)
        await keep_to(es, 30, 30, 30)
        next_one = await posted(service, "next")
        shown = await service.shown(operation)
        assert shown["state"] == "running"
        assert "are over: it goes on until" in shown["pace"]["reason"]
        assert not shown["pace"]["closed"]
        await set_pace(service, requestsPerSecond=None)
        done = await service.newest_ended(NAME)
        assert (done["state"], done["writesBlockedSince"]) == ("completed", None)
        assert (await service.shown(next_one))["state"] == "waiting"
        assert es.blocks("next") == {}
    assert contents(es, NAME) == documents


@pytest.mark.parametrize("more", [{"reindex_hours_grace": "30s"}, {"reindex_hours_end": "hold"}])
async def test_hours_that_end_hold_the_copy_where_that_is_wanted_and_after_the_grace(
    relay: Relay, es: Elastic, sqlite_url: str, more: dict[str, Any]
) -> None:
    documents = big(es)
    async with running_service(relay.url, sqlite_url, **THREE_WINDOWS, **more) as service:
        operation = await copying(service, es)
        await set_pace(service, hours=OVER)
        await service.holds(NAME, "writes to big stay blocked")
        await no_task_runs(es)
        assert (await service.shown(operation))["writesBlockedSince"] is not None
        await full_speed(service)
        await service.completed(NAME)
        assert "given back" not in await whats(service)
    assert contents(es, NAME) == documents


async def test_hours_that_end_give_the_index_back_and_it_is_first_when_they_open(
    relay: Relay, es: Elastic, sqlite_url: str
) -> None:
    big(es)
    filled(es, "next", 5)
    async with running_service(relay.url, sqlite_url, **GIVE_BACK) as service:
        operation = await copying(service, es)
        await posted(service, "next")
        await set_pace(service, hours=OVER)
        assert await service.state_of(operation, "waiting") == "waiting"
        assert es.copy_tasks() == []
        assert es.indices() == {NAME, "next"}
        assert es.blocks(NAME) == {}
        assert es.aliases(NAME) == {}
        shown = await service.shown(operation)
        assert (shown["writesBlockedSince"], shown["startedAt"], shown["windows"]) == (
            None,
            None,
            [],
        )
        es.put(f"/{NAME}/_doc/late?refresh=true", {"n": -1})
        documents = contents(es, NAME)
        await full_speed(service)
        await service.completed(NAME, "next")
        assert (await whats(service)).count("started") == 2
        first, second = await service.newest(NAME), await service.newest("next")
        assert first
        assert second
        assert first["endedAt"] < second["endedAt"]
        assert first["id"] == operation
    assert contents(es, NAME) == documents


async def test_one_that_was_given_back_is_cancelled_as_if_it_had_not_begun(
    relay: Relay, es: Elastic, sqlite_url: str
) -> None:
    big(es)
    async with running_service(relay.url, sqlite_url, **GIVE_BACK) as service:
        operation = await copying(service, es)
        await set_pace(service, hours=OVER)
        await service.state_of(operation, "waiting")
        changing = [seen for seen in relay.seen if seen.method != "GET"]
        assert await service.cancel(NAME) == 200
        assert await service.state_of(operation, "cancelled", "failed") == "cancelled"
        assert [seen for seen in relay.seen if seen.method != "GET"] == changing
    assert es.indices() == {NAME}


async def test_one_that_is_given_back_again_and_again_fails_with_its_index_as_it_was(
    relay: Relay, es: Elastic, sqlite_url: str
) -> None:
    documents = big(es)
    async with running_service(relay.url, sqlite_url, **GIVE_BACK) as service:
        operation = await copying(service, es)
        for _ in range(2):
            await set_pace(service, hours=OVER)
            await service.state_of(operation, "waiting")
            await set_pace(service, hours=hours(-60, 60))
            await keep_to(es, 20, 20, 20)
        await set_pace(service, hours=OVER)
        assert await service.state_of(operation, "failed", "waiting") == "failed"
        failure = (await service.shown(operation))["failure"]
        assert "Widen the hours" in failure["remedy"]
    assert es.indices() == {NAME}
    assert es.blocks(NAME) == {}
    assert contents(es, NAME) == documents


async def test_an_index_is_not_blocked_that_would_still_be_at_the_end_of_the_hours(
    relay: Relay, es: Elastic, sqlite_url: str
) -> None:
    """3,000 documents at two a second are 25 minutes. The one behind it keeps its place."""
    big(es)
    filled(es, "next", 5)
    async with running_service(relay.url, sqlite_url, **THREE_WINDOWS) as service:
        await set_pace(service, hours=hours(-60, 10), requestsPerSecond=2)
        operation = await posted(service)
        next_one = await posted(service, "next")
        await service.holds(NAME, "it may take 25m")
        assert es.blocks(NAME) == {}
        assert (await service.shown(operation))["writesBlockedSince"] is None
        assert (await service.shown(next_one))["state"] == "waiting"
        es.put(f"/{NAME}/_doc/late?refresh=true", {"n": -1, "new": "field"})
        documents = contents(es, NAME)
        await set_pace(service, hours=hours(-60, 10), requestsPerSecond=None)
        await service.completed(NAME, "next")
    assert contents(es, NAME) == documents


async def test_an_index_is_judged_by_those_that_are_done(
    relay: Relay, es: Elastic, sqlite_url: str
) -> None:
    filled(es, "slow", 12, settings={"number_of_replicas": 0})
    big(es)
    async with running_service(relay.url, sqlite_url, **THREE_WINDOWS) as service:
        await set_pace(service, requestsPerSecond=2)
        await posted(service, "slow")
        await service.completed("slow")
        await set_pace(service, hours=hours(-60, 5), requestsPerSecond=None)
        operation = await posted(service)
        await service.holds(NAME, "it may take")
        assert es.blocks(NAME) == {}
        await service.client.post(f"/api/v1/operations/{operation}/cancel")
        await service.state_of(operation, "cancelled")
    assert es.indices() == {NAME, "reindexed-v8-slow"}


async def test_an_index_that_no_hours_are_long_enough_for_begins_when_they_open(
    relay: Relay, es: Elastic, sqlite_url: str
) -> None:
    documents = big(es)
    async with running_service(relay.url, sqlite_url, **THREE_WINDOWS) as service:
        await set_pace(service, hours=hours(-1, 9), requestsPerSecond=2)
        operation = await posted(service)

        async def copies() -> bool:
            return bool(es.copy_tasks())

        await eventually(copies, "it copies")
        warnings = [e.text for e in await service.events(NAME) if e.what == "warning"]
        assert "it will overrun" in warnings[0]
        await service.client.post("/api/v1/pace/stop")
        await service.client.post(f"/api/v1/operations/{operation}/cancel")
        await service.state_of(operation, "cancelled")
    assert contents(es, NAME) == documents


async def test_a_hold_that_blocks_writes_for_long_is_told_and_paused_ones_are_shown(
    relay: Relay, es: Elastic, sqlite_url: str
) -> None:
    big(es)
    async with running_service(
        relay.url, sqlite_url, **THREE_WINDOWS, reindex_max_block=0.5
    ) as service:
        operation = await copying(service, es)
        await service.client.post("/api/v1/pace/stop")

        async def told() -> bool:
            return "writes blocked for long" in await whats(service)

        await eventually(told, "that writes are blocked for long")
        assert (await whats(service)).count("writes blocked for long") == 1
        await service.client.post(f"/api/v1/operations/{operation}/pause")
        await service.state_of(operation, "paused")
        listed = await service.newest(NAME)
        assert listed
        assert listed["writesBlocked"]
        assert listed["writesBlockedSince"] is not None
        await service.client.post(f"/api/v1/operations/{operation}/cancel")
        await service.state_of(operation, "cancelled")
        assert (await service.shown(operation))["writesBlockedSince"] is None
    assert es.indices() == {NAME}


async def test_a_hold_that_blocks_writes_for_long_ends_where_indices_are_given_back(
    relay: Relay, es: Elastic, sqlite_url: str
) -> None:
    """Not blocked again at once: it rests for a minute, unless somebody asks."""
    big(es)
    async with running_service(
        relay.url, sqlite_url, **GIVE_BACK, reindex_max_block=0.5
    ) as service:
        operation = await copying(service, es)
        await service.client.post("/api/v1/pace/stop")
        await service.state_of(operation, "waiting")
        assert es.indices() == {NAME}
        assert es.blocks(NAME) == {}
        es.put(f"/{NAME}/_doc/late?refresh=true", {"n": -1})
        documents = contents(es, NAME)
        await service.client.post("/api/v1/pace/go-on")
        await service.holds(NAME, "was given back because it was blocked for long")
        assert es.blocks(NAME) == {}
        assert (await service.shown(operation))["writesBlockedSince"] is None
        await full_speed(service)
        await service.client.post(f"/api/v1/operations/{operation}/retry")
        await service.completed(NAME)
    assert contents(es, NAME) == documents


async def test_a_service_that_ends_while_it_gives_an_index_back_goes_on_with_that(
    relay: Relay, es: Elastic, sqlite_url: str
) -> None:
    documents = big(es)
    async with running_service(relay.url, sqlite_url, **GIVE_BACK) as service:
        operation = await copying(service, es)
        relay.cut_after("POST", "^/_aliases", None)
        await set_pace(service, hours=OVER)
        await relay.wait_for("POST", "^/_aliases")
    relay.clear()
    async with running_service(relay.url, sqlite_url, **GIVE_BACK) as service:
        await service.state_of(operation, "waiting")
        assert es.indices() == {NAME}
        assert es.blocks(NAME) == {}
        await full_speed(service)
        await service.completed(NAME)
    assert contents(es, NAME) == documents
