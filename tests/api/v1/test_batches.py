"""`/api/v1/batches`: options an index, answers that can be asked for again."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx
import pytest

from tests.api.test_bad_input import check_envelope
from tests.elasticsearch import Elastic
from tests.service import Service, running_service
from tests.upgrades.midway import filled

PATH = "/api/v1/batches"


async def post(service: Service, body: Any, key: str | None = None) -> httpx.Response:
    headers = {"Idempotency-Key": key} if key else None
    return await service.client.post(PATH, json=body, headers=headers)


async def test_every_index_has_its_own_options_and_the_batch_the_rest(
    service: Service, es: Elastic
) -> None:
    for name in ("a", "b", "c"):
        filled(es, name)
    body = {
        "indices": [
            {"index": "a"},
            {"index": "b", "newIndexName": "b-2", "proof": "count", "keepOldIndex": False},
            {"index": "missing"},
            {"index": "c", "mode": "lookup"},
            {"index": "bad*"},
        ],
        "keepOldIndex": True,
        "proof": "full",
    }
    answer = await post(service, body)
    assert answer.status_code == 200, answer.text
    posted = answer.json()
    assert [(o["indexName"], o["newIndexName"]) for o in posted["operations"]] == [
        ("a", "reindexed-v8-a"),
        ("b", "b-2"),
        ("c", "reindexed-v8-c"),
    ]
    assert [o["proofLevel"] for o in posted["operations"]] == ["full", "count", "full"]
    assert [o["keptCopy"] is None for o in posted["operations"]] == [False, True, False]
    assert [o["mode"] for o in posted["operations"]] == [None, None, "lookup"]
    assert [(r["index"], r["code"]) for r in posted["refused"]] == [
        ("missing", "index_not_found"),
        ("bad*", "invalid_index_name"),
    ]
    assert {o["batchId"] for o in posted["operations"]} == {posted["id"]}
    await service.completed("a", "b", "c")
    batch = (await service.client.get(f"{PATH}/{posted['id']}")).json()
    assert (batch["total"], batch["counts"]["completed"]) == (3, 3)
    assert sum(batch["counts"].values()) == 3
    assert batch["refused"] == posted["refused"]
    levels = [(await service.shown(o["id"]))["proof"] for o in posted["operations"]]
    assert [proof["level"] for proof in levels] == ["full", "count", "full"]
    assert [proof["compared"] for proof in levels] == [20, 0, 20]
    assert es.settings("reindexed-v8-c")["index.mode"] == "lookup"


async def test_a_request_sent_again_with_its_key_queues_nothing_twice(
    service: Service, es: Elastic
) -> None:
    for name in ("a", "b"):
        filled(es, name)
    body = {"indices": [{"index": "b"}, {"index": "none"}, {"index": "a"}]}
    answers = await asyncio.gather(*(post(service, body, "one") for _ in range(5)))
    assert {answer.status_code for answer in answers} == {200}
    first = answers[0].json()
    assert {answer.json()["id"] for answer in answers} == {first["id"]}
    await service.completed("a", "b")
    again = (await post(service, body, "one")).json()
    assert again["id"] == first["id"]
    assert again["refused"] == first["refused"]
    assert [o["id"] for o in again["operations"]] == [o["id"] for o in first["operations"]]
    assert [o["state"] for o in again["operations"]] == ["completed", "completed"]

    other = await post(service, {"indices": [{"index": "a"}]}, "one")
    check_envelope(other, 409, "another body")
    fresh = await post(service, body, "two")
    assert fresh.json()["id"] != first["id"]
    assert {r["code"] for r in fresh.json()["refused"]} == {"already_reindexed", "index_not_found"}


async def test_a_key_outlives_the_service_on_either_database(
    elasticsearch_url: str, database_url: str, es: Elastic
) -> None:
    filled(es, "a")
    body = {"indices": [{"index": "a", "keepOldIndex": True}]}
    async with running_service(elasticsearch_url, database_url) as service:
        first = (await post(service, body, "a key")).json()
        await service.completed("a")
    async with running_service(elasticsearch_url, database_url) as service:
        again = (await post(service, body, "a key")).json()
        assert (again["id"], again["operations"][0]["id"]) == (
            first["id"],
            first["operations"][0]["id"],
        )
        answer = await service.roll_back(again["operations"][0]["id"])
        assert answer.status_code == 200, answer.text
        await service.state_of(again["operations"][0]["id"], "rolledBack")
        counts = (await service.client.get(f"{PATH}/{first['id']}")).json()["counts"]
        assert (counts["rolledBack"], counts["cancelled"], sum(counts.values())) == (1, 0, 1)
        listed = await service.client.get("/api/v1/operations?state=rolledBack")
        assert [o["indexName"] for o in listed.json()["operations"]] == ["a"]
        listed = await service.client.get("/api/v1/operations?state=cancelled")
        assert listed.json()["operations"] == []


ODD: list[Any] = [
    {},
    {"indices": []},
    {"indices": "a"},
    {"indices": [{}]},
    {"indices": ["a"]},
    {"indices": [{"index": "a", "proof": "thorough"}]},
    {"indices": [{"index": "a", "keepOldIndex": "yes"}]},
    {"indices": [{"index": "a", "newIndexName": "  "}]},
    {"indices": [{"index": "a", "other": 1}]},
    {"indices": [{"index": "a"}], "other": 1},
    {"indices": [{"index": "a"}] * 10_001},
]


@pytest.mark.parametrize("body", ODD, ids=range(len(ODD)))
async def test_a_body_of_another_shape_is_refused(service: Service, body: Any) -> None:
    check_envelope(await post(service, body), 400, "[request body")


async def test_odd_keys_and_unknown_batches_are_refused(service: Service) -> None:
    body = {"indices": [{"index": "a"}]}
    check_envelope(await post(service, body, "x" * 256), 400, "Idempotency-Key")
    check_envelope(await service.client.get(f"{PATH}/none"), 404, "no batch none")
