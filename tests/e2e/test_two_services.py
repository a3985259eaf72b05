"""Several services on one database: one works, the others stand by and take over."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any, NamedTuple

import psycopg
import pytest

from tests.conditions import eventually
from tests.e2e.killable import forked
from tests.e2e.process import ServiceProcess
from tests.elasticsearch import Elastic

SWAP = r"_aliases.*remove_index"
BATCH = [f"many-{n:02}" for n in range(50)]


class Seen(NamedTuple):
    """An event, in the order of the commits."""

    number: int
    operation: str | None
    who: str
    what: str


def events(database_url: str) -> list[Seen]:
    query = "SELECT number, job_id, who, what FROM event ORDER BY number"
    with psycopg.connect(database_url) as connection:
        return [Seen(*row) for row in connection.execute(query)]


def rows(database_url: str) -> list[tuple[Any, ...]]:
    """Everything that a save changes."""
    with psycopg.connect(database_url) as connection:
        operations = connection.execute("SELECT * FROM job ORDER BY id").fetchall()
        windows = connection.execute("SELECT * FROM copy_window ORDER BY 1, 2").fetchall()
    return [*operations, *windows]


def worker_of(service: ServiceProcess) -> str:
    """How the event log calls it, from its own log."""
    return f":{service.pid}"


async def state(service: ServiceProcess) -> str:
    return (await service.client.get("/readyz")).json()["worker"]["state"]


async def stands_by(service: ServiceProcess) -> None:
    async def standby() -> bool:
        return await state(service) == "standby"

    await eventually(standby, "it stands by")


async def works(service: ServiceProcess) -> None:
    async def owner() -> bool:
        return await state(service) in ("idle", "working")

    await eventually(owner, "it has the worker role")


async def is_frozen(service: ServiceProcess) -> None:
    async def stopped() -> bool:
        stat = await asyncio.to_thread(Path(f"/proc/{service.pid}/stat").read_text)
        return stat.rpartition(")")[2].split()[0] == "T"

    await eventually(stopped, "it has frozen itself")


@asynccontextmanager
async def two(
    es: Elastic,
    database_url: str,
    lease: int,
    first: Mapping[str, str] | None = None,
    second: Mapping[str, str] | None = None,
) -> AsyncGenerator[tuple[ServiceProcess, ServiceProcess]]:
    """The owner of the role and a standby, with what each has in its environment beside that."""
    environment = {
        "ELASTICSEARCH_HOSTS": es.url,
        "DATABASE_URL": database_url,
        "REINDEX_LEASE_SECONDS": str(lease),
    }
    async with AsyncExitStack() as stack:
        owner = ServiceProcess({**environment, **(first or {})}, launch=forked)
        await stack.enter_async_context(owner)
        await works(owner)
        standby = ServiceProcess({**environment, **(second or {})}, launch=forked)
        await stack.enter_async_context(standby)
        await stands_by(standby)
        yield owner, standby


def fill(es: Elastic, names: Sequence[str]) -> None:
    for name in names:
        es.put(f"/{name}", {"settings": {"number_of_replicas": 0}})
        es.bulk(name, [{"of": name}])


@pytest.mark.wide
@pytest.mark.timeout(300)
async def test_a_batch_of_fifty_is_worked_off_in_order_by_one_at_a_time_over_a_kill(
    es: Elastic, postgres_url: str
) -> None:
    fill(es, BATCH)
    async with two(es, postgres_url, 2) as (owner, standby):
        answer = await owner.api.post_batch(*BATCH)
        order = [o["indexName"] for o in answer["enqueued"]]
        assert order == BATCH
        queued_at = [o["reindexOptions"]["queueSettings"]["queuedAt"] for o in answer["enqueued"]]
        assert queued_at == sorted(set(queued_at))
        await owner.api.completed(*BATCH[:15])
        owner.kill()
        await standby.api.completed(*BATCH[15:], seconds=90)
        assert await standby.api.queue() == []
        first, second = worker_of(owner), worker_of(standby)

    assert es.indices() == {f"reindexed-v8-{name}" for name in BATCH}
    for name in BATCH:
        assert [source for _, _, source in es.documents(name)] == [{"of": name}]
    _one_after_the_other(events(postgres_url), first, second)


def _one_after_the_other(seen: list[Seen], first: str, second: str) -> None:
    """Each operation is a whole span of the log, in `queuedAt` order, with one worker to a span.

    Only at the take-over may a span have both, the first one's events before the second one's.
    """
    queued = [event.operation for event in seen if event.what == "queued"]
    worked = [event for event in seen if event.who.startswith("worker:")]
    spans: list[list[Seen]] = []
    for event in worked:
        if not spans or spans[-1][0].operation != event.operation:
            spans.append([])
        spans[-1].append(event)
    assert [span[0].operation for span in spans] == queued
    for span in spans:
        assert [e.what for e in span].count("started") == 1
        assert span[0].what == "started"
        assert span[-1].what == "completed"
    owners = ["first" if e.who.endswith(first) else "second" for e in worked]
    assert all(e.who.endswith((first, second)) for e in worked)
    assert owners == sorted(owners)
    assert set(owners) == {"first", "second"}


@pytest.mark.parametrize(
    ("moment", "only"),
    [
        ("commit:before:5", ""),
        pytest.param("commit:after:5", "", marks=pytest.mark.wide),
        pytest.param("request:after:1", "POST /_reindex", marks=pytest.mark.wide),
        pytest.param("request:before:1", SWAP, marks=pytest.mark.wide),
        ("request:after:1", SWAP),
    ],
)
async def test_an_owner_that_slept_through_its_lease_saves_nothing_and_harms_nothing(
    es: Elastic, postgres_url: str, moment: str, only: str
) -> None:
    """Frozen in the middle of a save, the owner still holds the cluster's row."""
    es.put("/sleepy", {"aliases": {"sleepy-alias": {}}})
    es.bulk("sleepy", [{"n": n} for n in range(50)])
    before = es.documents("sleepy")
    order = {"REINDEX_TEST_KILL": moment, "REINDEX_TEST_ONLY": only, "REINDEX_TEST_HOW": "STOP"}
    async with two(es, postgres_url, 2, order) as (owner, standby):
        await owner.api.post_batch("sleepy")
        await is_frozen(owner)
        await standby.api.completed("sleepy")
        done, saved = events(postgres_url), rows(postgres_url)
        assert done[-1].who.endswith(worker_of(standby))
        indices, aliases = es.indices(), es.aliases("sleepy")

        owner.resume()
        await stands_by(owner)

        assert events(postgres_url) == done
        assert rows(postgres_url) == saved
        assert es.indices() == indices == {"reindexed-v8-sleepy"}
        assert es.aliases("sleepy") == aliases
        assert aliases.keys() == {"sleepy", "sleepy-alias"}
        assert es.blocks("reindexed-v8-sleepy") == {}
        assert es.documents("sleepy") == before
        assert "Traceback" not in owner.log

        standby.kill()  # it is a good standby again
        await works(owner)
        es.put("/next")
        await owner.api.post_batch("next")
        await owner.api.completed("next")


