"""The mark of a database, as a setting of a real cluster of each major version."""

from __future__ import annotations

import pytest

from app.domain.ownership import Mark
from app.elastic.cluster import Cluster
from app.elastic.connection import Connection
from app.elastic.http import Credentials
from testbed.elasticsearch import ElasticsearchServer

FIRST = Mark(instance="a", term=1, writer="v")
SECOND = Mark(instance="b", term=12, writer="w")


async def left_and_seen(cluster: Cluster) -> None:
    assert await cluster.marks.seen("a.b c") is None
    for mark in (FIRST, SECOND):
        await cluster.marks.leave("a.b c", mark)
        assert await cluster.marks.seen("a.b c") == mark


@pytest.mark.parametrize("series", ["7.17", "9.4"])
async def test_a_mark_is_left_and_seen_on_other_majors(series: str) -> None:
    with ElasticsearchServer(series) as server:
        connection = Connection([server.url], Credentials())
        await left_and_seen(Cluster.for_worker(connection, lambda: None))
        await connection.close()


async def test_a_mark_is_left_and_seen(cluster: Cluster) -> None:
    await left_and_seen(cluster)
