"""Looking at the nodes of the real cluster."""

from __future__ import annotations

import pytest

from app.domain.errors import (
    AnswerMisread,
)
from app.elastic.cluster import Cluster
from testbed.relay import Relay


async def test_a_cluster_has_a_node_at_least(cluster: Cluster, relay: Relay) -> None:
    relay.answer("GET", "^/_nodes/os", 200, {"nodes": {}})
    with pytest.raises(AnswerMisread):
        await cluster.nodes.versions()
    assert await cluster.nodes.versions(remembered=600)


async def test_every_node_tells_how_it_does(cluster: Cluster) -> None:
    vitals = await cluster.nodes.vitals()
    assert vitals.status in ("green", "yellow", "red")
    assert (vitals.pending, vitals.waited) != (None, None)
    (node,) = vitals.nodes.values()
    missing = [name for name, value in vars(node).items() if value is None]
    assert missing == []
    assert 0 < (node.heap or 0) < 1
