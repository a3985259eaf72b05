"""The search for secrets finds what is planted, says where, and does not say what."""

from __future__ import annotations

import json
import sqlite3
from base64 import b64encode
from collections.abc import Callable
from pathlib import Path
from urllib.parse import quote

import psycopg
import pytest

from app.domain.token import new_secret
from app.telemetry import logger
from tests.e2e.process import ServiceProcess
from tests.secrets_searched import kept_log
from tests.secrets_used import WHOLE_SUITE, LeakedSecret, SecretsUsed, used

PLANTED = 'p/lante d"ä-4f1c'
"""Other in every spelling."""


def found(search: Callable[[], None], *words: str) -> None:
    with pytest.raises(LeakedSecret) as raised:
        search()
    said = str(raised.value)
    assert "lante" not in said
    for word in words:
        assert word in said


@pytest.fixture
def planted() -> SecretsUsed:
    """A search of its own, so that what is planted here is looked for nowhere else."""
    own = SecretsUsed()
    own.of_settings({"SERVER_PASSWORD": PLANTED, "SERVER_APIKEY_FILE": "/a", "SERVER_PORT": "80"})
    return own


@pytest.mark.parametrize(
    "written",
    [
        PLANTED,
        quote(PLANTED, safe=""),
        json.dumps({"of": PLANTED}),
        json.dumps({"of": PLANTED}, ensure_ascii=False),
        *(b64encode(f"{name}:{PLANTED}".encode()).decode() for name in ("a", "ab", "abc", "abcd")),
        *(b64encode(f"{name}:{PLANTED}!".encode()).decode() for name in ("a", "ab", "abc")),
    ],
)
def test_a_secret_is_found_in_every_spelling(planted: SecretsUsed, written: str) -> None:
    text = f"before {written} after".encode()
    found(lambda: planted.search_log(text, "a log"), "a log, byte ", "SERVER_PASSWORD is there")


def test_a_secret_is_found_in_a_database_of_sqlite_and_in_its_wal(
    planted: SecretsUsed, tmp_path: Path
) -> None:
    file = tmp_path / "queue.db"
    with sqlite3.connect(file, isolation_level=None) as connection:
        connection.execute("PRAGMA journal_mode = wal")
        connection.execute("CREATE TABLE one (two TEXT)")
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        planted.search_folder(tmp_path)
        assert planted.databases == 1
        connection.execute("INSERT INTO one VALUES (?)", (PLANTED,))
        found(lambda: planted.search_folder(tmp_path), f"{file}-wal")
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        found(lambda: planted.search_folder(tmp_path), f"{file}, byte ")
    connection.close()


def test_a_secret_is_found_in_every_table_of_postgresql(
    planted: SecretsUsed, postgres_url: str
) -> None:
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        connection.execute("CREATE TABLE texts (one TEXT)")
        connection.execute("CREATE TABLE trees (one JSON)")
        planted.search_postgres(postgres_url)
        assert planted.databases == 1
        tree = json.dumps({"a": [{"b": PLANTED}]})
        connection.execute("INSERT INTO texts VALUES (%s)", (PLANTED,))
        found(lambda: planted.search_postgres(postgres_url), "table texts of PostgreSQL")
        connection.execute("TRUNCATE texts")
        connection.execute("INSERT INTO trees VALUES (%s)", (tree,))
        found(lambda: planted.search_postgres(postgres_url), "table trees of PostgreSQL")


def test_the_log_of_this_process_is_kept_for_the_search(planted: SecretsUsed) -> None:
    log = kept_log()
    log.take()
    logger(__name__).warning("written", text=f"this: {PLANTED}")
    written = log.take()
    assert b"written" in written
    found(lambda: planted.search_log(written, "the log of this test"), "the log of this test")
    assert planted.lines >= 1


async def test_the_log_of_a_service_in_a_process_of_its_own_is_searched() -> None:
    service = ServiceProcess({})
    (service.folder / "log").write_text(f"a line with {new_secret()}\n")
    with pytest.raises(LeakedSecret, match="log, byte 12: the secret of a token"):
        await service.close()
    assert not service.folder.exists()


def test_passwords_of_addresses_and_each_key_of_several_are_secrets() -> None:
    own = SecretsUsed()
    own.of_settings(
        {
            "database_url": "postgresql://me:of%20database@db/x?sslpassword=of-the-file",
            "REINDEX_SECRET_KEYS": "first-of-keys,second-of-keys",
        }
    )
    for text in ("of database", "of%20database", "of-the-file", "first-of-keys", "second-of-keys"):
        found(lambda text=text: own.search(text.encode(), "x"))
    own.search(b"first-of-key second-of-key", "x")


def test_a_secret_that_may_occur_by_itself_is_not_taken() -> None:
    with pytest.raises(ValueError, match="SERVER_PASSWORD of a test is too short"):
        SecretsUsed().of_settings({"SERVER_PASSWORD": "elastic"})


def test_a_run_of_the_suite_that_searched_nothing_is_no_success() -> None:
    own = SecretsUsed()
    assert own.shortfall(WHOLE_SUITE - 1) is None
    assert "0 databases and 0 lines" in (own.shortfall(WHOLE_SUITE) or "")
    own.databases = 1
    assert own.shortfall(WHOLE_SUITE)
    own.lines = 1
    assert own.shortfall(WHOLE_SUITE) is None


def test_what_services_are_started_with_is_searched_for() -> None:
    used.of_settings({"server_apikey": "of-this-test-9c3e"})
    found(lambda: used.search(b"x of-this-test-9c3e", "y"), "y, byte 2: server_apikey")


def test_letters_of_what_is_encrypted_are_taken_for_no_token() -> None:
    search, token = SecretsUsed(), b"rq_" + b"x" * 43
    search.search(b"gAAAA" + b"y" * 60 + token, "here")
    with pytest.raises(LeakedSecret):
        search.search(b"gAAAA" + b"y" * 60 + b" " + token, "here")
