"""What is counted of requests to Elasticsearch, by method and by what became of them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Mapping
from typing import Any

import pytest

from app.domain.errors import ReindexQueueError
from app.elastic.connection import Connection, raw
from app.elastic.http import Credentials
from app.telemetry import Meters
from testbed.relay import Relay

PRODUCT = {"x-elastic-product": "Elasticsearch"}


@pytest.fixture
def meters() -> Meters:
    return Meters("blue")


@pytest.fixture
async def counted(relay: Relay, meters: Meters) -> AsyncGenerator[Connection]:
    opened = Connection([relay.url], Credentials(), read_seconds=1.0, meters=meters)
    yield opened
    await opened.close()


def outcomes(meters: Meters) -> dict[tuple[str, str], float]:
    """How many requests there were, by verb and outcome."""
    return {
        (one.labels["verb"], one.labels["outcome"]): one.value
        for family in meters.instruments.registry.collect()
        for one in family.samples
        if one.name == "reindex_queue_elasticsearch_requests_total"
    }


async def ask(connection: Connection, method: str = "GET", path: str = "/a") -> None:
    """A read, or a change, whatever becomes of it."""
    send = connection.read if method in ("GET", "HEAD") else connection.change
    try:
        await send(raw(method, path))
    except ReindexQueueError:
        return


@pytest.mark.parametrize(
    ("status", "body", "outcome"),
    [
        (200, {}, "ok"),
        (404, {"error": {"type": "index_not_found_exception"}}, "not_found"),
        (429, {"error": {"type": "es_rejected_execution_exception"}}, "busy"),
        (400, {"error": {"type": "illegal_argument_exception"}}, "refused"),
        (401, {"error": {"type": "security_exception"}}, "refused"),
        (503, {"error": {"type": "no_master"}}, "failed"),
    ],
)
@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "DELETE"])
async def test_an_answer_is_counted_by_its_status(
    counted: Connection,
    relay: Relay,
    meters: Meters,
    method: str,
    status: int,
    body: Mapping[str, Any],
    outcome: str,
) -> None:
    relay.answer("*", ".*", status, dict(body), times=None)
    await ask(counted, method)
    found = outcomes(meters)
    assert found.keys() == {(method, outcome)}
    assert found[method, outcome] == len(relay.seen)


async def test_a_cut_request_is_counted_as_often_as_it_was_sent(
    counted: Connection, relay: Relay, meters: Meters
) -> None:
    relay.cut_before("*", ".*", times=None)
    await ask(counted, "PUT")
    assert outcomes(meters) == {("PUT", "cut"): 1}
    await ask(counted, "GET")
    assert outcomes(meters) == {("PUT", "cut"): 1, ("GET", "cut"): 2}


async def test_a_host_that_is_not_there_is_told_apart(relay: Relay, meters: Meters) -> None:
    nowhere = Connection(["http://127.0.0.1:9"], Credentials(), meters=meters)
    await ask(nowhere, "PUT")
    await nowhere.close()
    assert {outcome for _, outcome in outcomes(meters)} == {"no_connection"}
    assert relay.seen == []


async def test_an_answer_that_does_not_come_in_time_is_told_apart(
    counted: Connection, relay: Relay, meters: Meters
) -> None:
    released = relay.hold("GET", "^/a")
    await ask(counted)
    released.set()
    assert {outcome for _, outcome in outcomes(meters)} == {"timeout"}


async def test_who_asks_and_goes_away_is_counted(
    counted: Connection, relay: Relay, meters: Meters
) -> None:
    released = relay.hold("GET", "^/a")
    asking = asyncio.create_task(ask(counted))
    await relay.wait_for("GET", "^/a")
    asking.cancel()
    await asyncio.gather(asking, return_exceptions=True)
    released.set()
    assert outcomes(meters) == {("GET", "given_up"): 1}
