"""Trouble with the cluster or in the service itself: one clear answer, and nothing accepted."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import httpx
import pytest

from app.domain.brief import QueueEntry
from app.domain.reach import EVERYTHING, Reach
from app.main import create_app
from app.settings import Settings
from app.sites.reading import Reading
from app.sites.site import Sites
from testbed.relay import Relay
from tests.api.conftest import Logged
from tests.api.test_bad_input import check_envelope
from tests.elastic.test_connection import LOGIN_WANTED
from tests.elasticsearch import Elastic
from tests.service import BASE, Service, running_service

BATCH = f"{BASE}/batch"


def unreachable(relay: Relay) -> None:
    relay.refuse()


def wrong_credentials(relay: Relay) -> None:
    relay.answer("*", ".*", 401, LOGIN_WANTED, times=None)


def web_page(relay: Relay) -> None:
    relay.answer("*", ".*", 200, "<html>Please log in</html>", times=None)


def redirect(relay: Relay) -> None:
    relay.redirect("*", ".*", "http://127.0.0.1:1/", times=None)


def bad_gateway(relay: Relay) -> None:
    relay.answer("*", ".*", 502, "<html>Bad Gateway</html>", times=None)


def no_master(relay: Relay) -> None:
    body = {"error": {"type": "master_not_discovered_exception", "reason": "no master"}}
    relay.answer("*", ".*", 503, body, times=None)


def fails_at_the_last_chunk(relay: Relay) -> None:
    relay.cut_before("GET", "/_cluster/state/.*unknown-999", times=None)


TROUBLES: list[tuple[Callable[[Relay], None], str]] = [
    (unreachable, "ELASTICSEARCH_HOSTS"),
    (wrong_credentials, "ELASTICSEARCH_USERNAME"),
    (web_page, "ELASTICSEARCH_HOSTS"),
    (redirect, "ELASTICSEARCH_HOSTS"),
    (bad_gateway, "502"),
    (no_master, "no master"),
    (fails_at_the_last_chunk, "ELASTICSEARCH_HOSTS"),
]


@pytest.mark.parametrize(("trouble", "said"), TROUBLES)
async def test_a_cluster_in_trouble_is_503_for_the_whole_request(
    relayed: Service,
    relay: Relay,
    es: Elastic,
    logged: Logged,
    trouble: Callable[[Relay], None],
    said: str,
) -> None:
    es.put("/real")
    names = ["real", *(f"unknown-{n}" for n in range(1_000))]
    trouble(relay)
    with logged() as lines:
        answer = await relayed.client.post(BATCH, json={"indexNames": names})
    check_envelope(answer, 503, said)
    (line,) = lines
    assert (line["event"], line["level"]) == ("request_refused", "error")
    if trouble is not fails_at_the_last_chunk:
        check_envelope(await relayed.client.post(f"{BASE}/real"), 503, said)
    assert await relayed.queue() == []
    assert await relayed.parts.store.events.after(0) == []
    assert es.blocks("real") == {}


async def test_what_needs_no_cluster_is_answered_without_one(
    relayed: Service, relay: Relay
) -> None:
    relay.refuse()
    assert (await relayed.client.get(f"{BASE}/batch/queue")).json() == {"queue": []}
    check_envelope(await relayed.client.get(f"{BASE}/a"), 503, "ELASTICSEARCH_HOSTS")
    check_envelope(await relayed.client.post(f"{BASE}/a/cancel"), 404, "index a")


async def test_the_service_starts_without_a_cluster_and_works_when_it_comes(
    relay: Relay, es: Elastic, sqlite_url: str
) -> None:
    es.put("/real", {"settings": {"number_of_replicas": 0}})
    relay.refuse()
    async with running_service(relay.url, sqlite_url) as service:
        answer = await service.client.post(BATCH, json={"indexNames": ["real"]})
        check_envelope(answer, 503, "ELASTICSEARCH_HOSTS")
        relay.accept()
        await service.post_batch("real")
        await service.completed("real")


class BrokenReading(Reading):
    """A part with a fault, for the seam `app.state.sites`."""

    def __init__(self) -> None:
        """It has nothing to read from."""

    async def queue(self, reach: Reach = EVERYTHING) -> list[QueueEntry]:  # noqa: ARG002
        raise KeyError("hunter2 of nobody's business")


async def test_an_unexpected_exception_is_a_neutral_500_with_its_traceback_in_the_log(
    elasticsearch_url: str, sqlite_url: str, logged: Logged
) -> None:
    made: dict[str, Any] = {
        "elasticsearch_hosts": [elasticsearch_url],
        "database_url": sqlite_url,
    }
    app = create_app(Settings(**made))
    async with app.router.lifespan_context(app):
        whole = app.state.sites.of()
        broken = replace(
            whole,
            reading=BrokenReading(),
        )
        app.state.sites = Sites(
            {"default": broken},
            app.state.sites.tokens,
            app.state.sites.sessions,
            app.state.sites.webhooks,
            app.state.sites.key_rotation,
        )
        transport = httpx.ASGITransport(app=app, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://service") as client:
            with logged() as lines:
                answer = await client.get(f"{BASE}/batch/queue")
            check_envelope(answer, 500, "Check the log of Reindex Queue")
            assert "hunter2" not in answer.text
            assert (await client.get("/healthz")).status_code == 200
    (line,) = lines
    assert (line["event"], line["level"]) == ("request_refused", "error")
    assert isinstance(line["exc_info"], KeyError)
