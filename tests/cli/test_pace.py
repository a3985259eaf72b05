"""`reindex-queue pace`: what it prints, and what comes of it."""

from __future__ import annotations

import json

import pytest

from tests.cli.process import run
from tests.e2e.process import ServiceProcess
from tests.elasticsearch import Elastic
from tests.reindex.midway import filled


async def test_the_pace_is_set_shown_and_forgotten(es: Elastic) -> None:
    filled(es, "plain")
    async with ServiceProcess({"ELASTICSEARCH_HOSTS": es.url}) as service:
        url = service.url
        shown = await run("pace", "show", url=url)
        assert (shown.code, shown.lines) == (
            0,
            [
                "pace                 no rate limit, 3 windows at once (service)",
                "set for the service  3 windows at once (by the settings)",
            ],
        )
        night = ("--hours", "22:00-06:00 Europe/Berlin", "--hours", "sat,sun 00:00-24:00 UTC")
        limits = await run("pace", "set", "--rate", "500", "--windows", "1", *night, url=url)
        assert limits.code == 0, limits
        assert limits.lines[-1] == (
            "set for the service  500 documents a second, 1 window at once, "
            "22:00-06:00 Europe/Berlin, sat,sun 00:00-24:00 UTC"
        )
        always = await run("pace", "set", "--hours", "always", "--rate", "none", url=url)
        assert always.lines[0].endswith("no rate limit, 1 window at once (service)")

        stopped = await run("pace", "stop", "--reason", "search is slow", url=url)
        assert stopped.lines[0].endswith(": search is slow")
        assert (await run("submit", "plain", url=url)).code == 0
        own = await run("pace", "set", "--index", "plain", "--rate", "900", url=url)
        assert own.lines[-1] == "set for the operation  900 documents a second"
        overview = await run("status", url=url)
        assert "search is slow" in overview.out
        watched = await run("status", "plain", url=url)
        assert "search is slow" in watched.out
        raw = await run("pace", "show", "--index", "plain", "-o", "json", url=url)
        assert json.loads(raw.out)["requestsPerSecond"] == 900.0
        assert (await run("pace", "go-on", url=url)).code == 0
        lines = await run("status", "--watch", "--every", "0.1", url=url)
        assert lines.code == 0
        reset = await run("pace", "reset", url=url)
        assert reset.lines == shown.lines


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
async def test_what_cannot_be_is_wrong_usage(given: tuple[str, ...], said: str) -> None:
    refused = await run("pace", "set", *given, url="http://127.0.0.1:9")
    assert (refused.code, refused.out) == (2, "")
    assert said in refused.err


async def test_the_same_as_curl() -> None:
    printed = await run("pace", "set", "--rate", "500", "--curl", url="http://127.0.0.1:9")
    assert printed.code == 0
    assert "-X PATCH" in printed.out
    assert "'{\"requestsPerSecond\": 500.0}'" in printed.out
    of_index = await run("pace", "show", "--index", "x", "--curl", url="http://127.0.0.1:9")
    assert "/api/v1/operations/ID/pace" in of_index.lines[-1]
