"""What a failed operation says: which documents, why, and what to do; bounded, whatever is said."""

from __future__ import annotations

import json
import sqlite3
from typing import Any

import httpx
import pytest

from app.domain.failure import MOST_BYTES
from testbed.relay import Relay
from tests.elasticsearch import Elastic
from tests.service import Service, running_service
from tests.upgrades.portrait import as_found

CONFLICT = "document_parsing_exception"


def unmapped(es: Elastic, documents: list[dict[str, Any]], **properties: Any) -> None:
    """`plain` with documents whose fields it did not look at, and a mapping for them since."""
    settings = {"number_of_replicas": 0}
    es.put("/plain", {"settings": settings, "mappings": {"dynamic": False}})
    es.bulk("plain", documents)
    es.put("/plain/_mapping", properties)


async def failed(service: Service) -> dict[str, Any]:
    """Posts `plain`, waits until it has failed, and answers it whole."""
    await service.post_batch("plain")
    assert (await service.ended("plain"))["status"] == 2
    found = (await service.client.get("/api/v1/operations?index=plain")).json()["operations"]
    return await service.shown(found[0]["id"])


async def test_the_refused_documents_are_named_and_counted_by_their_errors(
    service: Service, es: Elastic
) -> None:
    documents = [{"n": f"word {n}"} for n in range(20)]
    unmapped(es, documents, dynamic="strict", properties={"n": {"type": "long"}})
    before = as_found(es, "plain")
    shown = await failed(service)
    failure = shown["failure"]
    assert (failure["class"], failure["step"]) == ("documents", "copy")
    assert failure["counts"] == {CONFLICT: 20}
    assert [one["id"] for one in failure["documents"]] == [str(n) for n in range(10)]
    assert all("failed to parse field [n]" in one["reason"] for one in failure["documents"])
    assert "retry" in failure["remedy"]
    assert failure["message"] == shown["error"]["message"]
    assert failure["message"].startswith("Reindexing failed: 20 documents or searches were refused")
    assert as_found(es, "plain") == before
    assert es.indices() == {"plain"}


async def test_a_limit_of_fields_is_told_with_its_documents(service: Service, es: Elastic) -> None:
    """Runtime fields that were taken away have kept those from being counted."""
    names = [f"field-{n}" for n in range(3)]
    es.put("/plain", {"mappings": {"runtime": {name: {"type": "keyword"} for name in names}}})
    es.bulk("plain", [{name: 1} for name in names])
    es.put("/plain/_mapping", {"runtime": dict.fromkeys(names)})
    es.put("/plain/_settings", {"index.mapping.total_fields.limit": 1})
    failure = (await failed(service))["failure"]
    assert "Limit of total fields [1] has been exceeded" in failure["documents"][0]["reason"]
    assert failure["class"] == "documents"
    assert es.indices() == {"plain"}


async def test_huge_and_odd_reasons_are_stored_and_shown_in_short(
    elasticsearch_url: str, database_url: str, es: Elastic
) -> None:
    """A reason holds the document's own value: megabytes of it, NUL, half a surrogate pair."""
    unmapped(es, [{"n": "ü" * 200_000}] * 12)
    es.put_as_it_is("/plain/_doc/12", r'{"n": "a\u0000b\ud800c"}')
    es.put_as_it_is("/plain/_doc/13?refresh=true", r'{"n": "a\u0000b\ud800c"}')
    es.put("/plain/_mapping", {"properties": {"n": {"type": "long"}}})
    async with running_service(elasticsearch_url, database_url) as service:
        shown = await failed(service)
        answer = await service.client.get("/api/v1/operations?index=plain")
    assert sum(shown["failure"]["counts"].values()) >= 1
    assert len(json.dumps(shown["failure"])) < MOST_BYTES + 4_000
    assert len(json.dumps(shown)) < 60_000
    assert len(answer.content) < 10_000
    if database_url.startswith("sqlite"):
        assert longest_value(database_url.removeprefix("sqlite:///")) <= MOST_BYTES


def longest_value(file: str) -> int:
    """Bytes of the longest value in the whole database."""
    longest = 0
    with sqlite3.connect(file) as database:
        for (table,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'"):
            for row in database.execute(f'SELECT * FROM "{table}"'):
                longest = max(longest, *(len(str(value).encode()) for value in row))
    return longest


async def test_an_error_of_any_length_and_kind_is_stored_in_short(
    relay: Relay, database_url: str, es: Elastic
) -> None:
    unmapped(es, [{"n": 1}])
    huge = {"error": {"type": "x\0\ud800" * 3_000, "reason": "y\0\udfff" * 1_000_000}}
    relay.answer("PUT", "^/plain/_block/write", 400, huge, times=None)
    async with running_service(relay.url, database_url) as service:
        shown = await failed(service)
    assert len(shown["error"]["code"]) <= 100
    assert len(shown["error"]["message"]) <= 2_000
    assert (shown["failure"]["class"], shown["failure"]["step"]) == ("elasticsearch", "writeBlock")
    assert max(len(event["text"]) for event in shown["events"]) <= 2_000


@pytest.mark.parametrize("status", [429, 503])
async def test_a_long_reason_to_wait_is_cut_and_says_when_it_tries_again(
    relayed: Service, relay: Relay, es: Elastic, status: int
) -> None:
    unmapped(es, [{"n": 1}])
    huge = {"error": {"type": "es_rejected_execution_exception", "reason": "y" * 1_000_000}}
    relay.answer("PUT", "^/plain/_block/write", status, huge, times=None)
    await relayed.post_batch("plain")
    await relayed.holds("plain", "es_rejected_execution_exception")
    answer: httpx.Response = await relayed.client.get("/api/v1/operations?index=plain")
    assert len(answer.content) < 10_000
    hold = answer.json()["operations"][0]["hold"]
    assert hold["attempts"] >= 1
    assert hold["nextAttemptAt"] > hold["since"]
    relay.clear()
    await relayed.completed("plain")
