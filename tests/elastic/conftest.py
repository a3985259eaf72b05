"""The service's connection to the real Elasticsearch, by way of the relay."""

from __future__ import annotations

from collections.abc import AsyncGenerator

import pytest

from app.elastic.cluster import Cluster
from app.elastic.connection import Connection
from app.elastic.http import Credentials
from testbed.relay import Relay


@pytest.fixture
async def connection(relay: Relay) -> AsyncGenerator[Connection]:
    opened = Connection([relay.url], Credentials())
    yield opened
    await opened.close()


@pytest.fixture
def cluster(connection: Connection) -> Cluster:
    return Cluster.for_worker(connection, lambda: None)
