"""A small job of an index comes before a rewrite of it, which would not see what it does."""

from __future__ import annotations

import asyncio

from aiohttp import web

from testbed.relay import Relay, Seen
from tests.elasticsearch import Elastic
from tests.service import Service
from tests.upgrades.midway import filled


async def test_a_rewrite_begins_when_the_block_that_a_client_waits_for_is_in_force(
    relayed: Service, relay: Relay, es: Elastic
) -> None:
    filled(es, "plain")
    filled(es, "other")
    arrived, let_go = asyncio.Event(), asyncio.Event()

    async def slowly(request: Seen) -> web.Response:
        arrived.set()
        await let_go.wait()
        return await relay.forward(request)

    relay.when("PUT", "^/plain/_block/write", slowly)
    path, body = "/api/upgrade_assistant/update_index/plain", {"operations": ["blockWrite"]}
    asked = asyncio.create_task(relayed.client.post(path, json=body))
    await arrived.wait()
    await relayed.post_batch("plain")
    started = await relayed.client.post("/api/upgrade_assistant/reindex/other")
    assert started.status_code == 200
    await relayed.completed("other")  # so the worker has looked at what may be begun
    assert (await relayed.parts.reading.operation("plain")).started_at is None
    let_go.set()
    assert (await asked).status_code == 200
    await relayed.completed("plain")
    assert es.blocks("reindexed-v8-plain") == {"index.blocks.write": "true"}
