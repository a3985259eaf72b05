"""Documents that weigh much more as JSON than on disk, copied and proven on a node of 512 MB."""

from __future__ import annotations

from typing import Any

import pytest

from testbed.elasticsearch import ElasticsearchServer
from tests.elasticsearch import Elastic
from tests.service import Service, running_service
from tests.upgrades.heavy import heavy

LOG_LINES = [400_000] * 2_500
ONE_OF_A_HUNDRED_IS_HUGE = [*([20_000] * 2_475), *([20_000_000] * 25)]
"""Those that are huge lie together."""


async def rewritten(
    server: ElasticsearchServer, es: Elastic, sqlite_url: str, seconds: float, **settings: Any
) -> dict[str, Any]:
    """Rewrites `heavy` and answers its operation; no window may have run twice."""
    documents = es.get("/heavy/_count")["count"]
    async with running_service(server.url, sqlite_url, **settings) as service:
        await service.post_batch("heavy")
        await service.completed("heavy", seconds=seconds)
        assert {window.attempt for window in await windows(service)} == {1}
        shown = await service.newest("heavy")
    assert server.running
    assert es.get("/heavy/_count")["count"] == documents
    assert es.indices() == {"reindexed-v8-heavy"}
    assert shown
    return shown


async def windows(service: Service) -> Any:
    operation = await service.parts.reading.operation("heavy")
    return await service.parts.store.jobs.windows(operation.id)


async def test_heavy_documents_of_a_small_index_do_not_kill_a_small_node(
    elasticsearch_server: ElasticsearchServer, es: Elastic, sqlite_url: str
) -> None:
    """So few documents are copied by one request and proven by one search, unless they are heavy:
    all of them together are more than the node takes."""
    heavy(es, "heavy", [800_000] * 100)
    await rewritten(elasticsearch_server, es, sqlite_url, 60, reindex_proof="full")


@pytest.mark.wide
@pytest.mark.timeout(300)
@pytest.mark.parametrize("proof", ["sample", "full"])
@pytest.mark.parametrize(
    ("sizes", "settings"),
    [
        (LOG_LINES, {}),
        (LOG_LINES, {"codec": "best_compression"}),
        (LOG_LINES, {"number_of_shards": 3}),
        (ONE_OF_A_HUNDRED_IS_HUGE, {}),
    ],
    ids=["log lines", "best compression", "three shards", "one of a hundred is huge"],
)
async def test_heavy_documents_do_not_kill_a_small_node(
    elasticsearch_server: ElasticsearchServer,
    es: Elastic,
    sqlite_url: str,
    sizes: list[int],
    settings: dict[str, Any],
    proof: str,
) -> None:
    heavy(es, "heavy", sizes, **settings)
    await rewritten(elasticsearch_server, es, sqlite_url, 240, reindex_proof=proof)
