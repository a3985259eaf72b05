"""`reindex-queue adopt`: over the service, and here, where nobody is let in."""

from __future__ import annotations

from pathlib import Path

from typer.testing import CliRunner

from app.cli.commands import cli
from app.domain.ownership import Mark
from app.store.store import Store
from tests.cli.process import run
from tests.e2e.process import ServiceProcess
from tests.store.database import execute

NOWHERE = "http://127.0.0.1:9"
OTHER = Mark(instance="another", term=40, writer="w")


async def stopped(url: str) -> None:
    """As a service leaves it that has seen the mark of another."""
    store = await Store.open(url, "default", 60.0)
    lease = await store.role.take()
    assert lease
    await store.ownerships.begin_term(lease.token, None)
    await store.ownerships.weigh(OTHER)
    await store.role.release(lease)
    await store.close()


async def test_here_it_needs_no_service_and_revokes_the_tokens(sqlite_url: str) -> None:
    here = {"DATABASE_URL": sqlite_url}
    await run("token", "create", "root", "--role", "admin", "--here", more=here)
    early = await run("adopt", "--here", more=here)
    assert (early.code, early.out) == (1, "")
    assert "goes on already" in early.err
    assert "start it" in early.err
    await stopped(sqlite_url)
    done = await run("adopt", "--here", more=here)
    assert done.code == 0, done.err
    assert "Revoked 1 token: root" in done.lines
    whos = execute(sqlite_url, "SELECT who FROM event WHERE what = 'database adopted'")
    assert [who.startswith("here:") for (who,) in whos] == [True]


async def test_the_service_is_asked_and_says_where_there_is_nothing_to_adopt(
    sqlite_url: str,
) -> None:
    await stopped(sqlite_url)
    settings = {"ELASTICSEARCH_HOSTS": NOWHERE, "DATABASE_URL": sqlite_url}
    async with ServiceProcess(settings) as service:
        shown = await run("status", url=service.url)
        assert shown.code == 0
        done = await run("adopt", "--keep-tokens", url=service.url)
        assert (done.code, done.err) == (0, "")
        again = await run("adopt", url=service.url)
        assert (again.code, "goes on already" in again.err) == (1, True)
        rotated = await run("keys", "rotate", url=service.url)
        assert (rotated.code, "REINDEX_SECRET_KEYS is not set" in rotated.err) == (1, True)


async def test_keys_are_rotated_where_there_is_one(sqlite_url: str, tmp_path: Path) -> None:
    key = tmp_path / "keys"
    key.write_text(CliRunner().invoke(cli, ["keys", "new"]).output)
    settings = {
        "ELASTICSEARCH_HOSTS": NOWHERE,
        "DATABASE_URL": sqlite_url,
        "REINDEX_SECRET_KEYS_FILE": str(key),
    }
    async with ServiceProcess(settings) as service:
        rotated = await run("keys", "rotate", url=service.url)
        assert (rotated.code, rotated.lines) == (0, ["Encrypted 0 secrets with the first key."])


def test_curl_shows_the_request_and_here_has_none() -> None:
    printed = CliRunner().invoke(cli, ["adopt", "--curl"], env={"COLUMNS": "200"}).output
    assert "/api/v1/worker/adopt" in printed
    assert '{"keepTokens": false}' in printed
    assert CliRunner().invoke(cli, ["adopt", "--here", "--curl"]).exit_code != 0
