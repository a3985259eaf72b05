"""The nodes change under a batch: a rolling upgrade, and a restart of the only one."""

from __future__ import annotations

import pytest

from testbed.elasticsearch import ElasticsearchServer
from testbed.relay import Relay, Seen
from tests.conditions import eventually
from tests.e2e.process import free_port
from tests.elasticsearch import Elastic
from tests.service import BASE, Service, running_service
from tests.upgrades.midway import crawl, filled, hurry
from tests.upgrades.portrait import as_found, contents, made_anew


async def answered_with_426(service: Service) -> None:
    """Waits until a POST is: versions are remembered for a few seconds."""

    async def refused() -> bool:
        body = {"indexNames": ["unknown"]}
        answer = await service.client.post(f"{BASE}/batch", json=body)
        if answer.status_code != 426:
            return False
        assert answer.json()["attributes"] == {"allNodesUpgraded": False}
        return True

    await eventually(refused, "a POST is refused while the nodes' majors differ")


async def moved_to(es: Elastic, new: ElasticsearchServer, old: ElasticsearchServer) -> None:
    """Moves every shard and the mastership to the new node, as an operator would."""
    exclude = {"cluster.routing.allocation.exclude._name": old.node}
    es.put("/_cluster/settings", {"persistent": exclude})
    es.request("POST", f"/_cluster/voting_config_exclusions?node_names={old.node}")

    async def moved() -> bool:
        shards = es.get("/_cat/shards?format=json")
        (master,) = es.get("/_cat/master?format=json")
        return {shard["node"] for shard in shards} == {master["node"]} == {new.node}

    await eventually(moved, "all is on the new node", 60)


@pytest.mark.wide
@pytest.mark.timeout(300)
async def test_a_batch_that_meets_a_rolling_upgrade_waits_and_goes_on_by_itself(
    sqlite_url: str,
) -> None:
    with ElasticsearchServer("7.17", joinable=True) as old, Elastic(old.url) as es:
        one_copy = {"settings": {"number_of_replicas": 0}}
        filled(es, "running", 400, **one_copy)
        filled(es, "waiting", 20, **one_copy, aliases={"also": {}})
        before = {name: contents(es, name) for name in ("running", "waiting")}
        port = free_port()
        new = ElasticsearchServer("8.19", joins=old, port=port)
        async with Relay(old.url) as relay:
            crawl(relay)
            hosts = [relay.url, f"http://127.0.0.1:{port}"]
            slowly = {"elasticsearch_hosts": hosts, "reindex_batch_documents": 1}
            async with running_service(relay.url, sqlite_url, **slowly) as service:
                await service.post_batch("running", "waiting")
                await relay.wait_for("POST", "^/_reindex")
                with new, Elastic(new.url) as es_new:
                    await answered_with_426(service)
                    hurry(es)
                    await service.completed("running")
                    await service.holds("waiting", "different major versions (7.17.15, 8.19.8)")
                    found = as_found(es, "waiting")
                    assert not [key for key in found if key.startswith("index.blocks.")]
                    await moved_to(es_new, new, old)
                    old.kill()
                    await service.completed("waiting")
                    assert await service.post_batch() == {"enqueued": [], "errors": []}
                    for name in before:
                        assert contents(es_new, name) == before[name]
                    assert es_new.aliases("waiting").keys() == {"waiting", "also"}
                    created = es_new.settings("waiting")["index.version.created"]
                    assert created.startswith("8")


@pytest.mark.timeout(300)
async def test_a_batch_goes_on_after_the_only_node_was_killed_and_started_again(
    elasticsearch_server: ElasticsearchServer, relay: Relay, es: Elastic, sqlite_url: str
) -> None:
    names = ["copying", "waiting", "last"]
    for name in names:
        filled(es, name, 40, settings={"number_of_shards": 2})
    before = {name: (contents(es, name), made_anew(es, name)) for name in names}
    crawl(relay)
    async with running_service(relay.url, sqlite_url, reindex_batch_documents=1) as service:
        await service.post_batch(*names)
        await relay.wait_for("GET", r"^/_tasks/[^?]")
        elasticsearch_server.kill()
        await service.holds("copying", "cannot be reached")
        elasticsearch_server.start()
        await service.completed(*names)
        assert "window runs again" in [event.what for event in await service.events("copying")]
    assert es.indices() == {f"reindexed-v8-{name}" for name in names}
    for name in names:
        assert (contents(es, name), made_anew(es, f"reindexed-v8-{name}")) == before[name]


async def batches(service: Service, index: str) -> list[int]:
    """Of the windows of the newest operation, in their order."""
    operation = await service.parts.reading.operation(index)
    windows = await service.parts.store.jobs.windows(operation.id)
    return [window.batch for window in windows]


@pytest.mark.timeout(300)
@pytest.mark.parametrize("deaths", [1, pytest.param(2, marks=pytest.mark.wide)])
async def test_a_window_whose_node_died_comes_back_much_smaller_each_time(
    elasticsearch_server: ElasticsearchServer,
    relay: Relay,
    es: Elastic,
    sqlite_url: str,
    deaths: int,
) -> None:
    """What its task took at a time may be what the node died of. Those that are still to come are
    as small, since none of that size has been copied yet."""
    filled(es, "heavy", 200)
    before = contents(es, "heavy")
    crawl(relay, copies=deaths)
    settings = {
        "reindex_batch_documents": 64,
        "reindex_window_documents": 100,
        "reindex_synchronous_documents": 0,
        "reindex_windows_in_flight": 1,
    }
    async with running_service(relay.url, sqlite_url, **settings) as service:
        await service.post_batch("heavy")
        for death, expected in list(enumerate(([8, 8], [1, 1])))[:deaths]:
            await relay.wait_for("POST", "^/_reindex[?]", death + 1)
            await relay.wait_for("GET", r"^/_tasks/[^?]")
            elasticsearch_server.kill()
            elasticsearch_server.start()

            async def smaller(expected: list[int] = expected) -> bool:
                return await batches(service, "heavy") == expected

            await eventually(smaller, f"batches of {expected}")
        await service.completed("heavy")
        again = [e.text for e in await service.events("heavy") if e.what == "window runs again"]
        assert ["was started again" in text for text in again] == [True] * deaths
    assert contents(es, "heavy") == before


@pytest.mark.wide
@pytest.mark.timeout(300)
async def test_a_copy_by_one_request_whose_node_died_is_repeated_with_much_smaller_batches(
    elasticsearch_server: ElasticsearchServer, relay: Relay, es: Elastic, sqlite_url: str
) -> None:
    filled(es, "heavy", 40)
    before = contents(es, "heavy")

    async def deadly(_: Seen) -> None:
        elasticsearch_server.kill()

    relay.when("POST", "^/_reindex[?]", deadly)
    async with running_service(relay.url, sqlite_url) as service:
        await service.post_batch("heavy")
        await service.holds("heavy", "cannot be reached")
        elasticsearch_server.start()
        await service.completed("heavy")
        (batch,) = await batches(service, "heavy")
        assert batch <= 40 // 8
    assert contents(es, "heavy") == before
