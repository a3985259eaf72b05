"""The newer Kibana's bodies: a name of one's own, the old index kept, a mode."""

from __future__ import annotations

import pytest

from tests.elasticsearch import Elastic
from tests.service import Service

SERVICE = "/api/reindex_service/reindex"
ASSISTANT = "/api/upgrade_assistant/reindex"


def fill(es: Elastic, name: str, documents: int = 3) -> None:
    es.put(f"/{name}", {"settings": {"number_of_replicas": 0}})
    es.bulk(name, [{"n": n} for n in range(documents)])


async def test_the_old_index_is_kept_where_the_reindex_service_is_not_told_otherwise(
    service: Service, es: Elastic
) -> None:
    fill(es, "dummydata")
    es.post(
        "/_aliases",
        {"actions": [{"add": {"index": "dummydata", "alias": "mine", "routing": "7"}}]},
    )
    before = es.documents("dummydata")

    answer = await service.client.post(
        SERVICE, json={"indexName": "dummydata", "newIndexName": " dummydata_v2 "}
    )
    assert answer.status_code == 200, answer.text
    assert answer.json()["newIndexName"] == "dummydata_v2"
    assert "reindexOptions" not in answer.json()
    await service.completed("dummydata")

    assert es.indices() == {"dummydata", "dummydata_v2"}
    assert es.documents("dummydata") == es.documents("dummydata_v2") == before
    assert es.aliases("dummydata") == {}
    assert es.aliases("dummydata_v2") == {"mine": {"index_routing": "7", "search_routing": "7"}}
    assert es.blocks("dummydata") == {}
    es.post("/dummydata/_doc", {"n": 3})


async def test_a_kept_index_that_was_closed_and_blocked_is_so_again(
    service: Service, es: Elastic
) -> None:
    fill(es, "old")
    es.put("/old/_settings", {"index.blocks.write": True})
    es.post("/old/_close")

    await service.client.post(SERVICE, json={"indexName": "old", "newIndexName": "new"})
    await service.completed("old")

    assert es.is_closed("old")
    assert es.is_closed("new")
    assert es.blocks("old") == es.blocks("new") == {"index.blocks.write": "true"}


async def test_the_old_index_is_removed_where_the_request_says_so(
    service: Service, es: Elastic
) -> None:
    fill(es, "dummydata")
    answer = await service.client.post(
        SERVICE,
        json={
            "indexName": "dummydata",
            "newIndexName": "dummydata_v2",
            "reindexOptions": {"deleteOldIndex": True},
        },
    )
    assert answer.json()["reindexOptions"] == {"deleteOldIndex": True}
    await service.completed("dummydata")
    assert es.indices() == {"dummydata_v2"}
    assert es.aliases("dummydata") == {"dummydata": {"is_hidden": False}}


async def test_the_upgrade_assistant_keeps_the_old_index_only_where_it_is_told(
    service: Service, es: Elastic
) -> None:
    fill(es, "removed")
    fill(es, "kept")
    answer = await service.client.post(
        f"{ASSISTANT}/batch",
        json={
            "indices": [
                {"indexName": "removed", "newIndexName": "removed-2"},
                {
                    "indexName": "kept",
                    "newIndexName": "kept-2",
                    "reindexOptions": {"deleteOldIndex": False},
                },
            ]
        },
    )
    assert [o["indexName"] for o in answer.json()["enqueued"]] == ["removed", "kept"]
    await service.completed("removed", "kept")
    assert es.indices() == {"removed-2", "kept", "kept-2"}


async def test_an_index_gets_the_mode_that_was_asked_for(service: Service, es: Elastic) -> None:
    es.put("/dummydata", {"settings": {"number_of_replicas": 0, "refresh_interval": "7s"}})
    es.bulk("dummydata", [{"n": n} for n in range(3)])
    answer = await service.client.post(
        SERVICE,
        json={
            "indexName": "dummydata",
            "newIndexName": "lookup-dummydata",
            "settings": {"mode": "lookup"},
        },
    )
    assert answer.json()["settings"] == '{"mode": "lookup"}'
    await service.completed("dummydata")
    settings = es.settings("lookup-dummydata")
    assert settings["index.mode"] == "lookup"
    assert settings["index.refresh_interval"] == "7s"
    assert es.documents("lookup-dummydata") == es.documents("dummydata")


@pytest.mark.parametrize(
    ("body", "status", "said"),
    [
        ({"indexName": "shards", "newIndexName": "x", "settings": {"mode": "lookup"}}, 400, "one"),
        (
            {"indexName": "shards", "newIndexName": "x", "settings": {"mode": "time_series"}},
            400,
            "routing_path",
        ),
        ({"indexName": "shards", "newIndexName": "x", "settings": {"mode": "odd"}}, 400, "mode"),
        ({"indexName": "shards", "newIndexName": "  "}, 400, "New index name cannot be empty"),
        ({"indexName": "shards", "newIndexName": "a*"}, 400, "not the name of an index"),
        ({"indexName": "shards", "newIndexName": "shards"}, 409, "another name"),
        (
            {"indexName": "shards", "newIndexName": "taken"},
            409,
            "The index taken already exists. Please try again.",
        ),
        ({"newIndexName": "x"}, 400, "indexName"),
        ({"indexName": "gone", "newIndexName": "x"}, 404, "Index gone does not exist"),
    ],
)
async def test_what_cannot_be_is_refused_and_changes_nothing(
    service: Service, es: Elastic, body: dict[str, object], status: int, said: str
) -> None:
    es.put("/shards", {"settings": {"number_of_shards": 2}})
    es.put("/taken")
    answer = await service.client.post(SERVICE, json=body)
    assert answer.status_code == status, answer.text
    assert said in answer.json()["message"]
    assert await service.queue() == []
    assert es.indices() == {"shards", "taken"}


async def test_a_batch_of_names_and_of_indices_at_once_is_refused(service: Service) -> None:
    answer = await service.client.post(f"{SERVICE}/batch", json={"indexNames": [], "indices": []})
    assert answer.status_code == 400
    assert "not both" in answer.json()["message"]
