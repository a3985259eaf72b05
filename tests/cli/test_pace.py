"""`reindex-queue pace`: what it prints, and what comes of it."""

from __future__ import annotations

import json

import pytest
from typer.testing import CliRunner

from app.cli.commands import cli
from app.cli.troubles import Misuse
from tests.cli.process import run
from tests.e2e.process import ServiceProcess
from tests.elasticsearch import Elastic
from tests.reindex.midway import filled

NIGHT = ("--hours", "22:00-06:00 Europe/Berlin", "--hours", "sat,sun 00:00-24:00 UTC")


async def test_the_pace_is_set_shown_and_forgotten(es: Elastic) -> None:
    filled(es, "plain")
    async with ServiceProcess({"ELASTICSEARCH_HOSTS": es.url}) as service:
        url = service.url
        limits = await run("pace", "set", "--rate", "500", "--windows", "1", *NIGHT, url=url)
        assert limits.code == 0, limits
        assert limits.lines[-1] == (
            "set for the service  500 documents a second, 1 window at once, "
            "22:00-06:00 Europe/Berlin, sat,sun 00:00-24:00 UTC"
        )
        reset = await run("pace", "reset", url=url)
        assert reset.lines == [
            "pace                 no rate limit, 3 windows at once (service)",
            "set for the service  3 windows at once (by the settings)",
        ]
        stopped = await run("pace", "stop", "--reason", "search is slow", url=url)
        assert stopped.lines[0].endswith(": search is slow")
        posted = {"indices": [{"index": "plain"}]}
        assert (await service.client.post("/api/v1/batches", json=posted)).status_code == 200
        own = await run("pace", "set", "--index", "plain", "--rate", "900", "-o", "json", url=url)
        assert json.loads(own.out)["requestsPerSecond"] == 900.0
        overview = await run("status", url=url)
        assert "search is slow" in overview.out
        assert (await run("pace", "go-on", url=url)).code == 0


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (("--rate", "fast"), "write a number, or none"),
        (("--windows", "1.5"), "write a number, or none"),
        (("--hours", "at night"), "22:00-06:00 Europe/Berlin"),
        (("--hours", "22:00-22:00 UTC"), "never open"),
        ((), "--rate, --windows or --hours"),
        (("--index", "a", "--batch", "b", "--rate", "5"), "not both"),
    ],
)
def test_what_cannot_be_is_wrong_usage(given: tuple[str, ...], said: str) -> None:
    refused = CliRunner().invoke(cli, ["pace", "set", *given]).exception
    assert isinstance(refused, Misuse)
    assert said in refused.message


@pytest.mark.parametrize(
    ("given", "request_line"),
    [
        (("show",), "/api/v1/pace"),
        (("show", "--index", "x"), "/api/v1/operations/ID/pace"),
        (("show", "--batch", "x"), "/api/v1/batches/x/pace"),
        (("set", "--rate", "500"), """-d '{"requestsPerSecond": 500.0}'"""),
        (("set", "--rate", "none", "--windows", "2"), '{"requestsPerSecond": null, "windowsIn'),
        (("set", "--hours", "always"), """-d '{"hours": null}'"""),
        (("set", *NIGHT), '"zone": "UTC", "days": ["sat", "sun"]}]}'),
        (("reset",), "-X DELETE"),
        (("reset", "--batch", "x"), "-X PUT"),
        (("stop",), "/api/v1/pace/stop"),
        (("go-on",), "/api/v1/pace/go-on"),
    ],
)
def test_the_same_as_curl(given: tuple[str, ...], request_line: str) -> None:
    printed = CliRunner().invoke(cli, ["pace", *given, "--curl"], env={"COLUMNS": "200"})
    assert printed.exit_code == 0
    assert request_line in printed.output.splitlines()[-1]
