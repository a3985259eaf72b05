"""`docker-compose.yml` says what it means, also where no docker can be asked."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import yaml

from app.settings import Settings
from testbed.distributions import DISTRIBUTIONS

ROOT = Path(__file__).parents[1]
FILE, EXAMPLE = ROOT / "docker-compose.yml", ROOT / ".env.example"
VARIABLE = re.compile(r"\$\{(\w+)(?::-([^}]*))?\}")
"""`${NAME}` or `${NAME:-default}`."""

Json = dict[str, Any]


def examples() -> dict[str, str]:
    """The variables of `.env.example`."""
    lines = [line for line in EXAMPLE.read_text().splitlines() if line and line[0] != "#"]
    return dict(line.split("=", 1) for line in lines)


@pytest.fixture
def services() -> Json:
    """The services with the values of `.env.example`."""
    values = examples()
    text = VARIABLE.sub(lambda found: values[found[1]], FILE.read_text())
    return yaml.safe_load(text)["services"]


def test_the_compose_client_takes_the_file() -> None:
    client = compose_client()
    if client is None:
        pytest.skip("no docker compose client here: docker-compose.yml is only parsed")
    done = subprocess.run(
        [*client, "--env-file", str(EXAMPLE), "--file", str(FILE), "config", "--quiet"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def compose_client() -> list[str] | None:
    for client in (["docker", "compose"], ["docker-compose"]):
        if shutil.which(client[0]) and answers([*client, "version"]):
            return client
    return None


def answers(command: list[str]) -> bool:
    done = subprocess.run(command, capture_output=True, timeout=60, check=False)
    return done.returncode == 0


def test_every_variable_has_an_example_that_is_its_default() -> None:
    used = VARIABLE.findall(FILE.read_text())
    assert used
    assert dict(used) == examples()


def test_the_cluster_and_the_database_are_the_official_images(services: Json) -> None:
    assert set(services) == {"elasticsearch", "postgres", "reindex-queue"}
    name, _, version = services["elasticsearch"]["image"].partition(":")
    assert name == "elasticsearch"
    assert version.startswith("8.19.")
    assert "8.19" in DISTRIBUTIONS
    assert services["postgres"]["image"].startswith("postgres:")
    assert services["reindex-queue"]["build"] == "."


def test_the_services_settings_are_settings_and_name_the_other_services(services: Json) -> None:
    given = services["reindex-queue"]["environment"]
    assert {name.lower() for name in given} <= set(Settings.model_fields)
    made = Settings(**{name.lower(): value for name, value in given.items()})
    assert [urlsplit(host).hostname for host in made.elasticsearch_hosts] == ["elasticsearch"]

    database = urlsplit(made.database_url.get_secret_value())
    postgres = services["postgres"]["environment"]
    assert database.hostname == "postgres"
    assert (database.username, database.password, database.path) == (
        postgres["POSTGRES_USER"],
        postgres["POSTGRES_PASSWORD"],
        f"/{postgres['POSTGRES_DB']}",
    )


def test_the_service_waits_until_the_others_are_healthy(services: Json) -> None:
    waits = services["reindex-queue"]["depends_on"]
    assert set(waits) == {"elasticsearch", "postgres"}
    for name, wait in waits.items():
        assert wait == {"condition": "service_healthy"}
        assert services[name]["healthcheck"]["test"]


def test_every_port_is_on_loopback_and_every_volume_is_declared(services: Json) -> None:
    declared = yaml.safe_load(FILE.read_text())["volumes"]
    for service in services.values():
        for port in service.get("ports", []):
            assert str(port).startswith("127.0.0.1:")
        for volume in service.get("volumes", []):
            assert volume.partition(":")[0] in declared
    (port,) = services["reindex-queue"]["ports"]
    assert port.endswith(f":{Settings().server_port}")
