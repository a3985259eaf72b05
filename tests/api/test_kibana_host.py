"""Spaces, base path, xsrf and API version, as Kibana's server has them around its routes."""

from __future__ import annotations

from tests.elasticsearch import Elastic
from tests.service import BASE, Service, running_service


async def test_a_space_leads_to_the_same_queue(service: Service, es: Elastic) -> None:
    es.put("/plain", {"settings": {"number_of_replicas": 0}})
    answer = await service.client.post(f"/s/marketing{BASE}/batch", json={"indexNames": ["plain"]})
    assert [o["indexName"] for o in answer.json()["enqueued"]] == ["plain"]
    await service.completed("plain")
    answer = await service.client.get(f"/s/other{BASE}/plain")
    assert answer.json()["reindexOp"]["status"] == 1


async def test_a_base_path_is_taken_off(elasticsearch_url: str, sqlite_url: str) -> None:
    async with running_service(elasticsearch_url, sqlite_url, server_basepath="/kibana") as service:
        for prefix in ("/kibana", "/kibana/s/space", ""):
            answer = await service.client.get(f"{prefix}{BASE}/batch/queue")
            assert answer.json() == {"queue": []}


async def test_kbn_xsrf_is_demanded_only_where_a_setting_says_so(
    elasticsearch_url: str, sqlite_url: str
) -> None:
    body: dict[str, list[str]] = {"indexNames": []}
    async with running_service(
        elasticsearch_url, sqlite_url, server_xsrf_disableprotection=False
    ) as service:
        refused = await service.client.post(f"{BASE}/batch", json=body)
        assert refused.status_code == 400
        assert refused.json()["message"] == "Request must contain a kbn-xsrf header."
        taken = await service.client.post(f"{BASE}/batch", json=body, headers={"kbn-xsrf": "x"})
        assert taken.status_code == 200
        asked = await service.client.get(f"{BASE}/batch/queue")
        assert asked.status_code == 200
        spaced = await service.client.post(f"/s/marketing{BASE}/batch", json=body)
        assert spaced.status_code == 400
        newer = await service.client.post("/api/reindex_service/reindex/batch", json=body)
        assert newer.status_code == 400
        blocking = await service.client.post(
            "/api/upgrade_assistant/update_index/a", json={"operations": ["blockWrite"]}
        )
        assert blocking.json()["message"] == "Request must contain a kbn-xsrf header."
        own = await service.client.post("/api/v1/pace/go-on")
        assert own.status_code == 200


async def test_the_api_version_is_echoed(service: Service) -> None:
    answer = await service.client.get(
        f"{BASE}/batch/queue", headers={"elastic-api-version": "2023-10-31"}
    )
    assert answer.headers["elastic-api-version"] == "2023-10-31"
