"""`plan` and `submit --outdated` against a real service."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator

import pytest

from tests.cli.process import Terminal, run
from tests.cli.test_work import by_curl
from tests.e2e.process import ServiceProcess
from tests.elasticsearch import Elastic
from tests.upgrades.midway import filled


@pytest.fixture
async def service(elasticsearch_url: str) -> AsyncGenerator[ServiceProcess]:
    async with ServiceProcess({"ELASTICSEARCH_HOSTS": elasticsearch_url}) as running:
        yield running


async def test_a_plan_is_read_by_people_programs_and_shells(
    service: ServiceProcess, es: Elastic
) -> None:
    url = service.url
    filled(es, "logs-2019", 20, aliases={"logs": {"is_write_index": True}})
    es.put("/off", {"mappings": {"_source": {"enabled": False}}})

    shown = await run("plan", "logs-2019", "off", url=url)
    assert shown.code == 1
    head, first, second = shown.lines[:3]
    assert head.split()[:2] == ["INDEX", "VERDICT"]
    assert first.split()[:2] == ["logs-2019", "ready"]
    assert "writes stop for the whole copy" in first
    assert second.split()[:2] == ["off", "blocked"]
    assert "_source disabled" in second
    assert "unknown: nothing like it was reindexed yet" in shown.out
    assert "not seen  enrich policies, transforms: " in shown.out
    blocked = await run("plan", "off", url=url)
    assert not any(line.startswith(("disk", "shards")) for line in blocked.lines)

    tried = await run("plan", "logs-2019", "--trial", "-o", "json", url=url)
    assert tried.code == 0
    (one,) = json.loads(tried.out)["indices"]
    assert one["trial"] == {"outcome": "fits", "text": ""}
    assert (await by_curl("plan", "logs-2019", url=url))["ready"] == 1

    narrow = Terminal("plan", "logs-2019", "off", url=url, columns=60)
    assert await narrow.ended() == 1
    assert "logs-2019: becomes reindexed-v8-logs-2019" in " ".join(narrow.text.split())

    assert (await run("plan", url=url)).code == 2
    assert (await run("plan", "a", "--outdated", url=url)).code == 2
    assert (await run("submit", "a", "--outdated", url=url)).code == 2
    nothing = await run("submit", "--outdated", url=url)
    assert (nothing.code, nothing.out) == (0, "No index is too old for the next major version.\n")
    assert (await run("plan", "--outdated", url=url)).out == nothing.out
    assert (await by_curl("submit", "--outdated", url=url))["indices"] == []
