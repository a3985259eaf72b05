"""A cluster with security: one server for all tests of this folder."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Generator
from pathlib import Path

import pytest

from testbed.elasticsearch import ElasticsearchServer
from testbed.relay import Relay
from tests.elasticsearch import Elastic
from tests.upgrades.security.logins import Login


@pytest.fixture(scope="package")
def secured() -> Generator[ElasticsearchServer]:
    with (
        ElasticsearchServer("8.19", security=True) as server,
        Elastic(server.url, server.auth) as es,
    ):
        es.post("/_license/start_trial?acknowledge=true")  # for document- and field-level security
        yield server


@pytest.fixture
def es(secured: ElasticsearchServer) -> Generator[Elastic]:
    """As the superuser; every test has indices and users of its own."""
    with Elastic(secured.url, secured.auth) as elastic:
        yield elastic


@pytest.fixture
async def relay(secured: ElasticsearchServer) -> AsyncGenerator[Relay]:
    async with Relay(secured.url) as relay:
        yield relay


@pytest.fixture
def login(es: Elastic, relay: Relay, tmp_path: Path) -> Login:
    return Login(es, relay, tmp_path)


@pytest.fixture(scope="package")
def newest() -> Generator[ElasticsearchServer]:
    with ElasticsearchServer("9.4", security=True) as server:
        yield server
