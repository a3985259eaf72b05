"""Fixtures for every test; the servers themselves come from the testbed."""

from __future__ import annotations

import os
from collections.abc import AsyncGenerator, Generator
from functools import cache
from pathlib import Path

import pytest
from xdist.remote import Producer  # pyright: ignore[reportMissingTypeStubs]
from xdist.scheduler import LoadScopeScheduling  # pyright: ignore[reportMissingTypeStubs]

from app import telemetry
from testbed.postgres import PostgresServer
from testbed.relay import Relay
from tests import secrets_used
from tests.elasticsearch import Elastic
from tests.service import Service, running_service

pytest_plugins = ["testbed.fixtures", "tests.secrets_searched"]

for name in list(os.environ):
    if name.startswith(("ELASTICSEARCH_", "DATABASE_", "SERVER_", "REINDEX_")) and (
        name != "ELASTICSEARCH_TEST_CACHE"
    ):
        del os.environ[name]


ROOT = Path(__file__)


class ByServers(LoadScopeScheduling):
    """A file's tests stay with one worker; those that start servers of their own all with one, so
    that there are never more than three Elasticsearch at a time.

    Not xdist's own `loadgroup`: the ids of pytest 9.2 drop the mark it puts on them.
    """

    def _split_scope(self, nodeid: str) -> str:
        file = self.config.rootpath / nodeid.split("::")[0]
        return "own servers" if _starts_servers(file) else str(file)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> LoadScopeScheduling:
    return ByServers(config, log)


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The longest first, so that no worker is left alone with them; the tests of a folder with a
    server together in any order, for it is started for each row of them."""
    items.sort(
        key=lambda item: (
            not _starts_servers(item.path),
            _folder_with_server(item.path) or "",
            "e2e" not in item.path.parts,
        )
    )


def _folder_with_server(file: Path) -> str | None:
    """The folder whose `conftest.py` starts a server; None where there is none."""
    beside = file.with_name("conftest.py")
    return str(beside.parent) if beside != ROOT and _has_server(beside) else None


def _starts_servers(file: Path) -> bool:
    return _has_server(file) or _folder_with_server(file) is not None


@cache
def _has_server(file: Path) -> bool:
    return file.exists() and "ElasticsearchServer(" in file.read_text()


telemetry.configure(json=False, level="INFO")


@pytest.fixture
def es(elasticsearch_url: str) -> Generator[Elastic]:
    """The real, emptied Elasticsearch 8.19, for setting things up and for looking."""
    with Elastic(elasticsearch_url) as elastic:
        yield elastic


@pytest.fixture
def sqlite_url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'queue.db'}"


@pytest.fixture
def postgres_url(postgres_url: str, postgres_server: PostgresServer) -> Generator[str]:
    """As the testbed has it; searched for secrets before it is dropped."""
    yield postgres_url
    postgres_server.start()
    secrets_used.used.search_postgres(postgres_url)


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
