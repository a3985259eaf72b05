"""Snapshots are let through, and asked for, before an index is blocked."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from aiohttp import web

from app.upgrades import before_block
from testbed.elasticsearch import ElasticsearchServer
from testbed.fixtures import emptied
from testbed.relay import Relay, Seen
from tests.conditions import eventually
from tests.elasticsearch import Elastic
from tests.service import Service, running_service
from tests.upgrades.midway import filled
from tests.upgrades.portrait import contents

POLICIES = ("GET", "^/_slm/policy")
RUNNING = ("GET", "^/_cluster/state/customs")
REFUSED: dict[str, Any] = {"error": {"type": "security_exception", "reason": "unauthorized"}}
ALONE: dict[str, Any] = {"settings": {"number_of_replicas": 0}}


def repository(es: Elastic, server: ElasticsearchServer, name: str, **settings: str) -> None:
    location = str(server.repository / name)
    es.put(f"/_snapshot/{name}", {"type": "fs", "settings": {"location": location, **settings}})


def snapshot(es: Elastic, name: str, indices: str, *, wait: bool = True, **body: Any) -> None:
    waits = str(wait).lower()
    es.put(
        f"/_snapshot/{name}?wait_for_completion={waits}",
        {"indices": indices, "include_global_state": False, **body},
    )


@pytest.fixture
def slow(es: Elastic, elasticsearch_server: ElasticsearchServer) -> Iterator[None]:
    """A repository that takes a minute and more for an index of 5,000 documents."""
    repository(es, elasticsearch_server, "slow", max_snapshot_bytes_per_sec="5kb")
    yield
    es.request("DELETE", "/_snapshot/slow/one")


async def whats(service: Service) -> list[str]:
    return [event.what for event in await service.events("plain")]


@pytest.mark.usefixtures("slow")
async def test_a_snapshot_that_runs_is_waited_for_with_writes_open(
    relayed: Service, es: Elastic
) -> None:
    filled(es, "plain", 5_000, **ALONE)
    snapshot(es, "slow/one", "plain", wait=False)
    (operation,) = (await relayed.post_options({"index": "plain"}))["operations"]
    await relayed.holds("plain", "a snapshot of plain runs (slow/one)")
    assert es.blocks("plain") == {}
    assert (await relayed.shown(operation["id"]))["writesBlockedSince"] is None
    es.put("/plain/_doc/late?refresh=true", {"n": -1})
    documents = contents(es, "plain")
    es.delete("/_snapshot/slow/one")
    await relayed.completed("plain")
    assert contents(es, "plain") == documents
    reasons = {event.text for event in await relayed.events("plain") if event.what == "holds"}
    assert not any("snapshot_in_progress" in reason for reason in reasons)


@pytest.mark.usefixtures("slow")
@pytest.mark.parametrize("partial", [False, pytest.param(True, marks=pytest.mark.wide)])
async def test_a_snapshot_that_stands_in_nobodys_way_is_not_waited_for(
    relayed: Service, es: Elastic, *, partial: bool
) -> None:
    filled(es, "plain", **ALONE)
    filled(es, "other", 5_000, **ALONE)
    taken = "other,plain" if partial else "other"
    snapshot(es, "slow/one", taken, wait=False, partial=partial)
    await relayed.post_batch("plain")
    await relayed.completed("plain")
    assert "holds" not in await whats(relayed)


@pytest.mark.usefixtures("slow")
async def test_snapshots_that_follow_each_other_are_not_waited_for_for_ever(
    relayed: Service, es: Elastic, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that began long after the waiting did is met at the swap, as before."""
    monkeypatch.setattr(before_block, "PATIENCE_RUNNING", -60.0)
    filled(es, "plain", 5_000, **ALONE)
    snapshot(es, "slow/one", "plain", wait=False)
    await relayed.post_batch("plain")
    await relayed.holds("plain", "snapshot_in_progress_exception")
    (warning,) = [e.text for e in await relayed.events("plain") if e.what == "warning"]
    assert "the swap may have to wait" in warning
    es.delete("/_snapshot/slow/one")
    await relayed.completed("plain")


async def test_who_may_not_see_snapshots_goes_on(
    relayed: Service, relay: Relay, es: Elastic
) -> None:
    filled(es, "plain")
    relay.answer(*RUNNING, 403, REFUSED, times=None)
    await relayed.post_batch("plain")
    await relayed.completed("plain")


def policy(es: Elastic, seconds: float, *indices: str, **config: Any) -> dict[str, Any]:
    """What `_slm/policy` answers where one is due in so many seconds (the testbed has no SLM)."""
    nodes = es.get("/_nodes/_master/stats/process?filter_path=nodes.*.timestamp")["nodes"]
    (node,) = nodes.values()
    due = node["timestamp"] + int(seconds * 1000)
    taken = {"schedule": "0 30 1 * * ?", "config": {"indices": list(indices), **config}}
    return {"nightly": {"version": 1, "policy": taken, "next_execution_millis": due}}