async def test_an_owner_that_wakes_before_its_successor_has_saved_anything_saves_nothing(
    es: Elastic, postgres_url: str
) -> None:
    """Only the fence tells: the operation's row is still the one that the first owner knows.

    It is frozen at an answer before a save, after which it does not look at its lease.
    """
    es.put("/sleepy")
    es.bulk("sleepy", [{"n": n} for n in range(50)])
    before = es.documents("sleepy")
    stop = {"REINDEX_TEST_HOW": "STOP", "REINDEX_TEST_ONLY": "sleepy"}
    first = {**stop, "REINDEX_TEST_KILL": "request:after:1"}
    second = {
        **stop,
        "REINDEX_TEST_KILL": "request:before:1",
        "REINDEX_LEASE_SECONDS": "600",  # it does not lose the role while it is frozen itself
    }
    async with two(es, postgres_url, 2, first, second) as (owner, successor):
        await owner.api.post_batch("sleepy")
        await is_frozen(owner)
        await is_frozen(successor)
        seen, saved = events(postgres_url), rows(postgres_url)

        owner.resume()
        await stands_by(owner)

        assert events(postgres_url) == seen
        assert rows(postgres_url) == saved
        successor.resume()
        await successor.api.completed("sleepy")
    assert es.indices() == {"reindexed-v8-sleepy"}
    assert es.documents("sleepy") == before


async def test_a_stop_hands_the_role_over_without_waiting_for_the_lease(
    es: Elastic, postgres_url: str
) -> None:
    """The lease is of ten minutes, longer than any test may take."""
    names = BATCH[:8]
    fill(es, names)
    async with two(es, postgres_url, 600) as (owner, standby):
        await owner.api.post_batch(*names)
        await owner.api.completed(*names[:2])
        assert await owner.terminate() == 0
        await standby.api.completed(*names)
        first, second = worker_of(owner), worker_of(standby)
    _one_after_the_other(events(postgres_url), first, second)


async def test_on_sqlite_a_second_process_serves_and_takes_over_when_the_first_is_killed(
    es: Elastic, sqlite_url: str
) -> None:
    names = BATCH[:6]
    fill(es, names)
    async with two(es, sqlite_url, 600) as (owner, standby):
        answer = await standby.api.post_batch(*names)
        assert [o["indexName"] for o in answer["enqueued"]] == names
        assert (await standby.client.get("/readyz")).status_code == 200
        await owner.api.completed(names[0])
        assert await state(standby) == "standby"
        assert (await standby.api.operation(names[0]))["status"] == 1

        owner.kill()
        await standby.api.completed(*names)
        await works(standby)
    assert es.indices() == {f"reindexed-v8-{name}" for name in names}
