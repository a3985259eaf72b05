"""What a command loads: nothing of the service, unless it is the service that is started."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from tests.cli.process import environment

SERVICE = {
    "aiohttp",
    "elastic_transport",
    "elasticsearch",
    "fastapi",
    "pydantic_settings",
    "sqlalchemy",
    "sqlmodel",
    "starlette",
    "structlog",
    "uvicorn",
}
CLIENT = {"cli", "domain", "wire"}
LOADED = """
import json, sys
from app.cli.commands import run
try:
    run()
except SystemExit as ended:
    assert not ended.code, ended.code
print("\\n" + json.dumps(sorted(sys.modules)))
"""


def loaded(*arguments: str) -> set[str]:
    """The modules that are there when the command has ended."""
    done = subprocess.run(
        [sys.executable, "-c", LOADED, *arguments],
        capture_output=True,
        env=environment(None),
        check=True,
    )
    return set(json.loads(done.stdout.splitlines()[-1]))


@pytest.mark.parametrize(
    "command",
    [
        ("--version",),
        ("--help",),
        ("serve", "--help"),
        ("status", "--curl"),
        ("status", "--watch", "--curl"),
        ("queue", "--curl"),
        ("submit", "a", "--wait", "--curl"),
        ("submit", "--outdated", "--curl"),
        ("plan", "a", "--curl"),
        ("pause", "a", "--curl"),
        ("pace", "show", "--curl"),
        ("doctor", "--curl"),
        ("token", "create", "a", "--role", "viewer", "--curl"),
        ("token", "list", "--curl"),
        ("webhook", "create", "a", "https://hooks.example", "--curl"),
        ("webhook", "list", "--curl"),
    ],
)
def test_a_command_loads_nothing_of_the_service(command: tuple[str, ...]) -> None:
    modules = loaded(*command)
    assert not SERVICE & modules
    parts = {module.split(".")[1] for module in modules if module.startswith("app.")}
    assert parts <= CLIENT
    assert "cli" in parts


def test_help_is_shown_without_a_shape_of_the_wire() -> None:
    assert not [module for module in loaded("status", "--help") if module.startswith("app.wire")]
