"""Whether the cluster asks who we are, seen by a question that every user may ask."""

from __future__ import annotations

from typing import Any

import pytest

from app.domain.errors import (
    ClusterRefused,
)
from app.elastic.cluster import Cluster
from app.elastic.connection import Connection
from testbed.relay import Relay

NOT_SWITCHED_ON = (
    "Security must be explicitly enabled when using a [basic] license. Enable security by setting "
    "[xpack.security.enabled] to [true] in the elasticsearch.yml file and restart the node."
)
"""As 7.x in its default configuration answers every request about security."""


@pytest.mark.parametrize(
    ("status", "error", "on"),
    [
        (200, None, True),
        (405, "Incorrect HTTP method for uri [/_security/_authenticate]", False),
        (400, "no handler found for uri [/_security/_authenticate] and method [GET]", False),
        (500, {"type": "exception", "reason": NOT_SWITCHED_ON}, False),
    ],
)
async def test_security_is_seen_from_what_every_user_may_ask(
    cluster: Cluster, relay: Relay, status: int, error: str | dict[str, str] | None, *, on: bool
) -> None:
    body: dict[str, Any] = {"username": "u"} if error is None else {"error": error}
    relay.answer("GET", "^/_security/_authenticate", status, body)
    assert await cluster.security.is_on() is on


@pytest.mark.parametrize(
    ("status", "kind"), [(403, "security_exception"), (500, "illegal_state_exception")]
)
async def test_a_question_about_security_that_is_refused_does_not_mean_that_there_is_none(
    cluster: Cluster, relay: Relay, status: int, kind: str
) -> None:
    body = {"error": {"type": kind, "reason": "no"}}
    relay.answer("GET", "^/_security/_authenticate", status, body)
    with pytest.raises(ClusterRefused):
        await cluster.security.is_on()


async def test_what_hardly_changes_is_remembered_for_those_who_say_for_how_long(
    cluster: Cluster, connection: Connection, relay: Relay
) -> None:
    another = Cluster.for_worker(connection, lambda: None)
    relay.answer("GET", "^/_security/_authenticate", 403, {"error": {"type": "x", "reason": "no"}})
    with pytest.raises(ClusterRefused):
        await cluster.security.is_on(remembered=600)
    relay.answer("GET", "^/_security/_authenticate", 200, {"username": "u"})
    assert await cluster.security.is_on() is True
    assert await another.security.is_on(remembered=600) is True
    assert await another.security.is_on() is False
    assert await cluster.security.is_on(remembered=600) is False


async def test_the_real_cluster_without_security_says_so(cluster: Cluster) -> None:
    assert await cluster.security.is_on() is False
