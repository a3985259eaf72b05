"""What a start makes of the operation that is there already, under both bases of the API."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import httpx
import pytest

from app.domain.job import Status
from app.domain.names import IndexName
from app.store.store import Store
from testbed.relay import Relay
from tests.api.test_bad_input import check_envelope
from tests.api.test_upgrade_assistant import QUICK, fresh
from tests.elasticsearch import Elastic
from tests.service import Service, running_service

IN_PROGRESS = "A reindex operation already in-progress for a"
COPY = "^/_reindex"
BLOCK = "^/a/_block/write"


@dataclass(frozen=True)
class Family:
    """A base, how one starts `a` under it, and where the answers differ from the other's."""

    base: str
    named: bool
    in_progress: int

    async def start(self, service: Service, name: str = "a") -> httpx.Response:
        if not self.named:
            return await service.client.post(f"{self.base}/{name}")
        body = {"indexName": name, "newIndexName": f"{name}-2"}
        return await service.client.post(self.base, json=body)

    def fresh(self, name: str = "a", **more: Any) -> dict[str, Any]:
        target = {"newIndexName": f"{name}-2"} if self.named else {}
        return {**fresh(name, **more), **target}

    def copies(self, name: str = "a") -> set[str]:
        """The indices after `name` was reindexed: the newer service keeps the old one."""
        return {f"{name}-2", name} if self.named else {f"reindexed-v8-{name}"}


FAMILIES = [
    pytest.param(Family("/api/upgrade_assistant/reindex", False, 400), id="upgrade_assistant"),
    pytest.param(Family("/api/reindex_service/reindex", True, 409), id="reindex_service"),
]
both = pytest.mark.parametrize("family", FAMILIES)


def filled(es: Elastic, name: str = "a") -> None:
    es.put(f"/{name}", QUICK)
    es.bulk(name, [{"n": n} for n in range(3)])


@both
async def test_an_index_without_an_operation_is_started(
    service: Service, es: Elastic, family: Family
) -> None:
    filled(es)
    answer = await family.start(service)
    assert (answer.status_code, answer.json()) == (200, family.fresh())
    await service.completed("a")
    assert es.indices() == family.copies()


@both
async def test_an_operation_in_progress_is_not_started_again(
    relayed: Service, relay: Relay, es: Elastic, family: Family
) -> None:
    filled(es)
    released = relay.hold("PUT", BLOCK)
    await family.start(relayed)
    await relay.wait_for("PUT", BLOCK)
    running = await relayed.operation("a")
    check_envelope(await family.start(relayed), family.in_progress, IN_PROGRESS)
    by_name = await relayed.client.post(f"{family.base}/a")
    check_envelope(by_name, family.in_progress, IN_PROGRESS)
    in_batch = await relayed.client.post(f"{family.base}/batch", json={"indexNames": ["a"]})
    assert in_batch.json() == {
        "enqueued": [],
        "errors": [{"indexName": "a", "message": IN_PROGRESS}],
    }
    assert await relayed.operation("a") == running
    released.set()
    await relayed.completed("a")


@both
async def test_a_completed_operation_is_followed_by_a_new_one(
    service: Service, es: Elastic, family: Family
) -> None:
    filled(es)
    await family.start(service)
    await service.completed("a")
    for index in es.indices():
        es.delete(f"/{index}")
    filled(es)
    answer = await family.start(service)
    assert (answer.status_code, answer.json()) == (200, family.fresh())
    await service.completed("a")
    assert es.indices() == family.copies()


@both
async def test_a_failed_operation_is_followed_by_a_new_one_from_the_first_step(
    service: Service, es: Elastic, family: Family
) -> None:
    es.fill_with_refused("a", QUICK)
    await family.start(service)
    failed = await service.ended("a")
    assert (failed["status"], failed["lastCompletedStep"]) == (2, 40)
    assert "document_parsing_exception" in failed["errorMessage"]

    es.let_malformed_pass("a", passes=True)
    answer = await family.start(service)
    assert (answer.status_code, answer.json()) == (200, family.fresh())
    await service.completed("a")
    assert es.indices() == family.copies()


