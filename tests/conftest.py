"""Fixtures for every test; the servers themselves come from the testbed."""

from __future__ import annotations

import os
from collections.abc import AsyncGenerator, Generator
from functools import cache
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


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """A file's tests stay with one worker; those that start servers of their own, by themselves or
    by the `conftest.py` beside them, all with one, so that there are never more than three
    Elasticsearch at a time. Those of a folder with a server stay together in any order, for it is
    started for each row of them."""
    for item in items:
        own = _starts_servers(item.path) or _folder_with_server(item)
        group = "own servers" if own else str(item.path)
        item.add_marker(pytest.mark.xdist_group(group))
    items.sort(key=_folder_with_server)


def _folder_with_server(item: pytest.Item) -> str:
    """The folder whose `conftest.py` starts a server; empty where there is none."""
    beside = item.path.with_name("conftest.py")
    own = beside.exists() and beside != ROOT and _starts_servers(beside)
    return str(beside.parent) if own else ""


@cache
def _starts_servers(file: Path) -> bool:
    return "ElasticsearchServer(" in file.read_text()


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
