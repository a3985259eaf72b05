"""The commands against a real service: what they print, where, and with which exit code."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import pytest

from testbed.relay import Relay
from tests.cli.process import Result, Terminal, run
from tests.e2e.process import ServiceProcess, free_port
from tests.elasticsearch import Elastic
from tests.upgrades.midway import filled

BUSY: dict[str, Any] = {"error": {"type": "es_rejected_execution_exception", "reason": "full"}}
ILLEGAL: dict[str, Any] = {"error": {"type": "illegal_argument_exception", "reason": "of no use"}}
SWAP = ("POST", "^/_aliases")
DECORATION = ("\x1b", "─", "│", "━", "┃", "╭")


@pytest.fixture
async def service(relay: Relay) -> AsyncGenerator[ServiceProcess]:
    async with ServiceProcess({"ELASTICSEARCH_HOSTS": relay.url}) as running:
        yield running


def is_plain(result: Result) -> bool:
    return not any(mark in result.out + result.err for mark in DECORATION)


async def by_curl(*arguments: str, url: str) -> Any:
    """What the first line printed by `--curl` answers when a shell runs it."""
    printed = await run(*arguments, "--curl", url=url)
    assert printed.code == 0, printed
    return await shell(printed.lines[0])


async def shell(line: str, **environment: str) -> Any:
    """What a line of curl answers."""
    done = await asyncio.to_thread(
        subprocess.run,
        ["bash", "-c", line],
        capture_output=True,
        check=True,
        timeout=60,
        env={"PATH": os.environ["PATH"], **environment},
    )
    return json.loads(done.stdout)


async def test_what_is_submitted_can_be_waited_for_and_looked_at(
    service: ServiceProcess, es: Elastic
) -> None:
    url = service.url
    for name in ("[bold]x", "日志"):
        filled(es, name)
    empty = await run("queue", url=url)
    assert (empty.code, empty.out) == (0, "The queue is empty.\n")
    never = await run("status", "日志", url=url)
    assert (never.code, never.out) == (1, "")
    assert "never an operation on 日志" in never.err

    printed = await run("submit", "日志", "--curl", url=url)
    assert '\'{"indexNames": ["日志"]}\'' in printed.out
    stdin = "[bold]x   \n日志\nnope\n".encode()
    waited = await run("submit", "-", "--wait", url=url, stdin=stdin)
    assert waited.code == 1
    assert waited.err == "not queued: nope: Index nope does not exist in this cluster.\n"
    assert waited.lines[0] == "2 indices queued."
    assert waited.lines[-1] == "2 completed"
    assert is_plain(waited)

    shown = await run("status", "[bold]x", url=url)
    assert shown.code == 0
    assert {"index      [bold]x", "state      completed"} <= set(shown.lines)
    assert "proof      20 documents on both sides (full)" in shown.lines
    overview = await run("status", url=url)
    assert overview.code == 0
    assert overview.lines[0].startswith("worker  idle; sqlite; Elasticsearch 8.19.")
    assert overview.lines[1] == "queue   2 completed"
    assert [line.split()[:2] for line in overview.lines[3:]] == [
        ["日志", "completed"],
        ["[bold]x", "completed"],
    ]
    assert is_plain(overview)

    as_json = json.loads((await run("status", "日志", "-o", "json", url=url)).out)
    (listed,) = (await by_curl("status", "日志", url=url))["operations"]
    assert listed.items() <= as_json.items()
    worker = await by_curl("status", url=url)
    assert json.loads((await run("status", "-o", "json", url=url)).out)["worker"] == worker
    assert await by_curl("cancel", "日志", url=url) == {
        "statusCode": 400,
        "error": "Bad Request",
        "message": "Reindex operation is not in progress",
    }
    late = await run("cancel", "日志", url=url)
    assert (late.code, late.err) == (1, "Error: Reindex operation is not in progress\n")
    for wrong in (("submit", "-"), ("cancel", "a/b"), ("status", "--every", "0"), ("submit",)):
        assert (await run(*wrong, url=url)).code == 2


async def test_a_watcher_sees_why_it_waits_a_new_start_and_the_end(
    service: ServiceProcess, relay: Relay, es: Elastic
) -> None:
    filled(es, "a")
    filled(es, "b")
    filled(es, "c")
    relay.answer(*SWAP, 503, BUSY, times=None)
    relay.answer("PUT", "^/b/_block/write", 400, ILLEGAL, times=None)
    assert (await run("submit", "a", "b", "c", url=service.url)).code == 0

    terminal = Terminal("status", "--watch", "--every", "0.1", url=service.url)
    await terminal.shows("es_rejected_execution_exception")
    await terminal.shows("0/3 done | holding 20/20 100.0% | a: waits for")
    listed = await run("queue", url=service.url)
    assert [line.split()[:2] for line in listed.lines] == [
        ["INDEX", "STATE"],
        ["a", "holding"],
        ["b", "waiting"],
        ["c", "waiting"],
    ]
    assert "es_rejected_execution_exception" in listed.lines[1]
    assert is_plain(listed)
    pages = json.loads((await run("queue", "-o", "json", url=service.url)).out)
    assert [o["indexName"] for o in pages["operations"]] == ["a", "b", "c"]
    doctor = await run("doctor", url=service.url)
    assert doctor.code == 0
    assert [line.split()[0] for line in doctor.lines if line[0] != " "] == ["ok"] * 9 + ["warning"]
    assert "reindex-queue cancel a" in doctor.out

    service.kill()
    await terminal.shows("waiting for the service: ")
    assert (await run("cancel", "c", url=service.url)).code == 1
    await service.start()
    cancelled = await run("cancel", "c", url=service.url)
    assert cancelled.code == 0
    assert cancelled.out.startswith("c is cancelled; its index is as it was found. Look: ")
    relay.clear()
    relay.answer("PUT", "^/b/_block/write", 400, ILLEGAL, times=None)
    assert await terminal.ended() == 1
    assert "1/3 done, 1 failed, 1 cancelled" in terminal.text
    failed = await run("status", "b", url=service.url)
    assert failed.code == 1
    assert "of no use" in failed.out
    watched = await run("status", "a", "--watch", "-o", "json", url=service.url)
    assert watched.code == 0
    assert [json.loads(line)["state"] for line in watched.lines] == ["completed"]
    assert (await run("status", "c", "--watch", url=service.url)).code == 1


async def test_a_terminal_has_tables_and_bars_and_ctrl_c_stops_only_the_waiting(
    service: ServiceProcess, relay: Relay, es: Elastic
) -> None:
    filled(es, "a")
    filled(es, "n" * 200 + "-2019")
    relay.answer(*SWAP, 503, BUSY, times=None)
    terminal = Terminal("submit", "--wait", "a", "n" * 200 + "-2019", url=service.url)
    await terminal.shows("2 indices queued.")
    await terminal.shows("indices ━")
    await terminal.shows("0/2")
    await terminal.shows("a: waits for")
    await terminal.shows("es_rejected")
    await terminal.shows("holding 100.0%")
    bars = [line for line in terminal.text.splitlines() if "━" in line]
    assert all(line.startswith(("indices ━", "a ")) and len(line) <= 80 for line in bars)
    terminal.interrupt()
    assert await terminal.ended() == 130
    assert "The work goes on; look again with: reindex-queue status --watch" in terminal.text

    table = Terminal("queue", url=service.url)
    assert await table.ended() == 0
    assert "\x1b[33mholding" in table.raw
    assert "…" in table.text
    assert "-2019  waiting" in table.text
    assert all(len(line) <= 80 for line in table.text.splitlines())
    relay.clear()
    assert (await run("status", "--watch", url=service.url)).code == 0


async def test_a_service_that_is_not_there_is_said_with_a_remedy(elasticsearch_url: str) -> None:
    nowhere = f"http://127.0.0.1:{free_port()}"
    commands = (
        ("status",),
        ("status", "a", "--watch"),
        ("queue", "-o", "json"),
        ("submit", "a", "--wait"),
        ("cancel", "a"),
    )
    for result in await asyncio.gather(*(run(*command, url=nowhere) for command in commands)):
        assert (result.code, result.out) == (1, "")
        assert result.err.startswith(f"Error: Reindex Queue cannot be reached at {nowhere}")
        assert "reindex-queue serve" in result.err
        assert "Traceback" not in result.err
    doctor = await run("doctor", url=nowhere)
    assert (doctor.code, doctor.err) == (1, "")
    assert doctor.out.startswith("wrong  service  Reindex Queue cannot be reached")
    as_json = json.loads((await run("doctor", "-o", "json", url=nowhere)).out)
    assert (as_json["healthy"], as_json["checks"][0]["verdict"]) == (False, "wrong")

    stranger = await run("status", url=elasticsearch_url)
    assert stranger.code == 1
    assert "not as this release of Reindex Queue does" in stranger.err
    odd = ("http://[::1", "http://x:99999", "http://a b", "http://x/#y", "ftp://me:hunter2@x")
    for address in ("", "nowhere", "ftp://x", "http://", "http://x:y", *odd):
        wrong = await run("queue", "--url", address)
        assert (wrong.code, wrong.out) == (2, "")
        assert wrong.err.startswith("Error: --url")
        assert "http://host:port" in wrong.err
        assert "hunter2" not in wrong.err
    secret = await run("status", "--url", nowhere.replace("//", "//me:hunter2@"))
    assert "hunter2" not in secret.out + secret.err
    curl = await run("status", "--curl", "--url", "http://me:hunter2@x:1/base/")
    assert curl.lines[0] == "curl -sS -u me http://x:1/base/api/v1/worker"


async def test_a_login_comes_from_the_environment_and_is_never_printed(
    elasticsearch_url: str, tmp_path: Path
) -> None:
    logins = {
        "SERVER_USERNAME": "ops",
        "SERVER_PASSWORD": "hunter2-ä",
        "SERVER_APIKEY": "hunter3-b7e1",
    }
    secret = tmp_path / "secret"
    secret.write_text("hunter3-b7e1\n")
    async with ServiceProcess({"ELASTICSEARCH_HOSTS": elasticsearch_url, **logins}) as service:
        port = str(service.port)
        outside = await run("status", url=service.url, more={"SERVER_APIKEY": "hunter3-b7e1"})
        assert (outside.code, outside.out) == (1, "")
        assert "REINDEX_QUEUE_APIKEY" in outside.err
        ways: list[dict[str, str]] = [
            {"REINDEX_QUEUE_URL": service.url, "REINDEX_QUEUE_APIKEY": "hunter3-b7e1"},
            {"REINDEX_QUEUE_URL": service.url, "REINDEX_QUEUE_APIKEY_FILE": str(secret)},
            {
                "REINDEX_QUEUE_URL": service.url,
                "REINDEX_QUEUE_USERNAME": "ops",
                "REINDEX_QUEUE_PASSWORD": "hunter2-ä",
            },
            {"SERVER_PORT": port, "SERVER_APIKEY": "hunter3-b7e1"},
        ]
        for way in ways:
            assert (await run("status", more=way)).code == 0
            printed = await run("status", "--curl", more=way)
            assert "hunter" not in printed.out
            answer = await shell(printed.lines[0], **way)
            assert answer["queueLength"] == 0
        broken = await run(
            "status", url=service.url, more={"REINDEX_QUEUE_APIKEY": "hunter3-b7e1\n"}
        )
        assert (broken.code, broken.out) == (2, "")
        assert broken.err.startswith("Error: REINDEX_QUEUE_APIKEY: ")
        assert "hunter3-b7e1" not in broken.err
        unreadable = await run("status", more={"REINDEX_QUEUE_APIKEY_FILE": str(tmp_path / "none")})
        assert unreadable.code == 2
        assert unreadable.err.startswith("Error: REINDEX_QUEUE_APIKEY_FILE: cannot read")


async def test_more_names_than_a_batch_takes_are_several_batches_one_behind_the_other(
    service: ServiceProcess, es: Elastic, relay: Relay
) -> None:
    """The first and the last of them are there, so each batch has one to wait for."""
    for name in ("first", "last"):
        filled(es, name)
    names = ["first", *(f"none-{n}" for n in range(10_000)), "last"]
    done = await run("submit", "-", "--wait", "-o", "json", url=service.url, stdin=_lines(names))
    assert done.code == 1
    assert done.err.count("not queued") == 10_000
    ended = json.loads(done.out)["operations"]
    assert [(one["indexName"], one["state"]) for one in ended] == [
        ("first", "completed"),
        ("last", "completed"),
    ]
    assert len({one["batchId"] for one in ended}) == 2

    relay.refuse()
    refused = await run("submit", "-", url=service.url, stdin=_lines(names))
    assert refused.code != 0
    assert "were sent" not in refused.err, "nothing was, before the first"


def _lines(names: list[str]) -> bytes:
    return "\n".join(names).encode()
