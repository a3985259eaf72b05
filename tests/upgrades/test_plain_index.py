"""A plain index goes through the whole machine."""

from __future__ import annotations

from tests.elasticsearch import Elastic
from tests.service import Service


async def test_a_posted_index_comes_out_proven_aliased_and_writable(
    service: Service, es: Elastic
) -> None:
    es.put("/plain", {"settings": {"number_of_replicas": 0, "refresh_interval": "10s"}})
    es.bulk("plain", [{"n": n} for n in range(25)])
    before = es.documents("plain")

    answer = await service.post_batch("plain")
    assert [o["indexName"] for o in answer["enqueued"]] == ["plain"]
    await service.completed("plain")

    assert es.indices() == {"reindexed-v8-plain"}
    assert es.documents("plain") == before
    assert es.aliases("plain") == {"plain": {"is_hidden": False}}
    settings = es.settings("plain")
    assert settings["index.number_of_replicas"] == "0"
    assert settings["index.refresh_interval"] == "10s"
    assert not [key for key in settings if "reindex_queue" in key or "hidden" in key]
    assert es.blocks("plain") == {}
    es.post("/plain/_doc", {"n": 25})
