"""`reindex-queue pace`: what it prints, and what comes of it."""

from __future__ import annotations

import json

import pytest
from typer.testing import CliRunner

from app.cli.client import Misuse
from app.cli.commands import cli
from tests.cli.process import Terminal, run
from tests.e2e.process import ServiceProcess
from tests.elasticsearch import Elastic
from tests.upgrades.midway import filled

NIGHT = ("--hours", "22:00-06:00 Europe/Berlin", "--hours", "sat,sun 00:00-24:00 UTC")


async def test_the_pace_is_set_shown_and_forgotten(es: Elastic) -> None:
    filled(es, "plain")
    async with ServiceProcess({"ELASTICSEARCH_HOSTS": es.url}) as service:
        url = service.url
        limits = await run("pace", "set", "--rate", "500", "--windows", "1", *NIGHT, url=url)
        assert limits.code == 0, limits
        assert limits.lines[-1] == (
            "set for the service  --rate 500 --windows 1 "
            "--hours '22:00-06:00 Europe/Berlin' --hours 'sat,sun 00:00-24:00 UTC'"
        )
        reset = await run("pace", "reset", url=url)
        assert reset.lines == [
            "pace                 no rate limit, 3 windows at once (service)",
            "set for the service  --windows 3 (by the settings)",
        ]
        assert "pace " not in (await run("status", url=url)).out
        stopped = await run("pace", "stop", "--reason", "search is slow", url=url)
        assert stopped.lines[0].endswith(": search is slow")
        assert stopped.lines[-1] == "to go on             reindex-queue pace go-on"
        posted = {"indices": [{"index": "plain"}]}
        assert (await service.client.post("/api/v1/batches", json=posted)).status_code == 200
        own = await run("pace", "set", "--index", "plain", "--rate", "900", "-o", "json", url=url)
        assert json.loads(own.out)["requestsPerSecond"] == 900.0
        overview = await run("status", url=url)
        assert overview.out.count("search is slow") == 1
        assert (await run("pace", "go-on", url=url)).code == 0


async def test_a_watcher_on_a_terminal_sees_a_limit_whole_and_once(es: Elastic) -> None:
    filled(es, "plain", 1_500)
    slow = {"REINDEX_SYNCHRONOUS_DOCUMENTS": "0", "REINDEX_BATCH_DOCUMENTS": "20"}
    async with ServiceProcess({"ELASTICSEARCH_HOSTS": es.url, **slow}) as service:
        url = service.url
        assert (await run("pace", "set", "--rate", "25", url=url)).code == 0
        await service.api.post_batch("plain")
        watcher = Terminal("status", "--watch", "--every", "0.1", url=url)
        limit = "at most 25 documents a second (service), 2 windows at once"
        await watcher.shows(f"| plain | {limit}")
        await watcher.shows("…")
        assert (await run("pace", "reset", url=url)).code == 0
        assert await watcher.ended() == 0
        assert watcher.text.count(limit) == 1
        assert "no rate limit" not in watcher.text


@pytest.mark.parametrize(
    ("given", "said"),
    [
        *(
            (("--rate", rate), "from 0.1 to 10000000, or none")
            for rate in ("fast", "", "nan", "inf", "-inf", "-1", "0", "1e9")
        ),
        *((("--windows", n), "from 1 to 50, or none") for n in ("1.5", "0", "-2", "51", "nan")),
        (("--rate", "0"), "reindex-queue pace stop"),
        (("--hours", "at night"), "22:00-06:00 Europe/Berlin"),
        (("--hours", ""), "22:00-06:00 Europe/Berlin"),
        (("--hours", "22:00-22:00 UTC"), "never open"),
        (("--hours", "25:00-26:00 UTC"), "not a time of day"),
        (("--hours", "22:00-06:00 Mars/Base"), "not a time zone"),
        (("--hours", "22:00-06:00 ../../etc/passwd"), "not a time zone"),
        (("--hours", "mon-noday 22:00-06:00 UTC"), "not a day"),
        (("--hours", "always", "--hours", "22:00-06:00 UTC"), "always alone"),
        (("--hours", "22:00-06:00 UTC") * 21, "at most 20 times"),
        (("--index", "", "--rate", "5"), "it is empty"),
        (("--batch", "", "--rate", "5"), "the id of a batch"),
        (("--batch", "..", "--rate", "5"), "the id of a batch"),
        ((), "--rate, --windows or --hours"),
        (("--index", "a", "--batch", "b", "--rate", "5"), "not both"),
    ],
)
def test_what_cannot_be_is_wrong_usage(given: tuple[str, ...], said: str) -> None:
    refused = CliRunner().invoke(cli, ["pace", "set", *given]).exception
    assert isinstance(refused, Misuse)
    assert said in refused.message


def test_a_reason_that_is_too_long_is_wrong_usage() -> None:
    refused = CliRunner().invoke(cli, ["pace", "stop", "--reason", "x" * 501]).exception
    assert isinstance(refused, Misuse)
    assert "at most 500 characters" in refused.message


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