@both
async def test_a_cancelled_operation_is_followed_by_a_new_one_from_the_first_step(
    relayed: Service, relay: Relay, es: Elastic, family: Family
) -> None:
    filled(es)
    released = relay.hold("PUT", BLOCK)
    await family.start(relayed)
    await relay.wait_for("PUT", BLOCK)
    cancelled = await relayed.client.post(f"{family.base}/a/cancel")
    assert (cancelled.status_code, cancelled.json()) == (200, {"acknowledged": True})
    released.set()
    assert (await relayed.ended("a"))["status"] == 4
    assert es.indices() == {"a"}

    answer = await family.start(relayed)
    assert (answer.status_code, answer.json()) == (200, family.fresh())
    await relayed.completed("a")
    assert es.indices() == family.copies()


@asynccontextmanager
async def paused_midway(relay: Relay, database: str, family: Family) -> AsyncGenerator[Service]:
    """A service whose operation on `a` is paused in the middle of its copy.

    It was stopped there while the cluster was away, and the row changed in between.
    """
    async with running_service(relay.url, database) as service:
        relay.hold("POST", COPY)
        await family.start(service)
        await relay.wait_for("POST", COPY)
        relay.refuse()
        await service.holds("a", "cannot be reached")
    relay.clear()
    store = await Store.open(database, "default", 15.0)
    lease = await store.role.take()
    found = await store.operations.latest(IndexName("a"))
    assert lease
    assert found
    await store.jobs.save(lease.token, found, {"status": Status.PAUSED}, (), (), "test")
    await store.role.release(lease)
    await store.close()
    relay.accept()
    async with running_service(relay.url, database) as service:
        yield service


@both
async def test_a_paused_operation_is_resumed_where_it_stopped(
    relay: Relay, sqlite_url: str, es: Elastic, family: Family
) -> None:
    filled(es)
    documents = es.documents("a")
    async with paused_midway(relay, sqlite_url, family) as service:
        paused = await service.operation("a")
        assert (paused["status"], paused["lastCompletedStep"]) == (3, 40)
        answer = await family.start(service)
        assert answer.status_code == 200, answer.text
        resumed = answer.json()
        assert (resumed["status"], resumed["lastCompletedStep"]) == (0, 40)
        assert resumed["newIndexName"] == paused["newIndexName"]
        await service.completed("a")
        assert es.documents("a") == documents
        assert es.indices() == family.copies()


async def test_a_resumed_operation_keeps_what_was_asked_for_when_it_was_made(
    relay: Relay, sqlite_url: str, es: Elastic
) -> None:
    filled(es)
    newer, older = (Family("/api/reindex_service/reindex", True, 409), FAMILIES[0].values[0])
    assert isinstance(older, Family)
    async with paused_midway(relay, sqlite_url, newer) as service:
        answer = await older.start(service)
        assert answer.json()["newIndexName"] == "a-2"
        await service.completed("a")
        assert es.indices() == {"a", "a-2"}


async def test_a_paused_operation_can_be_cancelled(
    relay: Relay, sqlite_url: str, es: Elastic
) -> None:
    filled(es)
    family = Family("/api/upgrade_assistant/reindex", False, 400)
    async with paused_midway(relay, sqlite_url, family) as service:
        assert await service.cancel("a") == 200
        assert (await service.ended("a"))["status"] == 4
        assert es.blocks("a") == {}
        assert es.indices() == {"a"}


@both
async def test_an_unknown_index_is_not_found_and_a_taken_target_a_conflict(
    service: Service, es: Elastic, family: Family
) -> None:
    check_envelope(await family.start(service), 404, "Index a does not exist in this cluster.")
    filled(es)
    (target,) = family.copies() - {"a"}
    es.put(f"/{target}")
    said = f"The index {target} already exists. Please try again."
    check_envelope(await family.start(service), 409, said)


@both
async def test_missing_privileges_are_refused_in_kibanas_words(
    relayed: Service, relay: Relay, es: Elastic, family: Family
) -> None:
    filled(es)
    relay.answer("GET", "^/_security/_authenticate", 200, {"username": "us"}, times=None)
    held = {"index": {"a": {"manage": False}}, "cluster": {"monitor": True}}
    relay.answer("POST", "/_has_privileges", 200, held, times=None)
    answer = await family.start(relayed)
    to = ' to "a-2"' if family.named else ""
    said = f'You do not have adequate privileges to reindex "a"{to}.'
    assert answer.status_code == 403
    assert answer.json() == {
        "statusCode": 403,
        "error": "Forbidden",
        "message": said,
        "attributes": {"missingPrivileges": ["manage on a"]},
    }
    assert await relayed.parts.store.events.after(0) == []
