"""The command line: its help, and what a wrong setting says."""

from __future__ import annotations

import json
import shlex
import subprocess
from importlib.metadata import version
from pathlib import Path

import pytest
from typer.testing import CliRunner

from app.cli.client import Misuse
from app.cli.commands import cli
from tests.cli import process
from tests.cli.process import SCRIPT, Terminal, environment


def run(*arguments: str, **environment: str) -> tuple[int, str]:
    """The exit code and all that was printed."""
    result = CliRunner().invoke(cli, arguments, env={"COLUMNS": "200", **environment})
    assert result.exception is None or isinstance(result.exception, SystemExit)
    return result.exit_code, result.output


def test_help_says_what_it_is_and_lists_the_commands() -> None:
    code, text = run("--help")
    assert code == 0
    assert "Rewrites Elasticsearch indices" in text
    assert "serve" in text


def test_without_a_command_the_help_is_shown() -> None:
    assert "serve" in run()[1]


def test_the_help_of_serve_names_its_options_and_settings() -> None:
    code, text = run("serve", "--help")
    assert code == 0
    for word in ("--host", "--port", "SERVER_HOST", "SERVER_PORT", "5602", "environment"):
        assert word in text


def test_an_unknown_command_is_refused() -> None:
    code, text = run("serv")
    assert code == 2
    assert "serv" in text


@pytest.mark.parametrize(
    ("variable", "value", "said"),
    [
        ("ELASTICSEARCH_HOSTS", "localhost", "must be full URLs such as http://localhost:9200"),
        ("ELASTICSEARCH_HOSTS", ",", "names no host"),
        ("ELASTICSEARCH_HOSTS", "http://me:hunter2@es", "use ELASTICSEARCH_USERNAME"),
        ("SERVER_PORT", "http", "valid integer"),
        ("REINDEX_LOG_LEVEL", "loud", "match pattern"),
    ],
)
def test_a_wrong_setting_is_one_line_that_names_the_variable(
    variable: str, value: str, said: str
) -> None:
    code, text = run("serve", **{variable: value})
    assert code == 2
    (line,) = text.splitlines()
    assert line.startswith(f"{variable}: ")
    assert said in line
    assert "hunter2" not in line


def test_every_wrong_setting_is_told_at_once() -> None:
    code, text = run("serve", SERVER_PORT="x", REINDEX_LEASE_SECONDS="y")
    assert code == 2
    assert {line.partition(":")[0] for line in text.splitlines()} == {
        "SERVER_PORT",
        "REINDEX_LEASE_SECONDS",
    }


def test_settings_that_exclude_each_other_are_told_by_name() -> None:
    code, text = run(
        "serve",
        ELASTICSEARCH_USERNAME="u",
        ELASTICSEARCH_PASSWORD="hunter2",
        ELASTICSEARCH_APIKEY="hunter3",
    )
    assert code == 2
    assert "ELASTICSEARCH_APIKEY or ELASTICSEARCH_USERNAME" in text
    assert "hunter" not in text


def test_a_database_that_cannot_be_used_is_one_line() -> None:
    code, text = run("serve", "--port", "0", DATABASE_URL="mysql://me:hunter2@db/queue")
    assert code == 1
    assert "DATABASE_URL: " in text
    assert "hunter2" not in text
    assert "Traceback" not in text


def test_every_command_has_its_help_in_plain_text_where_there_is_no_terminal() -> None:
    steering = ("cancel", "pause", "resume", "retry", "rollback")
    commands = (
        "serve",
        "submit",
        "status",
        "queue",
        *steering,
        "doctor",
        "adopt",
        "prune",
        "backup",
        "keys",
        "pace",
        "token",
        "webhook",
    )
    for command in commands:
        code, text = run(command, "--help")
        assert code == 0
        assert f"Usage: reindex-queue {command}" in text or f"Usage: cli {command}" in text
        assert not {"─", "│", "\x1b"} & set(text)
    assert all(command in run("--help")[1] for command in commands)


