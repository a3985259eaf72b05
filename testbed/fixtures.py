"""Fixtures with real servers; a pytest plugin: `pytest_plugins = ["testbed.fixtures"]`.

Servers are started once for a session, when the first test asks for them.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import httpx
import pytest
import pytest_asyncio

from testbed.elasticsearch import ElasticsearchServer
from testbed.postgres import PostgresServer
from testbed.relay import Relay
from testbed.wipe import wipe


@pytest.fixture(scope="session")
def elasticsearch_server() -> Iterator[ElasticsearchServer]:
    """The shared Elasticsearch 8.19. A test that kills or pauses it need not mend it."""
    with ElasticsearchServer("8.19") as server:
        yield server


@pytest.fixture
def elasticsearch_url(elasticsearch_server: ElasticsearchServer) -> str:
    """The address of the shared Elasticsearch, emptied of all that earlier tests left in it."""
    return emptied(elasticsearch_server)


def emptied(server: ElasticsearchServer) -> str:
    """The server's address; it runs again and has nothing that earlier tests left in it.

    For fixtures of a wider scope than a test, which come before any `elasticsearch_url`.
    """
    if server.running:
        server.resume()
    else:
        server.start()
    # not TLS, whose authorities take as long to read as all that is asked
    with httpx.Client(base_url=server.url, trust_env=False, verify=False) as client:
        wipe(client)
    return server.url


@pytest_asyncio.fixture
async def relay(elasticsearch_url: str) -> AsyncIterator[Relay]:
    """A relay in front of the shared, emptied Elasticsearch, without rules."""
    async with Relay(elasticsearch_url) as relay:
        yield relay


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgresServer]:
    """The shared PostgreSQL. A test that kills it need not mend it."""
    with PostgresServer() as server:
        yield server


@pytest.fixture
def postgres_url(postgres_server: PostgresServer) -> Iterator[str]:
    """The address of a new, empty database, which is dropped after the test."""
    postgres_server.start()
    url = postgres_server.create_database()
    yield url
    postgres_server.start()
    postgres_server.drop_database(url)
