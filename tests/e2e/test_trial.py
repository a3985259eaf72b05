"""A trial of a plan whose service is killed in the middle leaves nothing behind."""

from __future__ import annotations

import asyncio

import httpx
from aiohttp import web

from testbed.relay import Relay, Seen
from tests.conditions import eventually
from tests.e2e.process import ServiceProcess
from tests.elasticsearch import Elastic
from tests.upgrades.midway import filled
from tests.upgrades.portrait import as_found


async def test_a_trial_that_is_killed_is_tidied_up_by_the_next_start(
    relay: Relay, es: Elastic
) -> None:
    """Killed with the new index made and the marker on the old one."""
    filled(es, "old", aliases={"logs": {}})
    before = as_found(es, "old")
    async with ServiceProcess({"ELASTICSEARCH_HOSTS": relay.url}) as service:
        removing = asyncio.Event()

        async def kill(request: Seen) -> web.Response | None:
            if b"remove_index" not in request.body or removing.is_set():
                return await relay.forward(request)
            service.kill()
            removing.set()
            return None

        relay.when("POST", "^/_aliases", kill, None)
        body = {"indices": [{"index": "old"}], "trial": True}
        asked = asyncio.create_task(service.client.post("/api/v1/plan", json=body))
        await asyncio.wait_for(removing.wait(), 30)
        (answer,) = await asyncio.gather(asked, return_exceptions=True)
        assert isinstance(answer, httpx.TransportError)
        assert es.indices() == {"old", "reindexed-v8-old"}
        assert len(es.aliases("old")) == 2
        await service.start()

        async def tidy() -> bool:
            return es.indices() == {"old"} and len(es.aliases("old")) == 1

        await eventually(tidy, "what the trial made is removed")
    assert as_found(es, "old") == before