async def test_help_is_as_wide_as_the_terminal_and_no_sentence_is_cut() -> None:
    for columns in (80, 120):
        shown = await process.run("submit", "--help", more={"COLUMNS": str(columns)})
        assert columns - 20 < max(map(len, shown.lines)) <= columns
    terminal = Terminal("submit", "--help", url="http://localhost", columns=80)
    assert await terminal.ended() == 0
    assert not {"─", "│"} & set(terminal.text)
    for command in ((), ("pace",), ("keys",), ("token",), ("webhook",)):
        assert "..." not in run(*command, "--help", COLUMNS="80")[1].partition("Commands:")[2]
    assert "--hours '22:00-06:00 Europe/Berlin'" in run("pace", "set", "--help", COLUMNS="80")[1]


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (("submit", ""), "A name is empty"),
        (("plan", "a", ""), "A name is empty"),
        (("submit",), "No names were given"),
        (("status", ""), "it is empty"),
        (("pause", "a", "--batch", "b"), "Name an index, or a batch"),
        (("pause",), "Name an index, or a batch"),
        (("cancel", "--batch", ""), "the id of a batch"),
        (("cancel", "--batch", "../pace"), "the id of a batch"),
    ],
)
def test_what_cannot_be_meant_is_wrong_usage(given: tuple[str, ...], said: str) -> None:
    refused = CliRunner().invoke(cli, given).exception
    assert isinstance(refused, Misuse)
    assert said in refused.message


@pytest.mark.parametrize(
    "given",
    [
        ("status", "--every", "nan"),
        ("status", "--every", "often"),
        ("serve", "--port", "99999"),
        ("serve", "--port", "-1"),
        ("serve", "--host", "no such"),
        ("serve", "--host", "a" * 300),
        ("queue", "-o", "xml"),
    ],
)
def test_an_option_that_cannot_be_is_wrong_usage(given: tuple[str, ...]) -> None:
    assert run(*given)[0] == 2


@pytest.mark.parametrize("given", [("submit", b"\xff"), ("pace", "stop", "--reason", b"\xff")])
def test_bytes_that_are_no_text_are_wrong_usage(given: tuple[str | bytes, ...]) -> None:
    done = subprocess.run([SCRIPT, *given], capture_output=True, env=environment(None), check=False)
    assert done.returncode == 2
    assert b"UTF-8" in done.stderr
    assert b"Traceback" not in done.stderr


def test_a_standard_input_that_is_closed_is_wrong_usage() -> None:
    closed = f"{shlex.quote(SCRIPT)} submit - <&-"
    done = subprocess.run(
        ["sh", "-c", closed], capture_output=True, env=environment(None), check=False
    )
    assert done.returncode == 2
    assert done.stderr.startswith(b"Error: There is no standard input")


def test_an_answer_that_cannot_be_written_is_a_line_and_a_failure() -> None:
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(
            [SCRIPT, "queue", "--curl"],
            stdout=full,
            stderr=subprocess.PIPE,
            env=environment(None),
            check=False,
        )
    assert done.returncode == 1
    assert done.stderr == b"Error: The answer cannot be written: No space left on device.\n"


@pytest.mark.parametrize("command", [(), ("pace",), ("pace", "set"), ("submit",)])
def test_help_has_its_short_name(command: tuple[str, ...]) -> None:
    assert run(*command, "-h") == run(*command, "--help")


def test_the_version_is_told() -> None:
    assert run("--version") == (0, f"reindex-queue {version('reindex-queue')}\n")


def test_the_shells_completion_is_there() -> None:
    assert "--install-completion" in run("--help")[1]


@pytest.mark.parametrize(
    ("environment", "url"),
    [
        ({}, "http://127.0.0.1:5602"),
        ({"SERVER_PORT": "7", "SERVER_HOST": "0.0.0.0"}, "http://127.0.0.1:7"),
        ({"SERVER_HOST": "::"}, "http://[::1]:5602"),
        ({"SERVER_HOST": "x", "REINDEX_QUEUE_URL": "https://y/z"}, "https://y/z"),
    ],
)
def test_the_service_is_looked_for_where_the_environment_says(
    environment: dict[str, str], url: str
) -> None:
    code, text = run("doctor", "--curl", **environment)
    assert (code, text) == (
        0,
        f"curl -sS '{url}/api/v1/doctor'\n".replace("'", "'" if "[" in url else ""),
    )


def test_a_long_list_is_a_here_document() -> None:
    names = [f"index-{n}" for n in range(10_000)]
    code, text = run("submit", "--curl", *names)
    first, body, end = text.splitlines()
    assert code == 0
    assert first.endswith("--data-binary @- <<'END'")
    assert json.loads(body) == {"indexNames": names}
    assert end == "END"
