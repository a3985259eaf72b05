"""`reindex-queue events`: what it prints, over a restart of the service too."""

from __future__ import annotations

import asyncio
import json
import signal
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from typer.testing import CliRunner

from app.cli import following as events_command
from app.cli.client import Misuse, ServiceAway
from app.cli.commands import cli
from app.cli.following import Message, messages, tell_on
from app.cli.requests import EventsWanted
from app.cli.session import Session
from tests.cli.process import SCRIPT, Terminal, environment, run
from tests.e2e.process import ServiceProcess, die_with_parent

NOWHERE = {"ELASTICSEARCH_HOSTS": "http://127.0.0.1:9"}


async def change_pace(service: ServiceProcess, times: int) -> None:
    """Each change is an event."""
    for n in range(times):
        answer = await service.client.put("/api/v1/pace", json={"requestsPerSecond": n + 1})
        assert answer.status_code == 200


async def test_what_has_happened_is_shown() -> None:
    async with ServiceProcess(NOWHERE) as service:
        url = service.url
        assert (await run("events", url=url)).out == ""
        await change_pace(service, 52)
        await service.client.post("/api/v1/pace/stop", json={"reason": "the shop is slow"})
        newest = await run("events", url=url)
        assert len(newest.lines) == 50
        assert newest.lines[-1][19:] == " | everything stopped: the shop is slow | api:127.0.0.1"
        assert newest.lines[-2][19:] == " | pace changed: of the service | api:127.0.0.1"
        whole = await run("events", "--all", "-o", "json", url=url)
        assert [json.loads(line)["number"] for line in whole.lines] == list(range(1, 54))
        stops = await run("events", "--kind", "everything stopped", "-o", "json", url=url)
        (stop,) = map(json.loads, stops.lines)
        page = await service.client.get("/api/v1/events?after=default:52")
        assert [stop] == page.json()["events"]
        assert (await run("events", "--batch", "unknown", url=url)).out == ""


async def test_following_goes_on_after_a_kill_and_a_stop() -> None:
    async with ServiceProcess(NOWHERE) as service:
        await change_pace(service, 2)
        async with following(service.url) as command:
            assert [await number_from(command) for _ in range(2)] == [1, 2]
            await change_pace(service, 1)
            assert await number_from(command) == 3
            service.kill()
            await service.start()
            await change_pace(service, 1)
            assert await number_from(command) == 4
            assert await service.terminate() == 0
            await service.start()
            await change_pace(service, 1)
            assert await number_from(command) == 5
            command.send_signal(signal.SIGINT)
            out, err = await command.communicate()
            assert command.returncode == 130
            assert out == b""
            assert err.count(b"waiting for the service: Reindex Queue cannot be reached") >= 1


async def test_on_a_terminal_it_ends_with_ctrl_c() -> None:
    async with ServiceProcess(NOWHERE) as service:
        terminal = Terminal("events", "--follow", url=service.url, columns=40)
        await change_pace(service, 1)
        await terminal.shows("pace changed: of the service")
        terminal.interrupt()
        assert await terminal.ended() == 130


@asynccontextmanager
async def following(url: str) -> AsyncGenerator[Process]:
    command = await asyncio.create_subprocess_exec(
        *(SCRIPT, "events", "--follow", "-o", "json"),
        stdout=PIPE,
        stderr=PIPE,
        env=environment(url),
        preexec_fn=_as_from_a_shell,
    )
    try:
        yield command
    finally:
        if command.returncode is None:
            command.kill()
        await command.communicate()


def _as_from_a_shell() -> None:
    signal.signal(signal.SIGINT, signal.default_int_handler)
    die_with_parent()


async def number_from(command: Process) -> int:
    assert command.stdout
    async with asyncio.timeout(60):
        event: dict[str, Any] = json.loads(await command.stdout.readline())
    return event["number"]


def test_what_is_no_kind_and_no_batch_is_wrong_usage() -> None:
    for given, said in (
        (("--kind", "nonsense"), "docs/events.md lists them"),
        (("--kind", ""), "there is no such kind"),
        (("--batch", ".."), "the id of a batch"),
    ):
        refused = CliRunner().invoke(cli, ["events", *given]).exception
        assert isinstance(refused, Misuse), given
        assert said in refused.message


@pytest.mark.parametrize(
    ("given", "request_line"),
    [
        ((), "curl -sS 'http://127.0.0.1:5602/api/v1/events?order=desc&limit=50'"),
        (("--all",), "curl -sS 'http://127.0.0.1:5602/api/v1/events?limit=500'"),
        (
            ("--follow", "--batch", "b", "--kind", "goes on", "--kind", "holds"),
            "curl -sS -H 'accept: text/event-stream' -N "
            "'http://127.0.0.1:5602/api/v1/events?batch=b&kind=goes+on&kind=holds'",
        ),
    ],
)
def test_the_same_as_curl(given: tuple[str, ...], request_line: str) -> None:
    printed = CliRunner().invoke(cli, ["events", *given, "--curl"])
    assert printed.exit_code == 0
    assert printed.output.splitlines()[0] == request_line


def test_messages_of_a_stream() -> None:
    lines = ["retry: 2000", "id: a:1", "", ": heartbeat", "id: a:2", "", "id:a:3", "data:x", ""]
    lines += ["data: y", "data:  z", "event: any", "", "id: a:9", "data: cut"]
    assert list(messages(lines)) == [
        Message("a:1"),
        Message("a:2", comment="heartbeat"),
        Message("a:3", "x"),
        Message(None, "y\n z"),
    ]
    signs = [message.is_sign_of_life for message in messages(lines)]
    assert signs == [False, True, True, True]


async def test_streams_that_end_at_once_are_given_up(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """As of something before the service that answers for it: it is said, and comes to an end."""
    asked = 0

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal asked
        asked += 1
        await reader.readuntil(b"\r\n\r\n")
        writer.write(
            b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n"
            b"retry: 2000\nid: default:1\n\n"
        )
        writer.close()
        await writer.wait_closed()

    for name, seconds in (("REST_SECONDS", 0.01), ("MOST_REST_SECONDS", 0.04)):
        monkeypatch.setattr(events_command, name, seconds)
    monkeypatch.setattr(events_command, "PATIENCE_SECONDS", 0.5)
    async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        session = Session(f"http://127.0.0.1:{port}", as_json=False, curl=False)
        with pytest.raises(ServiceAway, match="its streams of events end as soon as"):
            await asyncio.to_thread(tell_on, session, EventsWanted(None, ()), None)
    assert 3 < asked < 60
    assert capsys.readouterr().err.count("waiting for the service: ") == 1
