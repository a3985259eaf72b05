"""Windows that lose their search contexts or their answers, against the real server."""

from __future__ import annotations

import pytest
from aiohttp import web

from testbed.relay import Relay, Seen
from tests.elasticsearch import Elastic
from tests.scrape import scraped
from tests.service import Service, running_service
from tests.upgrades.midway import POLL, crawl, filled
from tests.upgrades.portrait import contents


async def whats(service: Service, index: str) -> list[str]:
    return [event.what for event in await service.events(index)]


@pytest.mark.parametrize("shards", [1, 2])
async def test_search_contexts_that_somebody_clears_are_opened_anew(
    relay: Relay, es: Elastic, sqlite_url: str, shards: int
) -> None:
    filled(es, "plain", 30, settings={"number_of_shards": shards})
    documents = contents(es, "plain")
    crawl(relay)
    settings = {"reindex_batch_documents": 1, "reindex_synchronous_documents": 0}
    async with running_service(
        relay.url, sqlite_url, **settings, reindex_windows_in_flight=1
    ) as service:
        await service.post_batch("plain")
        await relay.wait_for("GET", POLL)
        es.delete("/_search/scroll/_all")
        await service.completed("plain")
        (again,) = [e for e in await service.events("plain") if e.what == "window runs again"]
        assert "search_context_missing_exception" in again.text
        after = await scraped(service)
        assert after.value("reindex_queue_windows_retried_total") == 1
        operation = await service.parts.reading.operation("plain")
        windows = await service.parts.store.jobs.windows(operation.id)
        assert after.value("reindex_queue_windows_done_total") == len(windows) >= shards
        assert after.value("reindex_queue_documents_copied_total") >= 30
    assert contents(es, "plain") == documents


async def test_a_search_that_fails_in_a_copy_at_once_is_tried_again(
    relay: Relay, es: Elastic, sqlite_url: str
) -> None:
    filled(es, "plain")
    of_shard = {"type": "search_context_missing_exception", "reason": "No search context"}
    error = {
        "type": "search_phase_execution_exception",
        "reason": "all shards failed",
        "failed_shards": [{"shard": 0, "reason": of_shard}],
    }
    relay.answer("POST", "^/_reindex", 404, {"error": error, "status": 404})
    async with running_service(relay.url, sqlite_url) as service:
        await service.post_batch("plain")
        await service.completed("plain")
        assert "window runs again" in await whats(service, "plain")


async def test_a_start_that_was_not_answered_while_another_runs_is_not_sent_twice(
    relay: Relay, es: Elastic, sqlite_url: str
) -> None:
    filled(es, "plain", 60)
    documents = contents(es, "plain")
    started: list[Seen] = []

    async def second_cut(request: Seen) -> web.Response | None:
        answer = await relay.forward(request)
        started.append(request)
        return None if len(started) == 2 else answer

    relay.when("POST", "^/_reindex[?]", second_cut, None)
    settings = {
        "reindex_batch_documents": 1,
        "reindex_synchronous_documents": 0,
        "reindex_window_documents": 30,
        "reindex_windows_in_flight": 2,
        "reindex_requests_per_second": 25.0,
    }
    async with running_service(relay.url, sqlite_url, **settings) as service:
        await service.post_batch("plain")
        await service.completed("plain")
        assert "window runs again" not in await whats(service, "plain")
    assert len(started) == 2
    assert contents(es, "plain") == documents
