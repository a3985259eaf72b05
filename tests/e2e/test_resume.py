"""A copy goes on where it stopped: the service, its database and its disk fail again and again."""

from __future__ import annotations

import asyncio
from collections.abc import Generator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from testbed.postgres import PostgresServer
from testbed.relay import Relay
from tests.conditions import eventually
from tests.disks import fill_up, small_file_system
from tests.e2e.crashes import copies_sent, windows_done
from tests.e2e.killable import forked
from tests.e2e.process import ServiceProcess
from tests.elasticsearch import Elastic
from tests.service import BASE, Service, running_service
from tests.upgrades.midway import POLL, crawl, filled, hurry
from tests.upgrades.portrait import contents, made_anew

KILLS = 8
SLOWLY = {"REINDEX_BATCH_DOCUMENTS": "1", "REINDEX_WINDOWS_IN_FLIGHT": "2"}
WINDOWS = {"REINDEX_WINDOW_DOCUMENTS": "250", "REINDEX_SYNCHRONOUS_DOCUMENTS": "0"}


async def done(service: ServiceProcess) -> tuple[int, float]:
    """Windows that are done, and the fraction that is shown."""
    operation = await service.api.newest("large")
    assert operation
    progress = operation["progress"]
    return (progress["windowsDone"], progress["fraction"]) if progress else (0, 0.0)


async def test_progress_never_goes_back_however_often_the_service_is_killed(
    es: Elastic, relay: Relay, sqlite_url: str
) -> None:
    """Every other time before it gets anywhere."""
    filled(es, "large", 3000, settings={"number_of_replicas": 0, "number_of_shards": 2})
    before = contents(es, "large"), made_anew(es, "large")
    environment = {"ELASTICSEARCH_HOSTS": relay.url, "DATABASE_URL": sqlite_url}
    most, marks = 0.0, list[tuple[int, set[int]]]()
    async with ServiceProcess({**environment, **SLOWLY, **WINDOWS}, launch=forked) as service:
        await service.api.post_batch("large")
        while len(marks) < KILLS and await service.api.queue():
            if len(marks) % 2:
                await got_on(service, len(marks[-1][1]))
            most = max(most, (await done(service))[1])
            service.kill()
            marks.append((len(relay.seen), windows_done(sqlite_url, "large")))
            await service.start()
            assert (await done(service))[1] >= most
        await service.api.completed("large")
    assert len({window for window, _ in copies_sent(relay.seen)}) >= 12
    assert len(marks) >= 3
    for number, (sent, known) in enumerate(marks):
        assert known >= marks[max(number - 1, 0)][1]
        assert not known & {window for window, _ in copies_sent(relay.seen[sent:])}
    assert es.indices() == {"reindexed-v8-large"}
    assert (contents(es, "large"), made_anew(es, "reindexed-v8-large")) == before


async def got_on(service: ServiceProcess, windows: int) -> None:
    """Waits until more windows are done than that, or the whole is."""

    async def more() -> bool:
        return (await done(service))[0] > windows or not await service.api.queue()

    await eventually(more, "another window is done")


def end_sessions(_server: PostgresServer, url: str) -> None:
    """As a fail-over does."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )


def restart(server: PostgresServer, _url: str) -> None:
    server.restart()


def crash(server: PostgresServer, _url: str) -> None:
    server.kill()
    server.start()


@pytest.mark.parametrize("how", [end_sessions, restart, crash])
async def test_a_database_that_is_lost_in_mid_copy_costs_no_part_of_it(
    es: Elastic, relay: Relay, postgres_server: PostgresServer, postgres_url: str, how: Any
) -> None:
    filled(es, "plain", 60, settings={"number_of_replicas": 0})
    before = contents(es, "plain")
    crawl(relay)
    slowly = {"reindex_batch_documents": 1, "reindex_lease_seconds": 2}
    async with running_service(relay.url, postgres_url, **slowly) as service:
        await service.post_batch("plain")
        await relay.wait_for("GET", POLL)
        await asyncio.to_thread(how, postgres_server, postgres_url)
        hurry(es)
        await service.completed("plain")
        assert await service.queue() == []
    assert copies_sent(relay.seen) == [(0, 1)]
    assert es.indices() == {"reindexed-v8-plain"}
    assert contents(es, "plain") == before


@pytest.fixture
def small_disk(tmp_path: Path) -> Generator[Path]:
    """A file system of two megabytes."""
    with small_file_system(tmp_path / "small") as folder:
        yield folder


async def test_on_a_full_disk_it_waits_says_why_and_goes_on_when_there_is_room(
    es: Elastic, relay: Relay, small_disk: Path
) -> None:
    filled(es, "plain", 60, settings={"number_of_replicas": 0})
    filled(es, "next", 5)
    before = contents(es, "plain")
    crawl(relay)
    database, filler = f"sqlite:///{small_disk}/queue.db", small_disk / "filler"
    async with running_service(relay.url, database, reindex_batch_documents=1) as service:
        await service.post_batch("plain")
        await relay.wait_for("GET", POLL)
        fill_up(filler)
        hurry(es)
        await says_that_the_disk_is_full(service)
        refused = await service.client.post(f"{BASE}/batch", json={"indexNames": ["next"]})
        assert refused.status_code == 503
        assert "full" in refused.json()["message"]
        assert (await service.operation("plain"))["status"] == 0
        assert es.indices() >= {"plain", "next"}

        filler.unlink()
        await service.completed("plain")
        await service.post_batch("next")
        await service.completed("next")
    assert copies_sent(relay.seen)[0] == (0, 1)
    assert [window for window, _ in copies_sent(relay.seen)] == [0, 0]  # one each
    assert es.indices() == {"reindexed-v8-plain", "reindexed-v8-next"}
    assert contents(es, "plain") == before


async def says_that_the_disk_is_full(service: Service) -> None:
    async def said() -> bool:
        answer = await service.client.get("/readyz")
        error = answer.json()["worker"]["error"] or ""
        return answer.status_code == 503 and "database or disk is full" in error

    await eventually(said, "/readyz says that the disk is full")
