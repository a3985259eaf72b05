"""A database that was restored or doubled changes nothing until a person says which goes on."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from app.jobs import ownership
from app.store.backup import copy_to
from testbed.relay import Relay
from tests.conditions import eventually
from tests.elasticsearch import Elastic
from tests.service import BASE, Service, running_service
from tests.store.database import execute
from tests.upgrades.midway import POLL, filled, held_at
from tests.upgrades.portrait import as_found, contents

BY_TASKS: dict[str, Any] = {"reindex_synchronous_documents": 0}
NOT_NEWEST, ANOTHER = "This database is not the newest one", "Another database of Reindex Queue"
REFUSED = {
    "error": {"type": "security_exception", "reason": "action [cluster:admin/settings/update]"},
    "status": 403,
}


@pytest.fixture
def always_looked(monkeypatch: pytest.MonkeyPatch) -> None:
    """Before each phase, not once a minute."""
    monkeypatch.setattr(ownership, "LOOK_SECONDS", -1.0)


def mark(es: Elastic) -> dict[str, str] | None:
    """As it stands in the cluster."""
    settings = es.get("/_cluster/settings?filter_path=persistent.cluster.metadata")
    found = settings.get("persistent", {}).get("cluster", {}).get("metadata", {})
    return found.get("reindex_queue", {}).get("default")


async def marked(es: Elastic, term: str, url: str) -> None:
    """Waits until the newest mark is that database's."""
    ((instance,),) = execute(url, "SELECT id FROM instance")

    async def there() -> bool:
        found = mark(es) or {}
        return (found.get("term"), found.get("instance")) == (term, instance)

    await eventually(there, f"the mark of term {term} is in the cluster")


async def waits(service: Service, why: str) -> None:
    async def kept() -> bool:
        found = (await service.client.get("/api/v1/worker")).json()["waitsFor"]
        return why in (found or "") and "reindex-queue adopt" in found

    await eventually(kept, f"the worker waits: {why}")


async def adopted(service: Service, **body: Any) -> dict[str, Any]:
    answer = await service.client.post("/api/v1/worker/adopt", json=body)
    assert answer.status_code == 200, answer.text
    return answer.json()


def copied(url: str) -> str:
    """The address of a copy, as `reindex-queue backup` makes one."""
    source = Path(url.removeprefix("sqlite:///"))
    target = source.with_name("restored.db")
    copy_to(source, target)
    return f"sqlite:///{target}"


async def test_a_database_restored_in_the_middle_of_an_operation_changes_nothing(
    relay: Relay, es: Elastic, sqlite_url: str
) -> None:
    filled(es, "plain")
    filled(es, "next")
    documents = contents(es, "plain")
    async with running_service(relay.url, sqlite_url, **BY_TASKS) as service:
        released = await held_at(relay, ("GET", POLL), service, "plain")
        restored = copied(sqlite_url)
        released.set()
        await service.completed("plain")
    async with running_service(relay.url, sqlite_url) as service:  # a term that the copy misses
        await marked(es, "2", sqlite_url)
    before = as_found(es, "plain")
    async with running_service(relay.url, restored, **BY_TASKS) as service:
        await waits(service, NOT_NEWEST)
        await service.holds("plain", NOT_NEWEST)
        ready = await service.client.get("/readyz")
        said = ready.json()["worker"]["error"]
        assert (ready.status_code, NOT_NEWEST in said) == (200, True)
        checks = (await service.client.get("/api/v1/doctor")).json()["checks"]
        (check,) = [check for check in checks if check["name"] == "mark"]
        assert (check["verdict"], "adopt" in check["remedy"]) == ("wrong", True)
        answer = await service.client.post(f"{BASE}/batch", json={"indexNames": ["next"]})
        assert (answer.status_code, NOT_NEWEST in answer.text) == (503, True)
        path = "/api/upgrade_assistant/update_index/next"
        answer = await service.client.post(path, json={"operations": ["blockWrite"]})
        assert (answer.status_code, NOT_NEWEST in answer.text) == (503, True)
        assert es.blocks("next") == {}
        assert as_found(es, "plain") == before
        assert (await adopted(service))["kind"] == "newer"
        await service.completed("plain")  # it finds its own swap done
        await marked(es, "3", restored)
        assert (await service.client.get("/readyz")).json()["worker"]["error"] is None
    assert contents(es, "plain") == documents
    told = execute(restored, "SELECT what FROM event WHERE what LIKE '%database%' ORDER BY number")
    assert told == [("other database found",), ("database adopted",)]


