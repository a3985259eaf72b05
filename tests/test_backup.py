"""`reindex-queue backup`: what it says, and what it ends with."""

from __future__ import annotations

from pathlib import Path

from typer.testing import CliRunner

from app.cli.commands import cli
from app.store.store import Store


def run(*arguments: str, url: str) -> tuple[int, str]:
    """The exit code and all that was printed."""
    result = CliRunner().invoke(cli, ["backup", *arguments], env={"DATABASE_URL": url})
    assert result.exception is None or isinstance(result.exception, SystemExit)
    return result.exit_code, result.output


async def test_it_copies_the_database_of_the_settings_and_says_what_is_not_in_it(
    sqlite_url: str, tmp_path: Path
) -> None:
    store = await Store.open(sqlite_url, "test", 60.0)
    copy = tmp_path / "copy"
    code, text = run(str(copy), url=sqlite_url)
    assert code == 0
    assert copy.stat().st_size > 0
    for word in (str(copy), "queue.db", "REINDEX_SECRET_KEYS", "settings", "queue.db-wal"):
        assert word in text
    code, text = run(str(copy), url=sqlite_url)
    assert (code, text.strip()) == (1, f"Error: {copy} is there already. Name a file that is not.")
    await store.close()


def test_on_postgresql_it_prints_the_command_without_the_password() -> None:
    code, text = run("copy", url="postgresql://me:hunter2@db/queue")
    assert code == 2
    assert "pg_dump --format=custom --file=copy postgresql://me@db/queue" in text
    assert "hunter2" not in text


def test_a_wrong_setting_is_named_and_a_file_must_be() -> None:
    code, text = run("copy", url="mysql://db")
    assert code == 1
    assert "DATABASE_URL must begin with" in text
    assert run(url="sqlite:///x.db")[0] == 2
