"""As `upgrades/proving/test_odd_documents.py`, on the majors before and after."""

from __future__ import annotations

from pathlib import Path

import pytest

from testbed.elasticsearch import ElasticsearchServer
from tests.elasticsearch import Elastic
from tests.service import running_service
from tests.upgrades.midway import filled
from tests.upgrades.proving.odd_documents import ODD, kept_sources, nested, put_odd_ones

TARGETS = {"7.17": "reindexed-v7-old", "9.4": "reindexed-v9-old"}


@pytest.mark.parametrize("series", TARGETS)
async def test_odd_documents_are_copied_and_proven_by_their_bytes(
    series: str, tmp_path: Path
) -> None:
    with ElasticsearchServer(series) as server, Elastic(server.url) as es:
        settings = {"number_of_replicas": 0}
        filled(es, "old", 1_200, mappings={"enabled": False}, settings=settings)
        put_odd_ones(es, "old")
        if series == "7.17":
            es.put_as_it_is("/old/_doc/deep?refresh", nested(3_000))
        async with running_service(server.url, f"sqlite:///{tmp_path / 'queue.db'}") as service:
            await service.post_options({"index": "old"}, proof="full")
            await service.completed("old")
            whats = {event.what for event in await service.events("old")}
            assert not whats & {"holds", "proof goes on one by one"}
        assert es.indices() == {TARGETS[series]}
        kept = kept_sources(es, "old")
        assert {name: kept[name] for name in ODD} == ODD
