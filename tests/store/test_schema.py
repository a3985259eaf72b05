"""The schema: made by migrations, the same as the tables, on both databases."""

from __future__ import annotations

import asyncio
from collections.abc import Generator
from pathlib import Path

import pytest
from alembic.script import ScriptDirectory

from app.domain.errors import SchemaTooNew, SchemaTooOld
from app.store.listing import Filter
from app.store.migrations import configuration
from app.store.store import Store
from testbed.postgres import PostgresServer
from tests.store import schema_in_step
from tests.store.conftest import OpenStore
from tests.store.database import connected, execute
from tests.store.operations import enqueue
from tests.store.processes import another_service, said
from tests.store.schema_in_step import differences, faults, schema


@pytest.fixture
def empty_url(request: pytest.FixtureRequest, database_url: str) -> Generator[str]:
    """One more empty database of the kind of `database_url`."""
    if database_url.startswith("sqlite"):
        folder: Path = request.getfixturevalue("tmp_path")
        yield f"sqlite:///{folder / 'empty.db'}"
        return
    server: PostgresServer = request.getfixturevalue("postgres_server")
    url = server.create_database()
    yield url
    server.drop_database(url)


async def test_the_migrations_give_the_schema_of_the_tables(
    open_store: OpenStore, database_url: str, empty_url: str
) -> None:
    await (await open_store()).close()
    assert faults(database_url, empty_url) == []


@pytest.mark.parametrize(
    "change",
    [
        "DROP INDEX uq_job_live_index;"
        "CREATE UNIQUE INDEX uq_job_live_index ON job (cluster_id, index_name)",
        "DROP INDEX ix_job_history",
        "ALTER TABLE job ADD COLUMN odd integer CHECK (odd > 1)",
    ],
    ids=["predicate", "missing index", "check"],
)
async def test_a_schema_that_is_not_the_same_is_noticed(
    open_store: OpenStore, database_url: str, empty_url: str, change: str
) -> None:
    await (await open_store()).close()
    for statement in change.split(";"):
        execute(database_url, statement)
    assert len(faults(database_url, empty_url)) >= 1


def test_every_kind_of_difference_has_a_line() -> None:
    lines = differences({"a": "1", "b": "2"}, {"b": "3", "c": "4"})
    assert [line.partition("\n")[0] for line in lines] == [
        "a is in the migrations, but not in the tables: 1",
        "b differs",
        "c is in the tables, but not in the migrations: 4",
    ]


def test_the_check_of_the_build_passes(capfd: pytest.CaptureFixture[str]) -> None:
    assert schema_in_step.main() == 0
    assert capfd.readouterr().err == ""


def test_there_is_one_head() -> None:
    assert len(ScriptDirectory.from_config(configuration()).get_heads()) == 1


async def test_a_second_start_changes_nothing(open_store: OpenStore, database_url: str) -> None:
    store = await open_store()
    await enqueue(store, "index")
    await store.close()
    with connected(database_url) as connection:
        before = schema(connection)
    again = await open_store()
    assert [operation.index_name for operation in await again.listing.queue()] == ["index"]
    with connected(database_url) as connection:
        assert schema(connection) == before


async def test_a_database_made_before_the_first_release_is_refused_and_left_alone(
    open_store: OpenStore, database_url: str
) -> None:
    store = await open_store()
    await enqueue(store, "index")
    await store.close()
    (first,) = ScriptDirectory.from_config(configuration()).get_heads()
    for before in ("0015", "1000"):
        execute(database_url, f"UPDATE alembic_version SET version_num = '{before}'")
        with pytest.raises(SchemaTooOld, match=r"made before 1\.0 .* old version"):
            await open_store()
    execute(database_url, f"UPDATE alembic_version SET version_num = '{first}'")
    assert [operation.index_name for operation in await (await open_store()).listing.queue()] == [
        "index"
    ]


async def test_a_row_of_another_release_is_read_and_goes_on_from_its_position(
    open_store: OpenStore, database_url: str
) -> None:
    """A phase that this release does not know is no error of a question, but of the machine."""
    store = await open_store()
    await enqueue(store, "known", "unknown")
    execute(database_url, "UPDATE job SET position = 'copy' WHERE index_name = 'known'")
    execute(database_url, "UPDATE job SET position = 'of_the_future' WHERE index_name = 'unknown'")
    positions = [brief.id for brief in await store.listing.page(Filter(), 10)]
    known, unknown = [await store.jobs.load(job_id) for job_id in positions]
    assert (known.position, unknown.position) == ("copy", "of_the_future")


async def test_first_starts_at_the_same_time_all_succeed(open_store: OpenStore) -> None:
    stores = await asyncio.gather(*(open_store() for _ in range(5)))
    for number, store in enumerate(stores):
        await enqueue(store, f"index-{number}")
    assert len(await stores[0].listing.queue()) == 5


async def test_a_new_cluster_may_be_met_by_several_at_the_same_time(
    open_store: OpenStore, database_url: str
) -> None:
    await open_store()
    for turn in range(5):
        await asyncio.gather(*(open_store(f"cluster-{turn}") for _ in range(4)))
    rows = execute(database_url, "SELECT cluster_id FROM cluster_state ORDER BY cluster_id")
    assert rows == [*((f"cluster-{turn}",) for turn in range(5)), ("test",)]


async def test_first_starts_of_two_processes_both_succeed_and_one_is_the_worker(
    database_url: str,
) -> None:
    async with another_service(database_url) as one, another_service(database_url) as other:
        assert sorted([await said(one), await said(other)]) == ["refused", "taken"]


async def test_a_schema_of_a_newer_release_is_refused_and_left_alone(
    open_store: OpenStore, database_url: str
) -> None:
    store = await open_store()
    await enqueue(store, "index")
    await store.close()
    execute(database_url, "UPDATE alembic_version SET version_num = '9999'")
    with connected(database_url) as connection:
        before = schema(connection)
    with pytest.raises(SchemaTooNew) as caught:
        await Store.open(database_url, "another", lease_seconds=60)
    for word in ("9999", "newer", "Start that release", "another DATABASE_URL"):
        assert word in caught.value.message
    with connected(database_url) as connection:
        assert schema(connection) == before
    assert execute(database_url, "SELECT version_num FROM alembic_version") == [("9999",)]
    assert execute(database_url, "SELECT cluster_id FROM cluster_state") == [("test",)]
    assert execute(database_url, "SELECT index_name, version FROM job") == [("index", 0)]
