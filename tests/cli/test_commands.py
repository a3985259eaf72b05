"""The command line: its help, and what a wrong setting says."""

from __future__ import annotations

import pytest
from typer.testing import CliRunner

from app.cli.commands import cli


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
        ("ELASTICSEARCH_HOSTS", "", "names no host"),
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
