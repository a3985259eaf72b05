"""Stopping an operation in the middle, to interfere with it."""

from __future__ import annotations

import asyncio
from typing import Any

from aiohttp import web

from testbed.relay import Relay, Seen
from tests.conditions import eventually
from tests.elasticsearch import Elastic
from tests.service import Api

POLL = r"^/_tasks/[^?]"
"""A look at the copy's task: held, the copy stays in the middle for as long as a test needs."""


NO_RECOVERIES = "cluster.routing.allocation.node_initial_primaries_recoveries"


def take_primary(es: Elastic, index: str) -> None:
    """Shard 0 of `index` is nowhere until `give_primary`."""
    es.put("/_cluster/settings", {"persistent": {NO_RECOVERIES: 0}})
    node = next(iter(es.get("/_nodes")["nodes"]))
    cancel = {"index": index, "shard": 0, "node": node, "allow_primary": True}
    es.post("/_cluster/reroute", {"commands": [{"cancel": cancel}]})


def give_primary(es: Elastic) -> None:
    es.put("/_cluster/settings", {"persistent": {NO_RECOVERIES: None}})


def filled(es: Elastic, index: str, documents: int = 20, **body: Any) -> None:
    """Creates an index with documents in it."""
    es.put(f"/{index}", body)
    es.bulk(index, [{"n": n} for n in range(documents)])


async def held_at(relay: Relay, place: tuple[str, str], service: Api, *names: str) -> asyncio.Event:
    """Posts a batch and stops it where the first request of that method and path comes by.

    It goes on once the event is set.
    """
    released = relay.hold(*place)
    await service.post_batch(*names)
    await relay.wait_for(*place)
    return released


async def all_copied(es: Elastic) -> None:
    """Waits until the copy's task has ended in Elasticsearch; the service need not know yet."""

    async def over() -> bool:
        return not es.copy_tasks()

    await eventually(over, "the copy's task ends")


class Removal:
    """The guarded call that removes an index: `arrived` at the relay, on its way once `released`.

    Made before it comes; the calls that only put a marker on pass.
    """

    def __init__(self, relay: Relay) -> None:
        self.arrived = asyncio.Event()
        self.released = asyncio.Event()
        self._relay = relay
        relay.when("POST", "^/_aliases", self._wait, None)

    async def _wait(self, request: Seen) -> web.Response:
        if b"remove_index" in request.body:
            self.arrived.set()
            await self.released.wait()
        return await self._relay.forward(request)


def crawl(relay: Relay, *, copies: int = 1, answer: bool = True) -> None:
    """Has the next `copies` go at a document a second (with batches of one)."""

    async def slow(request: Seen) -> web.Response | None:
        slowly = request._replace(path=f"{request.path}&requests_per_second=1")
        started = await relay.forward(slowly)
        return started if answer else None

    relay.when("POST", "^/_reindex", slow, copies)


def hurry(es: Elastic) -> None:
    """Ends `crawl`."""
    (task,) = es.copy_tasks()
    es.post(f"/_reindex/{task['node']}:{task['id']}/_rethrottle?requests_per_second=-1")
