"""What messages name as a remedy exists, and is named in one place."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from typer.testing import CliRunner

from app.cli.commands import cli
from app.domain.remedies import Command, RoutePath, Setting
from app.main import create_app
from app.settings import Settings

APP = Path(__file__).parents[2] / "app"
OUTSIDE = re.compile(
    r"/api/|/readyz|/healthz|\b(?:SERVER|ELASTICSEARCH|REINDEX)_[A-Z]+[A-Z_]*\b|DATABASE_URL"
    r"|reindex-queue (?!any)"
)
STEPS = {"REINDEX_STARTED", "REINDEX_COMPLETED"}
"""Steps of Kibana's, which look like settings."""


@pytest.mark.parametrize("setting", [*Setting])
def test_there_is_a_setting_of_each_name(setting: Setting) -> None:
    assert setting.lower() in Settings.model_fields


@pytest.mark.parametrize("route", [*RoutePath])
def test_there_is_a_route_of_each_name(route: RoutePath) -> None:
    method, _, path = route.rpartition(" ")
    found = create_app(Settings()).openapi()["paths"][path]
    assert not method or method.lower() in found


@pytest.mark.parametrize("command", [*Command])
def test_there_is_a_command_of_each_name(command: Command) -> None:
    program, *words = command.split()
    assert program == "reindex-queue"
    assert CliRunner().invoke(cli, [*words, "--help"]).exit_code == 0


@pytest.mark.parametrize("room", ["domain", "jobs", "copying", "upgrades", "sites"])
def test_nothing_else_inside_names_a_setting_a_route_or_a_command(room: str) -> None:
    for file in (APP / room).rglob("*.py"):
        if file.name != "remedies.py":
            assert set(OUTSIDE.findall(file.read_text())) <= STEPS, file
