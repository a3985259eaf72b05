"""The image: what it copies is there, it runs as nobody special, and its wheel is whole."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

from app.settings import Settings

ROOT = Path(__file__).parents[1]
Line = tuple[str, str]
"""An instruction and its arguments."""

OPENING = """
import asyncio, sys
sys.path.insert(0, sys.argv[1])
import app
from app.store.store import Store
assert app.__file__.startswith(sys.argv[1])
async def main():
    store = await Store.open(sys.argv[2], "default", 15.0)
    await store.close()
asyncio.run(main())
"""


@pytest.fixture
def stages() -> list[list[Line]]:
    """The lines of each stage, the `FROM` first."""
    text = re.sub(r"\\\n\s*", "", (ROOT / "Dockerfile").read_text())
    found: list[list[Line]] = []
    for line in text.splitlines():
        word, _, rest = line.partition(" ")
        if word == "FROM":
            found.append([])
        if word and word != "#":
            found[-1].append((word, rest))
    return found


def copied(stage: list[Line]) -> list[str]:
    """The paths that a stage copies from the folder of the image."""
    words = [rest.split() for word, rest in stage if word == "COPY"]
    return [path for line in words if "--from=build" not in line for path in line[:-1]]


def test_everything_that_is_copied_is_there_and_not_ignored(stages: list[list[Line]]) -> None:
    ignored = (ROOT / ".dockerignore").read_text().split()
    assert ignored[0] == "*"
    for path in [path for stage in stages for path in copied(stage)]:
        assert (ROOT / path).exists(), path
        assert f"!{path.split('/')[0]}" in ignored, path


def test_it_runs_without_rights_and_installs_only_what_is_pinned(stages: list[list[Line]]) -> None:
    last = dict(stages[-1])  # the last USER and ENTRYPOINT count
    assert last["USER"] not in ("", "0", "root")
    assert last["USER"] in " ".join(rest for word, rest in stages[-1] if word == "RUN")
    installs = [
        command
        for stage in stages
        for word, rest in stage
        if word == "RUN"
        for command in rest.split("&&")
        if "pip install" in command
    ]
    assert len(installs) == 3
    for command in installs:
        assert "--require-hashes" in command or "--no-index" in command, command


def test_it_starts_the_service_on_the_documented_port(stages: list[list[Line]]) -> None:
    last = dict(stages[-1])
    scripts = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["scripts"]
    command = json.loads(last["ENTRYPOINT"])
    assert command[0] in scripts
    port = Settings().server_port
    assert last["EXPOSE"] == str(port)
    health = " ".join(rest for word, rest in stages[-1] if word == "HEALTHCHECK")
    assert f"or {port}}}" in health
    assert "/readyz" in health
    variables = re.findall(r"(\w+)=", last["ENV"])
    assert {"server_host", "database_url"} == {name.lower() for name in variables}
    assert {name.lower() for name in variables} <= set(Settings.model_fields)


def test_the_wheel_of_the_image_is_whole_and_migrates_a_database(
    stages: list[list[Line]], tmp_path: Path
) -> None:
    """Built as the image builds it, out of nothing but what the image copies."""
    source, wheels, installed = tmp_path / "src", tmp_path / "wheels", tmp_path / "installed"
    source.mkdir()
    for path in copied(stages[0]):
        if (ROOT / path).is_dir():
            shutil.copytree(ROOT / path, source / path, ignore=shutil.ignore_patterns("*.pyc"))
        else:
            shutil.copy(ROOT / path, source / path)
    (command,) = [rest for word, rest in stages[0] if word == "RUN" and "pip wheel" in rest]
    words = command.replace("/wheels", str(wheels)).split()
    assert words[:2] == ["pip", "wheel"]
    run([sys.executable, "-m", *words], source)

    (wheel,) = wheels.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
        archive.extractall(installed)
    modules = {str(path.relative_to(ROOT)) for path in (ROOT / "app").rglob("*.py")}
    migrations = {
        f"app/store/{path.relative_to(ROOT)}" for path in (ROOT / "alembic").rglob("*.py")
    }
    assert modules | migrations == {name for name in names if name.endswith(".py")}

    run([sys.executable, "-c", OPENING, str(installed), f"sqlite:///{tmp_path / 'queue.db'}"])
    assert (tmp_path / "queue.db").exists()


def run(command: list[str], folder: Path | None = None) -> None:
    done = subprocess.run(
        command, cwd=folder, capture_output=True, text=True, timeout=100, check=False
    )
    assert done.returncode == 0, done.stderr[-2000:]
