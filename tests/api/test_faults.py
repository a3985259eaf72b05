"""What is wrong with a request is said in a sentence, with what would be right."""

from __future__ import annotations

from typing import Any

import pytest

from tests.service import Service

LONG = "x" * 1_001
ONE = {"indices": [{"index": "a"}]}
BODIES: list[tuple[str, Any, str]] = [
    ("/batches", {}, "[request body.indices]: it is missing"),
    ("/batches", {"indices": []}, "[request body.indices]: it must have one entry at least"),
    ("/batches", {"indices": [{}]}, "[request body.indices.0.index]: it is missing"),
    ("/batches", {"indices": [{"index": LONG}]}, "it has 1,001 characters, but may have 1,000"),
    ("/batches", {"indices": [{"index": "a", "newIndexName": " "}]}, "it must not be blank"),
    (
        "/batches",
        {"indices": [{"index": "a", "proof": "x"}]},
        "'sample', 'full' or 'auto'",
    ),
    ("/batches", {"indices": [{"index": "a", "keepOldIndex": "x"}]}, "it must be true or false"),
    ("/batches", ONE | {"pace": {"windowsInFlight": 1.5}}, "it must be a whole number"),
    ("/batches", ONE | {"pace": {"windowsInFlight": 51}}, "it must be at most 50"),
    ("/batches", ONE | {"pace": {"requestsPerSecond": 1e9}}, "it must be at most 10,000,000"),
    ("/batches", ONE | {"pace": {"requestsPerSecond": 0}}, "it must be at least 0.1"),
    ("/batches", ONE | {"pace": {"requestsPerSecond": "5"}}, "it must be a number"),
    ("/batches", ONE | {"rate": 5}, "definition for this key is missing. /docs lists the keys."),
    (
        "/batches",
        ONE | {"pace": {"hours": [{"from": "x", "to": "06:00", "zone": "UTC"}]}},
        "[request body.pace.hours.0.from]: it must be a time of day, such as 22:00",
    ),
    ("/pace/stop", {"reason": "x" * 501}, "it has 501 characters, but may have 500 at most"),
    ("/plan", {"outdated": "yes"}, "it must be true or false"),
]
QUERIES = [
    ("limit=501", "[request query.limit]: it must be at most 500"),
    ("limit=x", "it must be a whole number"),
    ("counts=perhaps", "it must be true or false"),
    ("after=x", "what the page before has as next"),
    ("state=lost", "it must be 'waiting', 'running'"),
    ("sort=up", "/docs lists the keys"),
]


async def test_every_fault_of_a_body_is_a_sentence_with_the_remedy(service: Service) -> None:
    for path, body, said in BODIES:
        answer = await service.client.post(f"/api/v1{path}", json=body)
        assert (answer.status_code, said in answer.json()["message"]) == (400, True), answer.text


async def test_every_fault_of_a_query_is_a_sentence_with_the_remedy(service: Service) -> None:
    for query, said in QUERIES:
        answer = await service.client.get(f"/api/v1/operations?{query}")
        assert (answer.status_code, said in answer.json()["message"]) == (400, True), answer.text


@pytest.mark.parametrize(
    ("key", "said"),
    [("", "it must not be empty"), ("x" * 256, "it has 256 characters, but may have 255 at most")],
)
async def test_an_idempotency_key_that_cannot_be(service: Service, key: str, said: str) -> None:
    answer = await service.client.post(
        "/api/v1/batches", json=ONE, headers={"Idempotency-Key": key}
    )
    assert (answer.status_code, said in answer.json()["message"]) == (400, True), answer.text
