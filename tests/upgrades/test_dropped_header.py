"""Something before Elasticsearch drops or overwrites `X-Opaque-Id`, as many proxies do: a copy is
found and ended all the same, and one whose start was not answered is waited for."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from aiohttp import web

from testbed.nginx import Nginx
from testbed.relay import Relay, Seen
from tests.conditions import eventually
from tests.e2e.killable import forked
from tests.e2e.process import ServiceProcess
from tests.elasticsearch import Elastic
from tests.service import Service, running_service
from tests.upgrades.midway import POLL, Removal, crawl, filled, hurry
from tests.upgrades.portrait import as_found, contents

DROPS = 'proxy_set_header X-Opaque-Id "";'
OVERWRITES = "proxy_set_header X-Opaque-Id $request_id;"
BY_TASK: dict[str, Any] = {"reindex_synchronous_documents": 0, "reindex_batch_documents": 1}
START = "^/_reindex[?]"
A_WHILE = 6.0
"""Seconds for which a start may be late in these tests; the service gives up to 90."""
IMPATIENT: dict[str, Any] = {"elasticsearch_requesttimeout": int(A_WHILE * 1000)}


@pytest.fixture(params=[DROPS, OVERWRITES], ids=["dropped", "overwritten"])
async def proxied(request: pytest.FixtureRequest, elasticsearch_url: str) -> AsyncIterator[Relay]:
    """A relay, behind it an nginx that spoils the header, and behind that Elasticsearch."""
    with Nginx(elasticsearch_url, f"{request.param} proxy_read_timeout 300s;") as nginx:
        async with Relay(nginx.url) as relay:
            yield relay


@pytest.fixture
async def stripped(relay: Relay) -> Relay:
    relay.overwrite("X-Opaque-Id", None)
    return relay


@pytest.fixture
def a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.elastic.connection.CHANGE_SECONDS", A_WHILE)


@asynccontextmanager
async def copying(relay: Relay, es: Elastic, url: str, **settings: Any) -> AsyncGenerator[Service]:
    """A service with `plain` in the middle of its copy, which goes at a document a second."""
    filled(es, "plain", 20)
    crawl(relay)
    async with running_service(relay.url, url, **{**BY_TASK, **settings}) as service:
        await service.post_batch("plain")
        await relay.wait_for("GET", POLL)
        assert len(es.copy_tasks()) == 1
        yield service


async def no_copy(es: Elastic) -> None:
    async def ended() -> bool:
        return not es.copy_tasks()

    await eventually(ended, "no copy runs")


async def whole(service: Service, es: Elastic, documents: Any) -> None:
    """The operation ends well, and nothing of it runs any more."""
    await service.completed("plain")
    assert es.copy_tasks() == []
    assert es.indices() == {"reindexed-v8-plain"}
    assert contents(es, "plain") == documents
    assert set(es.get("/reindexed-v8-plain/_mapping").popitem()[1]["mappings"]) == {"properties"}


async def test_dropped_header_cancelled_the_copy_has_ended_before_its_target_is_removed(
    proxied: Relay, es: Elastic, sqlite_url: str
) -> None:
    async with copying(proxied, es, sqlite_url) as service:
        removal = Removal(proxied)
        assert await service.cancel("plain") == 200
        await removal.arrived.wait()
        assert es.copy_tasks() == []
        removal.released.set()
        assert (await service.ended("plain"))["status"] == 4
    assert es.copy_tasks() == []
    assert es.indices() == {"plain"}
    assert es.blocks("plain") == {}


async def stopped(service: Service) -> None:
    assert (await service.client.post("/api/v1/pace/stop")).status_code == 200


async def goes_on(service: Service) -> None:
    assert (await service.client.post("/api/v1/pace/go-on")).status_code == 200


async def out_of_hours(service: Service) -> None:
    start, end = (datetime.now(UTC) + timedelta(minutes=minutes) for minutes in (120, 180))
    hours = [{"from": f"{start:%H:%M}", "to": f"{end:%H:%M}", "zone": "UTC"}]
    answer = await service.client.patch("/api/v1/pace", json={"hours": hours})
    assert answer.status_code == 200


async def at_any_hour(service: Service) -> None:
    answer = await service.client.patch("/api/v1/pace", json={"hours": None})
    assert answer.status_code == 200


async def ask(service: Service, action: str) -> None:
    operation = await service.newest("plain")
    assert operation
    path = f"/api/v1/operations/{operation['id']}/{action}"
    assert (await service.client.post(path)).status_code == 200


async def is_paused(service: Service) -> None:
    async def it_is() -> bool:
        return ((await service.newest("plain")) or {})["state"] == "paused"

    await eventually(it_is, "it is paused")


async def paused(service: Service) -> None:
    await ask(service, "pause")
    await is_paused(service)


async def resumed(service: Service) -> None:
    await ask(service, "resume")


Does = Callable[[Service], Awaitable[None]]
ASIDE: dict[str, tuple[Does, Does]] = {
    "stop": (stopped, goes_on),
    "hours": (out_of_hours, at_any_hour),
    "pause": (paused, resumed),
}


@pytest.mark.parametrize("way", ASIDE)
async def test_dropped_header_nothing_is_copied_while_it_is_put_aside(
    stripped: Relay, es: Elastic, sqlite_url: str, way: str
) -> None:
    aside, on = ASIDE[way]
    async with copying(stripped, es, sqlite_url) as service:
        documents = contents(es, "plain")
        await aside(service)
        await no_copy(es)
        await on(service)
        await whole(service, es, documents)
    assert [seen.method for seen in stripped.seen if "/_cancel" in seen.path]


async def test_dropped_header_a_parked_operation_has_no_copy_running(
    stripped: Relay, es: Elastic, sqlite_url: str
) -> None:
    settings = {"reindex_hold_policy": "skip", "reindex_hold_skip_seconds": 0.0}
    async with copying(stripped, es, sqlite_url, **settings) as service:
        stripped.answer("GET", POLL, 503, {"error": {"type": "busy"}}, times=None)
        filled(es, "next")
        await service.post_batch("next")

        async def parked() -> bool:
            return "parked" in [event.what for event in await service.events("plain")]

        await eventually(parked, "it is parked")
        assert es.copy_tasks() == []
        assert es.blocks("plain") == {}


@pytest.mark.usefixtures("a_while")
async def test_dropped_header_a_start_that_never_arrives_is_waited_for_before_the_next(
    proxied: Relay, es: Elastic, sqlite_url: str
) -> None:
    filled(es, "plain")
    documents = contents(es, "plain")
    proxied.cut_before("POST", START)
    async with running_service(proxied.url, sqlite_url, **IMPATIENT) as service:
        await service.post_batch("plain")
        await service.holds("plain", "it may begin yet")
        assert len([seen for seen in proxied.seen if seen.path.startswith("/_reindex?")]) == 1
        await whole(service, es, documents)
    assert len([seen for seen in proxied.seen if seen.path.startswith("/_reindex?")]) == 2


@pytest.mark.parametrize("keep", [False, True])
async def test_dropped_header_a_copy_whose_start_was_not_answered_ends_before_the_next(
    stripped: Relay, es: Elastic, sqlite_url: str, *, keep: bool
) -> None:
    """None of them can write any more once the operation is completed."""
    filled(es, "plain")
    documents = contents(es, "plain")
    crawl(stripped, answer=False)
    async with running_service(stripped.url, sqlite_url, **BY_TASK) as service:
        await service.post_options({"index": "plain", "keepOldIndex": keep})
        await service.holds("plain", "whose start was not answered is still running")
        assert len(es.copy_tasks()) == 1
        hurry(es)
        await service.completed("plain")
        assert es.copy_tasks() == []
    assert len([seen for seen in stripped.seen if seen.path.startswith("/_reindex?")]) == 2
    assert contents(es, "plain") == documents
    assert len(es.indices()) == 1 + keep


@pytest.mark.usefixtures("a_while")
@pytest.mark.parametrize("action", ["cancel", "pause"])
async def test_dropped_header_a_late_start_does_not_make_the_removed_target_again(
    stripped: Relay, es: Elastic, sqlite_url: str, action: str
) -> None:
    filled(es, "plain")
    before = as_found(es, "plain")
    starts: list[Seen] = []

    async def late(request: Seen) -> web.Response | None:
        starts.append(request)
        return None

    stripped.when("POST", START, late)
    async with running_service(stripped.url, sqlite_url, **BY_TASK, **IMPATIENT) as service:
        await service.post_batch("plain")
        await service.holds("plain", "it may begin yet")
        await ask(service, action)
        slowly = starts[0]._replace(path=f"{starts[0].path}&requests_per_second=1")
        assert (await stripped.forward(slowly)).status == 200
        if action == "cancel":
            assert (await service.ended("plain"))["status"] == 4
            assert es.indices() == {"plain"}
            assert as_found(es, "plain") == before
        else:
            await is_paused(service)
        assert es.copy_tasks() == []


async def test_dropped_header_after_a_kill_the_known_task_is_found_and_ended(
    stripped: Relay, es: Elastic, sqlite_url: str
) -> None:
    filled(es, "plain")
    before = as_found(es, "plain")
    crawl(stripped)
    environment = {
        "ELASTICSEARCH_HOSTS": stripped.url,
        "DATABASE_URL": sqlite_url,
        "REINDEX_BATCH_DOCUMENTS": "1",
        "REINDEX_SYNCHRONOUS_DOCUMENTS": "0",
        "REINDEX_TEST_CHANGE_SECONDS": str(A_WHILE),
        "ELASTICSEARCH_REQUESTTIMEOUT": str(int(A_WHILE * 1000)),
    }
    async with ServiceProcess(environment, launch=forked) as service:
        await service.api.post_batch("plain")
        await stripped.wait_for("GET", POLL, 2)
        service.kill()
        (task,) = es.copy_tasks()
        await service.start()
        assert await service.api.cancel("plain") == 200
        assert (await service.api.ended("plain"))["status"] == 4
    assert es.copy_tasks() == []
    assert [seen.path for seen in stripped.seen if f"{task['id']}/_cancel" in seen.path]
    assert es.indices() == {"plain"}
    assert as_found(es, "plain") == before


async def test_dropped_header_is_said_by_the_doctor_and_once_in_the_log(
    stripped: Relay, es: Elastic, sqlite_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    filled(es, "plain")
    filled(es, "next")
    async with running_service(stripped.url, sqlite_url) as service:
        for name in ("plain", "next"):
            await service.post_batch(name)
            await service.completed(name)
        checks = (await service.client.get("/api/v1/doctor")).json()["checks"]
        (check,) = [check for check in checks if check["name"] == "headers"]
        assert check["verdict"] == "warning"
        assert "X-Opaque-Id" in check["finding"]
        assert "pass X-Opaque-Id on" in check["remedy"]
        stripped.overwrite("X-Opaque-Id", "of-a-proxy")
        checks = (await service.client.get("/api/v1/doctor")).json()["checks"]
        assert check in checks
    assert caplog.text.count("header_dropped") == 1