@pytest.mark.usefixtures("always_looked")
async def test_of_two_copies_at_work_the_one_that_began_later_goes_on(
    elasticsearch_url: str, es: Elastic, sqlite_url: str
) -> None:
    filled(es, "first")
    filled(es, "plain")
    async with running_service(elasticsearch_url, sqlite_url) as first:
        await first.post_batch("first")
        await first.completed("first")
        await marked(es, "1", sqlite_url)
        await first.client.post("/api/v1/pace/stop")
        await first.post_batch("plain")
        doubled = copied(sqlite_url)
        ((writer,),) = execute(sqlite_url, "SELECT writer FROM cluster_state WHERE term > 0")
        # as a snapshot of the disk would have it
        execute(doubled, "UPDATE cluster_state SET writer = :writer WHERE term > 0", writer=writer)
        async with running_service(elasticsearch_url, doubled) as second:
            await marked(es, "2", doubled)
            await first.client.post("/api/v1/pace/go-on")
            await waits(first, NOT_NEWEST)
            waiting = await first.newest("plain")
            assert waiting
            assert waiting["startedAt"] is None
            assert es.indices() == {"plain", "reindexed-v8-first"}
            await second.client.post("/api/v1/pace/go-on")
            await second.completed("plain")


@pytest.mark.usefixtures("always_looked")
async def test_a_new_database_takes_over_when_it_has_something_to_do(
    elasticsearch_url: str, es: Elastic, sqlite_url: str, tmp_path: Path
) -> None:
    for name in ("one", "two", "three"):
        filled(es, name)
    new = f"sqlite:///{tmp_path / 'new.db'}"
    async with running_service(elasticsearch_url, sqlite_url) as older:
        await older.post_batch("one")
        await older.completed("one")
        async with running_service(elasticsearch_url, new) as newer:
            await asyncio.wait_for(newer.parts.ownership.first_look(30), 30)
            await marked(es, "1", sqlite_url)  # it has nothing to do yet
            await newer.post_batch("two")
            await newer.completed("two")
            await marked(es, "1", new)
            answer = await older.client.post(f"{BASE}/batch", json={"indexNames": ["three"]})
            assert answer.status_code == 200  # it has not looked since
            await waits(older, ANOTHER)
            assert "reindexed-v8-three" not in es.indices()
            assert (await adopted(older, keepTokens=True))["kind"] == "other"
            await older.completed("three")
            await marked(es, "2", sqlite_url)


async def test_a_role_that_may_not_leave_the_mark_only_warns(
    relay: Relay, es: Elastic, sqlite_url: str
) -> None:
    filled(es, "plain")
    relay.answer("PUT", "^/_cluster/settings", 403, REFUSED, times=None)
    async with running_service(relay.url, sqlite_url) as service:
        await service.post_batch("plain")
        await service.completed("plain")
        checks = (await service.client.get("/api/v1/doctor")).json()["checks"]
        (check,) = [check for check in checks if check["name"] == "mark"]
        assert check["verdict"] == "warning"
        assert "cluster:admin/settings/update" in check["finding"]
        answer = await service.client.post("/api/v1/worker/adopt")
        assert (answer.status_code, "goes on already" in answer.text) == (409, True)
    assert mark(es) is None


async def test_a_mark_that_somebody_removed_is_left_again(
    elasticsearch_url: str, es: Elastic, sqlite_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    filled(es, "first")
    filled(es, "plain")
    async with running_service(elasticsearch_url, sqlite_url) as service:
        await service.post_batch("first")
        await service.completed("first")
        await marked(es, "1", sqlite_url)
        es.put("/_cluster/settings", {"persistent": {"cluster.metadata.reindex_queue.*": None}})
        monkeypatch.setattr(ownership, "LOOK_SECONDS", -1.0)
        await service.post_batch("plain")
        await service.completed("plain")
        await marked(es, "1", sqlite_url)


async def test_a_term_asks_for_the_mark_once_and_leaves_it_once(
    relay: Relay, es: Elastic, sqlite_url: str
) -> None:
    for name in ("one", "two"):
        filled(es, name)
    async with running_service(relay.url, sqlite_url) as service:
        await service.post_batch("one", "two")
        await service.completed("one", "two")
    asked = [
        seen.method
        for seen in relay.seen
        if seen.path.startswith("/_cluster/settings") and "include_defaults" not in seen.path
    ]
    assert asked == ["GET", "PUT"]