async def test_a_snapshot_that_is_due_before_the_swap_is_waited_for(
    relayed: Service, relay: Relay, es: Elastic, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(before_block, "POLICIES_SECONDS", 0.0)
    filled(es, "plain", aliases={"reading": {}})
    relay.answer(*POLICIES, 200, policy(es, 20, "-plain", "read*"), times=None)
    (operation,) = (await relayed.post_options({"index": "plain"}))["operations"]
    await relayed.holds("plain", "by the policy nightly")
    assert es.blocks("plain") == {}
    assert (await relayed.shown(operation["id"]))["writesBlockedSince"] is None
    relay.clear()
    relay.answer(*POLICIES, 200, policy(es, 86_400, "*"), times=None)
    await relayed.completed("plain")


@pytest.mark.parametrize(
    ("indices", "config", "seconds"),
    [
        (["other*"], {}, 20),
        (["*", "-plain"], {}, 20),
        (["*"], {"partial": True}, 20),
        (["*"], {}, 800),
        ([], {}, -60),
    ],
)
async def test_a_snapshot_that_is_due_otherwise_is_not_waited_for(
    relayed: Service,
    relay: Relay,
    es: Elastic,
    indices: list[str],
    config: dict[str, Any],
    seconds: float,
) -> None:
    filled(es, "plain")
    relay.answer(*POLICIES, 200, policy(es, seconds, *indices, **config), times=None)
    await relayed.post_batch("plain")
    await relayed.completed("plain")
    assert "holds" not in await whats(relayed)


async def test_a_policy_that_is_always_due_is_not_waited_for_for_ever(
    relayed: Service, relay: Relay, es: Elastic, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(before_block, "PATIENCE_DUE", 1.5)
    monkeypatch.setattr(before_block, "LOOK_SECONDS", 0.1)
    monkeypatch.setattr(before_block, "POLICIES_SECONDS", 0.0)
    filled(es, "plain")

    async def always(_: Seen) -> web.Response:
        product = {"X-Elastic-Product": "Elasticsearch"}
        return web.json_response(policy(es, 1.0), headers=product)

    relay.when(*POLICIES, always, None)
    await relayed.post_batch("plain")
    await relayed.completed("plain")
    assert {"holds", "warning"} <= set(await whats(relayed))


async def test_an_index_without_a_new_snapshot_is_not_blocked_where_one_is_asked_for(
    elasticsearch_url: str,
    es: Elastic,
    elasticsearch_server: ElasticsearchServer,
    sqlite_url: str,
) -> None:
    """Plan and hold name it. One of another index is none, nor is an empty repository."""
    for name in ("plain", "other"):
        filled(es, name, **ALONE)
    repository(es, elasticsearch_server, "empty")
    repository(es, elasticsearch_server, "safe")
    snapshot(es, "safe/first", "other")
    wanted: dict[str, Any] = {"reindex_require_snapshot": "26h"}
    async with running_service(elasticsearch_url, sqlite_url, **wanted) as service:
        asked = {"indices": [{"index": "plain"}, {"index": "other"}]}
        plan = (await service.client.post("/api/v1/plan", json=asked)).json()
        missing = [one["missingSnapshot"] for one in plan["indices"]]
        assert missing[1] is None
        assert "plain is in no successful snapshot of the last 1d02h" in missing[0]
        await service.post_batch("other")
        await service.completed("other")
        (operation,) = (await service.post_options({"index": "plain"}))["operations"]
        await service.holds("plain", "plain is in no successful snapshot")
        assert es.blocks("plain") == {}
        snapshot(es, "safe/second", "plain")
        await service.client.post(f"/api/v1/operations/{operation['id']}/retry")
        await service.completed("plain")


@pytest.mark.wide
async def test_snapshots_are_read_on_other_series(
    other_series: ElasticsearchServer, sqlite_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.elastic.snapshots.PAGE", 1)
    url = emptied(other_series)
    wanted: dict[str, Any] = {"reindex_require_snapshot": "1h"}
    with Elastic(url) as es:
        filled(es, "plain", 3_000, **ALONE)
        repository(es, other_series, "slow", max_snapshot_bytes_per_sec="5kb")
        repository(es, other_series, "fast")
        async with running_service(url, sqlite_url, **wanted) as service:
            (operation,) = (await service.post_options({"index": "plain"}))["operations"]
            retry = f"/api/v1/operations/{operation['id']}/retry"
            await service.holds("plain", "plain is in no successful snapshot")
            snapshot(es, "fast/first", "plain")
            snapshot(es, "slow/one", "plain", wait=False)
            await service.client.post(retry)
            await service.holds("plain", "a snapshot of plain runs (slow/one)")
            assert es.blocks("plain") == {}
            es.delete("/_snapshot/slow/one")

            async def went_on() -> bool:
                await service.client.post(retry)
                return (await service.shown(operation["id"]))["state"] == "completed"

            await eventually(went_on, "it goes on", pause=0.5)
