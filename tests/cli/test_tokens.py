"""Tokens on the command line: the first one on the spot, the others by the service."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from app.store.engine import without_password
from tests.cli.process import Result, run
from tests.e2e.process import ServiceProcess
from tests.elasticsearch import Elastic

NOWHERE = "http://127.0.0.1:9"


async def here(url: str, *arguments: str) -> Result:
    return await run("token", "create", *arguments, "--here", more={"DATABASE_URL": url})


async def test_the_first_is_made_here_and_makes_the_others(database_url: str) -> None:
    first = await here(database_url, "root", "--role", "admin", "-o", "json")
    new = " This database is new" if database_url.startswith("sqlite") else ""
    assert f"Made in {without_password(database_url)}.{new}" in first.err
    assert "once SERVER_AUTH of the service names tokens" in first.err
    assert first.code == 0
    made = json.loads(first.out)
    assert made["token"]["createdBy"].startswith("here:")
    settings = {
        "ELASTICSEARCH_HOSTS": NOWHERE,
        "DATABASE_URL": database_url,
        "SERVER_AUTH": "tokens",
    }
    async with ServiceProcess(settings) as service:
        away = await run("token", "list", url=service.url)
        assert (away.code, away.out) == (1, "")
        assert "The service asks for a login" in away.err
        login = {"REINDEX_QUEUE_APIKEY": made["secret"]}

        async def token(*arguments: str) -> Result:
            done = await run("token", *arguments, url=service.url, more=login)
            assert done.code == 0, done.err
            return done

        shown = await token(
            "create",
            "ci",
            "--role",
            "operator",
            "--index",
            "a-*",
            "--index",
            "b",
            "--expires",
            "90d",
        )
        secret = shown.lines[-2].split()[1]
        assert secret.startswith("rq_")
        assert "Keep the secret now: it is not shown again." in shown.lines
        listed = await token("list")
        assert [line.split()[:4] for line in listed.lines] == [
            ["TOKEN", "STATE", "ROLE", "INDICES"],
            ["root", "valid", "admin", "all"],
            ["ci", "valid", "operator", "a-*,b"],
        ]
        assert "rq_" not in listed.out
        own = await run("queue", url=service.url, more={"REINDEX_QUEUE_APIKEY": secret})
        assert own.code == 0
        await token("revoke", "ci")
        gone = await run("queue", url=service.url, more={"REINDEX_QUEUE_APIKEY": secret})
        assert gone.code == 1
        assert (await token("list")).lines[-1].split()[:2] == ["ci", "revoked"]
        again = await run("token", "revoke", "ci", url=service.url, more=login)
        assert (again.code, again.err.strip()) == (
            1,
            "Error: There is no token ci that could be revoked.",
        )
        assert made["secret"] not in service.log
        assert secret not in service.log


async def test_a_batch_says_how_many_of_it_are_hidden_from_the_token(
    elasticsearch_url: str, sqlite_url: str, es: Elastic
) -> None:
    for name in ("logs-1", "secret-1", "secret-2"):
        es.put(f"/{name}")
    made: list[str] = []
    for name, *limits in (("root",), ("ci", "--index", "logs-*", "--index", "reindexed-v8-logs-*")):
        role = "operator" if limits else "admin"
        shown = await here(sqlite_url, name, "--role", role, *limits, "-o", "json")
        made.append(json.loads(shown.out)["secret"])
    root, limited = ({"REINDEX_QUEUE_APIKEY": secret} for secret in made)
    settings = {
        "ELASTICSEARCH_HOSTS": elasticsearch_url,
        "DATABASE_URL": sqlite_url,
        "SERVER_AUTH": "tokens",
    }
    async with ServiceProcess(settings) as service:
        assert (await run("pace", "stop", url=service.url, more=root)).code == 0
        names = ("logs-1", "secret-1", "secret-2")
        assert (await run("submit", *names, url=service.url, more=root)).code == 0
        shown = await run("status", "logs-1", url=service.url, more=limited)
        (batch,) = [line for line in shown.lines if line.startswith("batch")]
        assert batch.endswith(" and 2 others that you may not see")
        assert "secret" not in shown.out
        whole = await run("status", "logs-1", url=service.url, more=root)
        (same,) = [line for line in whole.lines if line.startswith("batch")]
        assert batch.startswith(f"{same} and ")
        queue = await run("queue", url=service.url, more=limited)
        assert [line.split()[0] for line in queue.lines] == ["INDEX", "logs-1"]
        batch_id = same.split()[1]
        done = await run("cancel", "--batch", batch_id, url=service.url, more=limited)
        assert done.lines[-1] == "1 operation and 2 others that you may not see: 1 changed."


async def test_one_is_made_here_also_while_the_service_runs(sqlite_url: str) -> None:
    settings = {
        "ELASTICSEARCH_HOSTS": NOWHERE,
        "DATABASE_URL": sqlite_url,
        "SERVER_AUTH": "tokens",
    }
    async with ServiceProcess(settings) as service:
        made = json.loads((await here(sqlite_url, "a", "--role", "viewer", "-o", "json")).out)
        login = {"REINDEX_QUEUE_APIKEY": made["secret"]}
        assert (await run("queue", url=service.url, more=login)).code == 0


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("CI", "--role", "viewer"), 2, "a token's name must be of a-z"),
        (("ci",), 2, "--role"),
        (("ci", "--role", "root"), 2, "--role"),
        (("ci", "--role", "admin", "--index", "*"), 2, "What an admin may do concerns all indices"),
        (("ci", "--role", "viewer", "--index", "A*"), 2, "fits the name of no index"),
        (("ci", "--role", "viewer", "--cluster", "b"), 2, "This service has no cluster b"),
        (("ci", "--role", "viewer", "--expires", "soon"), 2, "--expires: 'soon' is not a duration"),
        (("ci", "--role", "viewer", "--expires", "0"), 2, "--expires 0: leave it out"),
        (("ci", "--role", "viewer", "--expires", "9" * 20 + "d"), 2, "--expires"),
        (("ci", "--role", "viewer", "--curl"), 2, "there is no request for --curl"),
    ],
)
async def test_what_makes_no_sense_is_wrong_usage(
    tmp_path: Path, arguments: tuple[str, ...], code: int, said: str
) -> None:
    done = await here(f"sqlite:///{tmp_path / 'queue.db'}", *arguments)
    assert (done.code, done.out) == (code, "")
    assert said in done.err
    assert "Traceback" not in done.err


async def test_a_name_that_is_taken_and_a_database_that_is_none_are_one_line(
    tmp_path: Path,
) -> None:
    url = f"sqlite:///{tmp_path / 'queue.db'}"
    assert (await here(url, "ci", "--role", "viewer")).code == 0
    taken = await here(url, "ci", "--role", "viewer")
    assert (taken.code, taken.out) == (2, "")
    assert taken.err.strip() == (
        "There is a token ci already. Revoke it first, or choose another name."
    )
    nowhere = await here("sqlite:////nonexistent/queue.db", "ci", "--role", "viewer")
    assert nowhere.code == 1
    assert nowhere.err.startswith("DATABASE_URL: ")
    assert len(nowhere.err.splitlines()) == 1


async def test_the_requests_are_shown_as_curl() -> None:
    shown = await run("token", "create", "ci", "--role", "viewer", "--index", "a-*", "--curl")
    assert shown.out.endswith("""-d '{"name": "ci", "role": "viewer", "indices": ["a-*"]}'\n""")
    assert "-X DELETE" in (await run("token", "revoke", "ci", "--curl")).out
    assert (await run("token", "list", "--curl")).out == (
        "curl -sS http://127.0.0.1:5602/api/v1/tokens\n"
    )
    empty = await run("token", "revoke", "")
    assert (empty.code, empty.out) == (2, "")
