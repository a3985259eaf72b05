"""`pause`, `resume`, `retry`, `rollback` and `cancel`, for an index and for a batch."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncGenerator
from typing import Any

import pytest

from testbed.relay import Relay
from tests.cli.process import run
from tests.cli.test_work import by_curl, is_plain
from tests.e2e.process import ServiceProcess
from tests.elasticsearch import Elastic
from tests.upgrades.midway import filled, held_at

ALONE = {"number_of_replicas": 0}
BUSY: dict[str, Any] = {"error": {"type": "es_rejected_execution_exception", "reason": "full"}}


@pytest.fixture
async def service(relay: Relay) -> AsyncGenerator[ServiceProcess]:
    async with ServiceProcess({"ELASTICSEARCH_HOSTS": relay.url}) as running:
        yield running


async def reached(service: ServiceProcess, index: str, state: str) -> None:
    """Waits until an index is in that state."""
    newest = f"/api/v1/operations?index={index}&order=desc&limit=1"
    (found,) = (await service.client.get(newest)).json()["operations"]
    await service.api.state_of(found["id"], state)


async def test_one_operation_is_steered_by_its_index(
    service: ServiceProcess, relay: Relay, es: Elastic
) -> None:
    url = service.url
    filled(es, "a", settings=ALONE)
    filled(es, "b", settings=ALONE)
    released = await held_at(relay, ("PUT", "^/a/_block/write"), service.api, "a", "b")

    waiting = await run("pause", "b", url=url)
    assert (waiting.code, waiting.err) == (0, "")
    assert waiting.out == (
        "b is paused; it was not begun, so its index takes writes. Look: reindex-queue status b\n"
    )
    begun = await run("pause", "a", url=url)
    assert begun.out.startswith("a is being paused; writes to it stay blocked until it goes on or")
    assert "is being paused" in (await run("status", "a", url=url)).out
    released.set()
    await reached(service, "a", "paused")
    paused = await run("status", "a", url=url)
    assert "writes to it are blocked; to go on: reindex-queue resume a" in paused.out
    assert re.search(r"^no writes +for \d+s, since \d\d:", paused.out, re.MULTILINE)
    assert es.blocks("a") == {"index.blocks.write": "true"}

    printed = await run("resume", "a", "--curl", url=url)
    newest, then = printed.lines
    assert newest.endswith("/api/v1/operations?index=a&order=desc&limit=1'")
    assert then.startswith("# then, with its id: curl -sS -X POST")
    assert then.endswith("/api/v1/operations/ID/resume")
    resumed = json.loads((await run("resume", "a", "-o", "json", url=url)).out)
    assert (resumed["indexName"], resumed["pending"]) == ("a", None)
    assert (await run("resume", "b", url=url)).out.startswith("b goes on. ")
    await service.api.completed("a", "b")

    late = await run("rollback", "a", url=url)
    assert (late.code, late.out) == (1, "")
    assert late.err.startswith("Error: The old index of a was not kept")
    misused = await run("pause", "a", "--batch", "x", url=url)
    assert (misused.code, misused.out) == (2, "")


async def test_a_failure_is_shown_with_its_documents_and_tried_again(
    service: ServiceProcess, es: Elastic
) -> None:
    url = service.url
    es.put("/a", {"settings": ALONE, "mappings": {"dynamic": False}})
    es.bulk("a", [{"n": f"word {n}"} for n in range(12)])
    es.put("/a/_mapping", {"properties": {"n": {"type": "long"}}})
    await service.api.post_batch("a")
    await service.api.ended("a")
    failed = await run("status", "a", url=url)
    assert failed.code == 1
    assert is_plain(failed)
    facts = [line.split(maxsplit=1) for line in failed.lines]
    assert ["refused", "12 document_parsing_exception"] in facts
    assert [fact[1] for fact in facts if fact and fact[0] == "document"][9].startswith(
        "9 document_parsing_exception: "
    )
    assert len([fact for fact in facts if fact and fact[0] == "document"]) == 10
    assert any(line.startswith("failed while  copying") for line in failed.lines)
    assert any(line.startswith("what to do    Mend or delete") for line in failed.lines)

    for n in range(12):
        es.put(f"/a/_doc/{n}?refresh=true", {"n": n})
    again = await run("retry", "a", url=url)
    assert (again.code, again.out) == (
        0,
        "a is tried again. Look: reindex-queue status a\n",
    )
    await service.api.completed("a")


async def test_a_batch_is_steered_as_one(
    service: ServiceProcess, relay: Relay, es: Elastic
) -> None:
    url = service.url
    for name in ("a", "b", "c"):
        filled(es, name, settings=ALONE)
    block = ("PUT", "^/b/_block/write")
    relay.answer(*block, 503, BUSY, times=None)
    await service.api.post_batch("a", "b", "c")
    await relay.wait_for(*block, times=3)
    held = await run("status", "b", url=url)
    assert re.search(r"waits for \d+s, [2-9] tries(, next try in \d+s)?: Elasticsearch", held.out)
    batch = next(line.split()[1] for line in held.lines if line.startswith("batch"))

    paused = await run("pause", "--batch", batch, url=url)
    assert paused.code == 1
    assert [line.split()[0] for line in paused.lines[:4]] == ["INDEX", "a", "b", "c"]
    assert "too late" in paused.lines[1]
    assert "is being paused" in paused.lines[2]
    assert "it was not begun" in paused.lines[3]
    assert paused.lines[4] == "3 operations: 2 changed, 1 too late."
    assert is_plain(paused)
    await reached(service, "b", "paused")
    answer = await by_curl("resume", "--batch", batch, url=url)
    assert answer["counts"] == {"changed": 2, "unchanged": 1, "tooLate": 0, "refused": 0}
    cancelled = await run("cancel", "--batch", batch, "-o", "json", url=url)
    assert cancelled.code == 1
    assert json.loads(cancelled.out)["counts"]["changed"] == 2
    await reached(service, "b", "cancelled")
    relay.clear()
    retried = await run("retry", "--batch", batch, url=url)
    assert (retried.code, retried.lines[-1]) == (0, "3 operations: 2 changed, 1 unchanged.")
    await service.api.completed("a", "b", "c")
    assert es.indices() == {"reindexed-v8-a", "reindexed-v8-b", "reindexed-v8-c"}
    refused = await run("rollback", "--batch", batch, "--force", url=url)
    assert (refused.code, refused.lines[-1]) == (1, "3 operations: 3 refused.")
