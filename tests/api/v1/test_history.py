"""Pruning by the API: who may ask, what is answered, and that the worker does it."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from app.domain import clock
from app.domain.names import IndexName
from app.main import create_app
from app.settings import Settings
from app.sites.site import Site
from tests.conditions import eventually
from tests.store.database import execute

NOWHERE = "http://127.0.0.1:9"
YEAR = timedelta(days=365)


@asynccontextmanager
async def asked(database_url: str, **given: Any) -> AsyncGenerator[tuple[httpx.AsyncClient, Site]]:
    """The service without Elasticsearch: history is of the database alone."""
    made: dict[str, Any] = {"elasticsearch_hosts": [NOWHERE], "database_url": database_url}
    app = create_app(Settings(**made, **given))
    async with app.router.lifespan_context(app):
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://service") as client:
            yield client, app.state.sites.of()


async def left_old(site: Site, database_url: str, *names: str) -> None:
    """Small jobs that ended a year ago."""
    for name in names:
        job_id = await site.store.small_jobs.leave("unknown kind", IndexName(name), "caller")
        assert await site.store.small_jobs.withdraw(job_id)
    then = (clock.now() - YEAR).strftime("%Y-%m-%d %H:%M:%S.%f")
    execute(database_url, "UPDATE job SET ended_at = :then", then=then)


def jobs(database_url: str) -> int:
    ((number,),) = execute(database_url, "SELECT count(*) FROM job")
    return int(number)


async def done(client: httpx.AsyncClient) -> dict[str, Any]:
    """The last pruning, once it has ended."""
    found: dict[str, Any] = {}

    async def over() -> bool:
        found.update((await client.get("/api/v1/prune")).json()["pruning"] or {})
        return found.get("endedAt") is not None

    await eventually(over, "the pruning ends", 20)
    return found


async def test_without_the_setting_nothing_is_removed_until_somebody_says_how_old(
    sqlite_url: str,
) -> None:
    async with asked(sqlite_url) as (client, site):
        await left_old(site, sqlite_url, "a", "b")
        said = (await client.get("/api/v1/prune")).json()
        assert said == {"historyDays": None, "auditDays": 400.0, "pruning": None}
        refused = await client.post("/api/v1/prune")
        assert refused.status_code == 400
        assert "REINDEX_HISTORY_DAYS" in refused.json()["message"]
        assert jobs(sqlite_url) == 2
        before = datetime.now(UTC)
        begun = await client.post("/api/v1/prune", json={"days": 30})
        assert begun.status_code == 200
        pruning = begun.json()["pruning"]
        assert pruning["by"] == "api:127.0.0.1"
        age = before - datetime.fromisoformat(pruning["olderThan"])
        assert abs(age - timedelta(days=30)) < timedelta(minutes=1)
        ended = await done(client)
        assert ended["removed"] == {"batches": 0, "jobs": 2, "windows": 0, "events": 0}
        assert jobs(sqlite_url) == 0


async def test_with_the_setting_the_worker_begins_by_itself(sqlite_url: str) -> None:
    async with asked(sqlite_url) as (_, site):
        await left_old(site, sqlite_url, "a")
    async with asked(sqlite_url, reindex_history_days=30) as (client, site):
        ended = await done(client)
        assert (ended["by"], ended["removed"]["jobs"]) == ("service", 1)
        (event,) = await site.store.events.after(0)
        assert event.what == "pruned"
        assert event.who.startswith("worker:")
        assert (await client.post("/api/v1/prune")).json()["historyDays"] == 30.0
        await done(client)


async def test_one_that_finds_nothing_by_itself_is_no_event(sqlite_url: str) -> None:
    async with asked(sqlite_url, reindex_history_days=30) as (client, site):
        assert (await done(client))["removed"]["jobs"] == 0
        assert await site.store.events.after(0) == []


async def test_a_second_one_waits_for_the_first(sqlite_url: str) -> None:
    async with asked(sqlite_url) as (client, site):
        site.worker.stop()
        first = await client.post("/api/v1/prune", json={"days": 1})
        assert first.status_code == 200
        second = await client.post("/api/v1/prune", json={"days": 1})
        assert second.status_code == 409
        assert "asked for by api:127.0.0.1" in second.json()["message"]


@pytest.mark.parametrize("body", [{"days": -1}, {"days": "30"}, {"days": 1e9}, {"age": 3}, []])
async def test_what_cannot_be_is_refused(sqlite_url: str, body: Any) -> None:
    async with asked(sqlite_url) as (client, _):
        refused = await client.post("/api/v1/prune", json=body)
        assert refused.status_code == 400
        assert (await client.get("/api/v1/prune")).json()["pruning"] is None
