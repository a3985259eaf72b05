"""The PostgreSQL server of the testbed."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import psycopg
import pytest

from testbed.postgres import PostgresServer
from tests.conditions import until


def _execute(url: str, statement: str) -> None:
    with psycopg.connect(url) as connection:
        connection.execute(statement.encode())


def _count(url: str) -> int:
    with psycopg.connect(url) as connection:
        row = connection.execute("SELECT count(*) FROM things").fetchone()
    assert row is not None
    return row[0]


def test_databases_are_new_and_apart(postgres_server: PostgresServer, postgres_url: str) -> None:
    _execute(postgres_url, "CREATE TABLE things (id int)")
    other = postgres_server.create_database()
    with pytest.raises(psycopg.errors.UndefinedTable):
        _count(other)
    postgres_server.drop_database(other)


def test_a_database_can_be_made_from_a_template(
    postgres_server: PostgresServer, postgres_url: str
) -> None:
    _execute(postgres_url, "CREATE TABLE things AS SELECT generate_series(1, 3) AS id")
    copy = postgres_server.create_database(postgres_url)
    assert _count(copy) == 3
    postgres_server.drop_database(copy)


def test_a_server_that_ended_by_itself_can_be_started_again() -> None:
    with PostgresServer() as server:
        first = server.create_database()
        with psycopg.connect(server.url) as session:
            row = session.execute("SHOW data_directory").fetchone()
        assert row is not None
        os.kill(int(Path(row[0], "postmaster.pid").read_text().split()[0]), signal.SIGKILL)
        until(lambda: not server.running, "the server has ended")
        server.start()
        with psycopg.connect(first) as session:
            session.execute("SELECT 1")


@pytest.mark.parametrize("way", ["restart", "kill"])
def test_what_was_committed_survives(
    postgres_server: PostgresServer, postgres_url: str, way: str
) -> None:
    _execute(postgres_url, "CREATE TABLE things AS SELECT generate_series(1, 3) AS id")
    with psycopg.connect(postgres_url) as session:
        if way == "kill":
            postgres_server.kill()
        postgres_server.restart()
        with pytest.raises(psycopg.OperationalError):
            session.execute("SELECT 1")
    assert _count(postgres_url) == 3
