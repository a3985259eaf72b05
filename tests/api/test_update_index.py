"""`update_index`: the write block instead of a reindex, answered when it is in force."""

from __future__ import annotations

import asyncio

from app.domain.names import IndexName
from app.upgrades.small import BLOCK_WRITE
from testbed.relay import Relay
from tests.conditions import eventually
from tests.elasticsearch import Elastic
from tests.service import Service, running_service
from tests.store.database import execute

PATH = "/api/upgrade_assistant/update_index"
BLOCK = {"operations": ["blockWrite"]}


async def test_the_write_block_is_in_force_when_the_answer_comes(
    service: Service, es: Elastic
) -> None:
    es.put("/old")
    answer = await service.client.post(f"{PATH}/old", json=BLOCK)
    assert answer.status_code == 200, answer.text
    assert answer.content == b""
    assert es.blocks("old") == {"index.blocks.write": "true"}
    assert es.settings("old")["index.verified_read_only"] == "true"
    again = await service.client.post(f"{PATH}/old", json=BLOCK)
    assert again.status_code == 200


async def test_it_is_refused_while_an_operation_on_the_index_lives(
    relayed: Service, relay: Relay, es: Elastic
) -> None:
    es.put("/old", {"settings": {"number_of_replicas": 0}})
    es.bulk("old", [{"n": 1}])
    held = relay.hold("POST", "/_reindex")
    await relayed.post_batch("old")
    await relay.wait_for("POST", "/_reindex")
    answer = await relayed.client.post(f"{PATH}/old", json=BLOCK)
    assert answer.status_code == 400
    assert answer.json()["message"] == "A reindex operation already in-progress for old"
    held.set()
    await relayed.completed("old")


async def test_it_is_done_beside_an_operation_on_another_index(
    relayed: Service, relay: Relay, es: Elastic
) -> None:
    es.put("/busy", {"settings": {"number_of_replicas": 0}})
    es.bulk("busy", [{"n": 1}])
    es.put("/old")
    held = relay.hold("POST", "/_reindex")
    await relayed.post_batch("busy")
    await relay.wait_for("POST", "/_reindex")
    answer = await asyncio.wait_for(relayed.client.post(f"{PATH}/old", json=BLOCK), 20)
    assert answer.status_code == 200
    held.set()
    await relayed.completed("busy")


async def test_a_block_that_was_not_acknowledged_and_is_not_there_is_told(
    relayed: Service, relay: Relay, es: Elastic
) -> None:
    es.put("/old")
    relay.answer("PUT", "^/old/_block/write", 200, {"acknowledged": False})
    answer = await relayed.client.post(f"{PATH}/old", json=BLOCK)
    assert answer.status_code == 500
    assert answer.json()["message"] == "Could not set apply blockWrite to old."


async def test_an_unknown_index_an_alias_and_an_odd_operation_are_refused(
    service: Service, es: Elastic
) -> None:
    es.put("/old", {"aliases": {"mine": {}}})
    cases: list[tuple[str, dict[str, list[str]], int]] = [
        ("gone", BLOCK, 404),
        ("mine", BLOCK, 400),
        ("o*", BLOCK, 400),
        ("old", {"operations": ["unfreeze"]}, 400),
        ("old", {"operations": []}, 400),
        ("old", {}, 400),
    ]
    for name, body, status in cases:
        answer = await service.client.post(f"{PATH}/{name}", json=body)
        assert answer.status_code == status, answer.text
        assert answer.json()["message"]
    assert es.blocks("old") == {}


async def test_what_nobody_waits_for_any_more_is_not_done(
    elasticsearch_url: str, es: Elastic, sqlite_url: str
) -> None:
    """The service that took the request was killed, and another one finds it an hour later."""
    es.put("/old")
    async with running_service(elasticsearch_url, sqlite_url) as service:
        small_jobs = service.parts.store.small_jobs
        service.parts.worker.stop()

        async def stopped() -> bool:
            return not service.parts.worker.report.alive

        await eventually(stopped, "the worker has stopped")
        left = await small_jobs.leave(BLOCK_WRITE, IndexName("old"), "caller")
    execute(sqlite_url, "UPDATE job SET created_at = '2020-01-01 00:00:00'")
    async with running_service(elasticsearch_url, sqlite_url) as service:

        async def ended() -> bool:
            return (await service.parts.store.small_jobs.find(left)).ended_at is not None

        await eventually(ended, "the small job is looked at")
        assert (await service.parts.store.small_jobs.find(left)).error_code == "too_late"
    assert es.blocks("old") == {}
