"""One of two hosts is silent: what is posted is answered, and reindexed, by way of the other."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from testbed.relay import Relay
from testbed.silent import SilentHost
from tests.conditions import eventually
from tests.elastic.test_hosts import both_places, both_sorts, in_time
from tests.elasticsearch import Elastic
from tests.service import running_service
from tests.upgrades.midway import filled
from tests.upgrades.portrait import contents

TWO_SMALL_WITHIN = 60
NAMES = ("one", "two")


def two_small(es: Elastic) -> list[Any]:
    for name in NAMES:
        filled(es, name, 200, settings={"number_of_replicas": 0})
    return [contents(es, name) for name in NAMES]


@both_sorts
@both_places
async def test_two_small_indices_are_done_though_a_host_is_silent(
    elasticsearch_url: str, es: Elastic, sqlite_url: str, accepts: bool, place: int
) -> None:
    before = two_small(es)
    with SilentHost(accepts=accepts) as silent:
        hosts = [elasticsearch_url]
        hosts.insert(place, silent.url)
        async with running_service("", sqlite_url, elasticsearch_hosts=hosts) as service:
            await in_time(service.post_batch(*NAMES))
            await asyncio.wait_for(service.completed(*NAMES), TWO_SMALL_WITHIN)
    assert [contents(es, name) for name in NAMES] == before


@pytest.mark.parametrize(
    "at",
    [
        pytest.param(("PUT", "^/one/_block"), marks=pytest.mark.wide),
        ("POST", "^/_reindex"),
        ("GET", "^/_cluster/state/metadata/reind"),
    ],
    ids=["a block", "a copy", "a look"],
)
async def test_a_host_that_falls_silent_in_mid_operation_is_left_and_taken_again(
    relay: Relay, es: Elastic, sqlite_url: str, at: tuple[str, str]
) -> None:
    """It is the one that is asked for something, whichever that is, and silent from then on."""
    before = two_small(es)
    async with Relay(es.url) as other:
        for host in (relay, other):
            host.hold(*at)
        hosts = [relay.url, other.url]
        async with running_service("", sqlite_url, elasticsearch_hosts=hosts) as service:
            await service.post_batch(*NAMES)
            silent, well = await first_asked(at, relay, other)
            silent.clear()
            released = silent.hold("*", "", None)
            well.clear()
            await asyncio.wait_for(service.completed(*NAMES), TWO_SMALL_WITHIN)
            silent.clear()
            silent.seen.clear()
            released.set()

            async def asked_again() -> bool:
                await service.operation("one")
                return any(seen.path != "/" for seen in silent.seen)

            await eventually(asked_again, "the host that is back is asked", pause=0.2)
    assert [contents(es, name) for name in NAMES] == before


async def first_asked(at: tuple[str, str], one: Relay, other: Relay) -> tuple[Relay, Relay]:
    """The relay that gets such a request first, and the other one."""
    waiting = {
        asyncio.create_task(one.wait_for(*at)): (one, other),
        asyncio.create_task(other.wait_for(*at)): (other, one),
    }
    done, late = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
    for task in late:
        task.cancel()
    return waiting[done.pop()]
