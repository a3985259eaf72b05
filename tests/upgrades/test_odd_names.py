"""Names with characters that cannot be seen: whatever the cluster has can be posted."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import pytest

from tests.elasticsearch import Elastic
from tests.service import Service

NAMES = {
    "no-break space": "a\xa0b",
    "joined emoji": "👩\u200d💻-logs",
    "soft hyphen": "log\xadbook",
    "tab": "a\tb",
    "line break": "a\nb",
    "at its end": "ab\n",
    "private use": "\ue000-icons",
    "escape": "a\x1b[31mb",
    "right to left": "a\u202eb",
    "all of Unicode": "\U000e0001\u2028\u3000x",
    "dots": ".a\u200b",
}


@pytest.mark.parametrize("name", NAMES.values(), ids=NAMES)
async def test_odd_names_go_through_the_machine(service: Service, es: Elastic, name: str) -> None:
    path = "/" + quote(name, safe="")
    es.put(path, {"settings": {"number_of_replicas": 0}})
    es.bulk(name, [{"n": n} for n in range(20)])
    documents = es.documents(path[1:])
    answer = await service.post_batch(name)
    assert (answer["errors"], len(answer["enqueued"])) == ([], 1)
    await service.completed(name)
    target = f".reindexed-v8-{name[1:]}" if name.startswith(".") else f"reindexed-v8-{name}"
    assert es.indices() == {target}
    assert es.documents(path[1:]) == documents
    aliases: dict[str, Any] = es.get(f"/{quote(target, safe='')}/_alias")[target]["aliases"]
    assert list(aliases) == [name]
    es.post(f"{path}/_doc", {"n": 25})


async def test_odd_names_can_be_steered(service: Service, es: Elastic) -> None:
    """By the path of the two APIs, with the name in it."""
    name = "a\nb\xa0\n"
    es.put("/" + quote(name, safe=""), {"settings": {"number_of_replicas": 0}})
    path = quote(name, safe="")
    stopped = await service.client.post("/api/v1/pace/stop", json={"reason": "to look"})
    assert stopped.status_code == 200
    await service.post_batch(name)
    assert [waiting["indexName"] for waiting in await service.queue()] == [name]
    found = await service.client.get(f"/api/v1/operations?index={path}")
    assert [one["indexName"] for one in found.json()["operations"]] == [name]
    assert await service.cancel(name) == 200
    assert (await service.ended(name))["status"] == 4
    assert es.indices() == {name}
