"""Two clusters in one process and one database: each has its queue, and no trouble of the other."""

from __future__ import annotations

from typing import Any

from app.assembly import running_sites
from app.domain.job import Status
from app.domain.names import IndexName
from app.domain.request import ReindexRequest
from app.settings import Settings
from app.sites.site import Site
from testbed.elasticsearch import ElasticsearchServer
from testbed.relay import Relay
from tests.conditions import eventually
from tests.elasticsearch import Elastic
from tests.upgrades.midway import filled

NAMES = ["logs-1", "logs-2", "logs-3"]


def _settings(elasticsearch_url: str, database_url: str, name: str) -> Settings:
    made: dict[str, Any] = {
        "elasticsearch_hosts": [elasticsearch_url],
        "database_url": database_url,
        "reindex_cluster_id": name,
    }
    return Settings(**made)


async def _statuses(site: Site) -> list[Status]:
    found = [await site.store.operations.latest(IndexName(name)) for name in NAMES]
    return [operation.status for operation in found if operation]


async def test_a_cluster_that_is_away_holds_and_the_other_goes_on(
    elasticsearch_url: str, es: Elastic, sqlite_url: str
) -> None:
    """Indices of the same names in both; the second cluster is reached again later."""
    with ElasticsearchServer("8.19") as server, Elastic(server.url) as other:
        for cluster in (es, other):
            for name in NAMES:
                filled(cluster, name)
        async with Relay(server.url) as relay:
            clusters = {
                "near": _settings(elasticsearch_url, sqlite_url, "near"),
                "far": _settings(relay.url, sqlite_url, "far"),
            }
            async with running_sites(clusters) as sites:
                near, far = sites.of("near"), sites.of("far")
                for site in (near, far):
                    requests = [ReindexRequest(name) for name in NAMES]
                    assert (await site.queue.enqueue_batch(requests, "test")).refused == []
                relay.refuse()

                async def near_is_done() -> bool:
                    return await _statuses(near) == [Status.COMPLETED] * 3

                await eventually(near_is_done, "the near cluster is done", 120)
                assert await _statuses(far) != [Status.COMPLETED] * 3
                assert far.worker.report.alive
                relay.accept()

                async def far_is_done() -> bool:
                    return await _statuses(far) == [Status.COMPLETED] * 3

                await eventually(far_is_done, "the far cluster is done", 120)
        for cluster in (es, other):
            assert cluster.indices() == {f"reindexed-v8-{name}" for name in NAMES}
