"""The limits of whoever posted an index are looked at again when its turn comes."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator
from typing import Any

import pytest

from app.domain.errors import CannotRollBack, UnknownOperation
from app.domain.reach import EVERYTHING, Reach
from app.domain.request import ReindexRequest
from tests.elasticsearch import Elastic
from tests.service import Service, running_service
from tests.store.database import execute
from tests.upgrades.midway import filled

LOGS = Reach(("logs-*", "reindexed-v8-logs-*"))
NIGHTLY = "token:nightly"


@pytest.fixture
async def stopped(
    elasticsearch_url: str, database_url: str, es: Elastic
) -> AsyncGenerator[Service]:
    """A service at which nothing begins until `go_on`."""
    filled(es, "logs-1")
    async with running_service(elasticsearch_url, database_url) as service:
        assert (await service.client.post("/api/v1/pace/stop")).status_code == 200
        yield service


async def go_on(service: Service) -> None:
    assert (await service.client.post("/api/v1/pace/go-on")).status_code == 200


async def posted(service: Service, name: str = "logs-1") -> None:
    batch = await service.parts.queue.enqueue_batch([ReindexRequest(name)], NIGHTLY, reach=LOGS)
    assert batch.refused == []


def narrow(database_url: str, *patterns: str) -> None:
    """The limits that the operation has kept are others now."""
    record = json.dumps({"allowed": patterns})
    execute(database_url, f"UPDATE job SET record = '{record}' WHERE kind = 'rewrite'")


async def failed(service: Service, es: Elastic) -> dict[str, Any]:
    ended = await service.newest_ended("logs-1")
    assert ended["state"] == "failed"
    assert ended["error"]["code"] == "index_not_allowed"
    assert es.blocks("logs-1") == {}
    return await service.shown(ended["id"])


async def test_one_that_is_within_them_is_done(stopped: Service, es: Elastic) -> None:
    await posted(stopped)
    await go_on(stopped)
    await stopped.completed("logs-1")
    assert es.indices() == {"reindexed-v8-logs-1"}


@pytest.mark.parametrize("patterns", [["reindexed-v8-logs-*"], ["logs-*"], ["other"]])
async def test_one_whose_source_or_target_is_not_fails_before_anything_is_changed(
    stopped: Service, es: Elastic, database_url: str, patterns: list[str]
) -> None:
    await posted(stopped)
    narrow(database_url, *patterns)
    await go_on(stopped)
    told = await failed(stopped, es)
    assert told["failure"]["class"] == "privileges"
    assert NIGHTLY in told["error"]["message"]
    assert es.indices() == {"logs-1"}


async def test_a_name_that_stands_for_another_index_by_then_is_not_told_which(
    stopped: Service, es: Elastic
) -> None:
    await posted(stopped)
    filled(es, "secret-1")
    es.delete("/logs-1")
    es.put("/secret-1/_alias/logs-1")
    await go_on(stopped)
    ended = await stopped.newest_ended("logs-1")
    assert ended["error"]["code"] == "index_not_allowed"
    assert "secret" not in str(await stopped.shown(ended["id"]))
    assert es.indices() == {"secret-1"}
    assert es.blocks("secret-1") == {}


async def test_a_target_whose_name_is_an_alias_of_a_hidden_index_by_then_is_not_told_which(
    stopped: Service, es: Elastic
) -> None:
    await posted(stopped)
    filled(es, "secret-1")
    es.put("/secret-1/_alias/reindexed-v8-logs-1")
    await go_on(stopped)
    assert "secret" not in str(await failed(stopped, es))
    assert es.indices() == {"logs-1", "secret-1"}


async def test_a_rollback_whose_caller_may_not_is_refused_when_it_begins(
    elasticsearch_url: str, es: Elastic, sqlite_url: str
) -> None:
    filled(es, "logs-1")
    async with running_service(elasticsearch_url, sqlite_url) as service:
        options = {"index": "logs-1", "keepOldIndex": True}
        (operation,) = (await service.post_options(options))["operations"]
        await service.completed("logs-1")
        found = await service.parts.store.operations.load(operation["id"])
        woken = await service.parts.store.kept_copies.request_rollback(
            found, NIGHTLY, forced=False, reach=Reach(("logs-*",))
        )
        assert woken.reach == Reach(("logs-*",))
        service.parts.control._wake_ups.wake()  # pyright: ignore[reportPrivateUsage]
        assert await service.state_of(operation["id"], "completed", "rolledBack") == "completed"
        whats = [event.what for event in await service.events("logs-1")]
        assert "rollback refused" in whats
    assert "reindexed-v8-logs-1" in es.indices()


async def test_why_a_rollback_cannot_be_names_no_index_beyond_them(
    elasticsearch_url: str, es: Elastic, sqlite_url: str
) -> None:
    filled(es, "logs-1")
    async with running_service(elasticsearch_url, sqlite_url) as service:
        options = {"index": "logs-1", "keepOldIndex": True}
        (operation,) = (await service.post_options(options))["operations"]
        await service.completed("logs-1")
        es.delete("/reindexed-v8-logs-1/_alias/logs-1")
        es.put("/secret-1")
        es.put("/secret-1/_alias/logs-1")
        rollback = service.parts.rollback
        for reach, said in ((LOGS, "an alias of another index"), (EVERYTHING, "of secret-1 now")):
            with pytest.raises(CannotRollBack, match=said):
                await rollback.request(operation["id"], NIGHTLY, forced=False, reach=reach)
        with pytest.raises(UnknownOperation):
            await rollback.request(operation["id"], NIGHTLY, forced=True, reach=Reach(("logs-*",)))
