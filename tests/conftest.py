"""Fixtures for every test; the servers themselves come from the testbed."""

from __future__ import annotations

import os
from collections.abc import AsyncGenerator, Generator
from pathlib import Path

import pytest

from app import telemetry
from testbed.relay import Relay
from tests.elasticsearch import Elastic
from tests.service import Service, running_service

pytest_plugins = ["testbed.fixtures"]

for name in list(os.environ):
    if name.startswith(("ELASTICSEARCH_", "DATABASE_", "SERVER_", "REINDEX_")) and (
        name != "ELASTICSEARCH_TEST_CACHE"
    ):
        del os.environ[name]


ROOT = Path(__file__)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """A file's tests stay with one worker; those that start servers of their own, by themselves or
    by the `conftest.py` beside them, all with one, so that there are never more than three
    Elasticsearch at a time."""
    for item in items:
        beside = item.path.with_name("conftest.py")
        files = [item.path, *([beside] if beside.exists() and beside != ROOT else [])]
        own = any("ElasticsearchServer(" in file.read_text() for file in files)
        group = "own servers" if own else str(item.path)
        item.add_marker(pytest.mark.xdist_group(group))


telemetry.configure(json=False, level="INFO")


@pytest.fixture
def es(elasticsearch_url: str) -> Generator[Elastic]:
    """The real, emptied Elasticsearch 8.19, for setting things up and for looking."""
    with Elastic(elasticsearch_url) as elastic:
        yield elastic


@pytest.fixture
def sqlite_url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'queue.db'}"


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest) -> str:
    """A new, empty database; the test runs once on each kind."""
    wanted = "sqlite_url" if request.param == "sqlite" else "postgres_url"
    return request.getfixturevalue(wanted)


@pytest.fixture
async def service(elasticsearch_url: str, sqlite_url: str) -> AsyncGenerator[Service]:
    """The whole service in this process, on SQLite, before the real Elasticsearch."""
    async with running_service(elasticsearch_url, sqlite_url) as running:
        yield running


@pytest.fixture
async def relayed(relay: Relay, sqlite_url: str) -> AsyncGenerator[Service]:
    """As `service`, with the relay between it and Elasticsearch; it copies by tasks, also what is
    small, so that a test can stop it in the middle."""
    settings = {"reindex_synchronous_documents": 0}
    async with running_service(relay.url, sqlite_url, **settings) as running:
        yield running
