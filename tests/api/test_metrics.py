"""`/metrics`: what is counted and told, for whom, and in which formats."""

from __future__ import annotations

import logging
import time
from importlib.metadata import version
from typing import Any
from urllib.parse import quote

import pytest
from prometheus_client.openmetrics.parser import (
    text_string_to_metric_families as read_openmetrics,  # pyright: ignore[reportUnknownVariableType]
)
from prometheus_client.parser import text_string_to_metric_families as read_text

from app.api.metrics import OPENMETRICS, TEXT, wants_openmetrics
from app.domain.holds import HoldCause
from app.domain.job import State
from app.domain.token import SERVICE
from app.jobs.worker import WorkerState
from app.telemetry import VERBS, RequestOutcome
from testbed.postgres import PostgresServer
from testbed.relay import Relay
from tests.conditions import eventually
from tests.elasticsearch import Elastic
from tests.scrape import Scrape, scraped
from tests.service import BASE, Service, running_service
from tests.store.operations import enqueue
from tests.upgrades.midway import POLL, filled, held_at

QUICK: dict[str, Any] = {"settings": {"number_of_replicas": 0}}
BUSY: dict[str, Any] = {"error": {"type": "es_rejected_execution_exception", "reason": "full"}}
SECRETS = {"server_username": "ops", "server_password": "s3cret-ä", "server_apikey": "k-5d1fb0c7e2"}


async def at_work(service: Service) -> None:
    """Waits until it has the worker role, as the metrics tell it."""

    async def there() -> bool:
        return (await scraped(service)).value("reindex_queue_lease_held") == 1

    await eventually(there, "the service has the worker role")


async def test_a_batch_is_seen_before_it_while_it_copies_and_after_it(
    relayed: Service, relay: Relay, es: Elastic
) -> None:
    await at_work(relayed)
    filled(es, "plain")
    check_before(await scraped(relayed))
    began = time.time()
    released = await held_at(relay, ("GET", POLL), relayed, "plain")
    during = await scraped(relayed)
    assert during.value("reindex_queue_jobs", kind="rewrite", state="running") == 1
    assert during.value("reindex_queue_worker", state="working") == 1
    assert during.value("reindex_queue_indices_blocked") == 1
    since = during.value("reindex_queue_indices_blocked_since_timestamp_seconds")
    assert began - 1 < since < time.time()
    assert during.value("reindex_queue_phase_seconds_count", phase="write_block") == 1
    assert during.value("reindex_queue_phase_seconds_count", phase="copy") == 0
    assert during.value("reindex_queue_jobs_ended_total") == 0
    released.set()
    await relayed.completed("plain")
    after = await scraped(relayed)
    operation = await relayed.parts.reading.operation("plain")
    windows = await relayed.parts.store.jobs.windows(operation.id)
    check_after(after, es.get("/plain/_count")["count"], len(windows))
    calls = "reindex_queue_elasticsearch_requests_total"
    assert after.value(calls, verb="GET") > during.value(calls, verb="GET")


def check_before(scrape: Scrape) -> None:
    for name in (
        "reindex_queue_jobs",
        "reindex_queue_jobs_ended_total",
        "reindex_queue_documents_copied_total",
        "reindex_queue_windows_done_total",
        "reindex_queue_indices_blocked",
        "reindex_queue_closed",
    ):
        assert scrape.families[name.removesuffix("_total")].samples, name
        assert scrape.value(name) == 0, name
    assert not scrape.families["reindex_queue_indices_blocked_since_timestamp_seconds"].samples
    assert scrape.value("reindex_queue_database_up") == 1
    assert scrape.value("reindex_queue_elasticsearch_up") == 1


def check_after(scrape: Scrape, documents: int, windows: int) -> None:
    assert scrape.value("reindex_queue_jobs", kind="rewrite", state="completed") == 1
    assert scrape.value("reindex_queue_jobs_ended_total", kind="rewrite", state="completed") == 1
    assert scrape.value("reindex_queue_jobs_ended_total") == 1
    assert scrape.value("reindex_queue_documents_copied_total") == documents
    assert scrape.value("reindex_queue_bytes_copied_total") > documents
    assert scrape.value("reindex_queue_windows_done_total") == windows > 0
    assert scrape.value("reindex_queue_windows_retried_total") == 0
    assert scrape.value("reindex_queue_indices_blocked") == 0
    assert scrape.value("reindex_queue_copy_documents_per_second") == 0
    assert scrape.value("reindex_queue_last_event_number") > 5
    name = "reindex_queue_phase_seconds_count"
    phases = {"prepare", "write_block", "copy", "prove", "swap", "finish"}
    assert scrape.labels(name, "phase") >= phases
    assert {one.value for one in scrape.samples if one.name == name} == {1}
    calls = "reindex_queue_elasticsearch_requests_total"
    assert scrape.value(calls, verb="POST", outcome="ok") > 0
    assert scrape.value("reindex_queue_elasticsearch_request_seconds_count") == scrape.value(calls)
    assert scrape.value("reindex_queue_save_seconds_count") > 3
    assert scrape.value("process_cpu_seconds_total") > 0


async def test_a_hold_is_counted_by_its_cause_and_is_told_while_it_lasts(
    relayed: Service, relay: Relay, es: Elastic
) -> None:
    es.put("/a", QUICK)
    relay.answer("PUT", "^/a/_block/write", 503, BUSY, times=None)
    await relayed.post_batch("a")
    await relayed.holds("a", "es_rejected_execution_exception")

    async def told() -> bool:
        held = await scraped(relayed)
        return held.value("reindex_queue_jobs_holding", cause="cluster_busy") == 1

    await eventually(told, "the hold is told by its cause")
    held = await scraped(relayed)
    assert held.value("reindex_queue_jobs_holding") == 1
    assert held.value("reindex_queue_jobs", kind="rewrite", state="holding") == 1
    assert held.value("reindex_queue_holds_total", cause="cluster_busy") == 1
    assert held.value("reindex_queue_elasticsearch_requests_total", verb="PUT", outcome="failed")
    await relay.wait_for("PUT", "^/a/_block/write")  # another try: still the same hold
    relay.clear()
    await relayed.completed("a")
    after = await scraped(relayed)
    assert after.value("reindex_queue_jobs_holding") == 0
    assert after.value("reindex_queue_holds_total", cause="cluster_busy") == 1


ODD = ("ämter-2019", "it's", "a{b}", "x=1", "y" * 200, "a\nb\xa0", "👩\u200d💻-logs", "\u202e")


async def test_names_never_become_labels(service: Service, es: Elastic) -> None:
    """Odd names are worked off, then a thousand others wait, and a thousand are refused."""
    for name in ODD:
        es.put(f"/{quote(name, safe='')}", QUICK)
    await service.post_batch(*ODD)
    await service.completed(*ODD)
    some = await scraped(service)
    assert some.value("reindex_queue_jobs", state="completed") == len(ODD)
    await service.client.post("/api/v1/pace/stop", json={"reason": "to look"})
    names = [f"odd-{number}-{ODD[number % 4]}" for number in range(1_000)]
    await enqueue(service.parts.store, *names)
    refused = await service.client.post(
        f"{BASE}/batch", json={"indexNames": [n + "." for n in names]}
    )
    assert len(refused.json()["errors"]) == 1_000
    many = await scraped(service)
    assert many.value("reindex_queue_jobs", kind="rewrite", state="waiting") == 1_000
    assert series(many) >= series(some)
    assert {key[0] for key in series(many) - series(some)} <= {
        "reindex_queue_elasticsearch_requests_total",
        *(
            f"reindex_queue_elasticsearch_request_seconds_{end}"
            for end in ("bucket", "sum", "count")
        ),
    }
    check_labels(many, service)
    assert len(many.samples) < 1_000
    assert not [name for name in (*ODD, "odd-", "to look") if name in many.text]


def series(scrape: Scrape) -> set[tuple[str, tuple[tuple[str, str], ...]]]:
    return {(one.name, tuple(sorted(one.labels.items()))) for one in scrape.samples}


def check_labels(scrape: Scrape, service: Service) -> None:
    """Every value of every label is of a closed list."""
    kinds = service.parts.worker.machine.kinds
    phases = {p.name for kind in kinds.values() for route in kind.routes.values() for p in route}
    allowed: dict[str, set[str]] = {
        "cluster": {"default", SERVICE},
        "kind": {*kinds},
        "state": {*State, *WorkerState},
        "cause": {*HoldCause},
        "phase": phases,
        "verb": {*VERBS, "other"},
        "outcome": {*RequestOutcome},
        "version": {version("reindex-queue")},
    }
    for sample in scrape.samples:
        for label, value in sample.labels.items():
            assert label == "le" or value in allowed[label], sample


async def test_only_the_service_with_the_role_tells_of_jobs(
    elasticsearch_url: str, database_url: str, es: Elastic
) -> None:
    es.put("/a", QUICK)
    async with (
        running_service(elasticsearch_url, database_url) as first,
        running_service(elasticsearch_url, database_url) as second,
    ):
        await at_work(first)
        await first.post_batch("a")
        await first.completed("a")
        worker, standby = await scraped(first), await scraped(second)
        assert worker.value("reindex_queue_jobs", state="completed") == 1
        for name in (
            "reindex_queue_jobs",
            "reindex_queue_jobs_holding",
            "reindex_queue_copy_documents_per_second",
            "reindex_queue_indices_blocked",
            "reindex_queue_last_event_number",
        ):
            assert worker.families[name].samples
            assert not standby.families[name].samples
        assert standby.value("reindex_queue_lease_held") == 0
        assert standby.value("reindex_queue_worker", state="standby") == 1
        assert standby.value("reindex_queue_documents_copied_total") == 0
        assert standby.value("reindex_queue_database_up") == 1


async def test_what_is_away_is_told_and_the_rest_is_there(
    relay: Relay, postgres_server: PostgresServer, postgres_url: str
) -> None:
    async with running_service(relay.url, postgres_url) as service:
        await at_work(service)
        relay.refuse()
        postgres_server.kill()

        async def told() -> bool:
            away = await scraped(service)
            return not (
                away.value("reindex_queue_database_up")
                or away.value("reindex_queue_elasticsearch_up")
            )

        await eventually(told, "both are told to be away", pause=0.2)
        away = await scraped(service)
        assert not away.families["reindex_queue_jobs"].samples
        calls = "reindex_queue_elasticsearch_requests_total"
        assert away.value(calls, outcome="no_connection") + away.value(calls, outcome="cut") > 0
        postgres_server.start()


async def test_the_token_opens_the_metrics_and_nothing_else(
    elasticsearch_url: str, sqlite_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    bearer = {"authorization": "Bearer scrape-me"}
    settings = {**SECRETS, "server_metrics_token": "scrape-me"}
    async with running_service(elasticsearch_url, sqlite_url, **settings) as service:
        get = service.client.get
        assert (await get("/metrics")).status_code == 401
        for wrong in ("Bearer scrape-m", "ApiKey scrape-me", "Basic scrape-me", "Bearer", ""):
            answer = await get("/metrics", headers={"authorization": wrong})
            assert answer.status_code == 401, wrong
        answer = await get("/metrics", headers=bearer)
        assert answer.status_code == 200
        assert "reindex_queue_lease_held" in answer.text
        for path in ("/api/v1/operations", f"{BASE}/batch/queue", "/docs", "/metrics/"):
            assert (await get(path, headers=bearer)).status_code == 401, path
        body = {"indexNames": ["plain"]}
        posted = await service.client.post(f"{BASE}/batch", json=body, headers=bearer)
        assert posted.status_code == 401
        assert (await service.client.post("/metrics", headers=bearer)).status_code == 405
        assert (await get("/metrics", auth=("ops", "s3cret-ä"))).status_code == 200
        key = {"authorization": "ApiKey k-5d1fb0c7e2"}
        assert (await get("/metrics", headers=key)).status_code == 200
        shown = answer.text
    for secret in ("scrape-me", "s3cret-ä", "k-5d1fb0c7e2"):
        assert secret not in shown
        assert secret not in caplog.text


async def test_without_a_token_no_bearer_but_the_key_is_let_in(
    elasticsearch_url: str, sqlite_url: str
) -> None:
    async with running_service(elasticsearch_url, sqlite_url, **SECRETS) as service:
        for wrong in ("Bearer ", "Bearer None", "Bearer"):
            answer = await service.client.get("/metrics", headers={"authorization": wrong})
            assert answer.status_code == 401, wrong
        key = {"authorization": "Bearer k-5d1fb0c7e2"}
        assert (await service.client.get("/metrics", headers=key)).status_code == 200


async def test_the_format_is_text_or_openmetrics_by_accept(service: Service) -> None:
    text = await service.client.get("/metrics")
    assert text.headers["content-type"] == TEXT
    assert "# EOF" not in text.text
    accept = {"accept": "application/openmetrics-text;version=1.0.0;q=0.8,text/plain;q=0.5"}
    answer = await service.client.get("/metrics", headers=accept)
    assert answer.headers["content-type"] == OPENMETRICS
    assert answer.text.endswith("# EOF\n")
    read = {family.name for family in read_openmetrics(answer.text)}
    assert "reindex_queue_documents_copied" in read
    assert read == {
        family.name.removesuffix("_total")
        for family in read_text(text.text)
        if not family.name.endswith("_created")
    }


@pytest.mark.parametrize(
    ("accept", "wanted"),
    [
        ("", False),
        ("*/*", False),
        ("text/plain;version=0.0.4", False),
        ("application/openmetrics-text", True),
        ("text/plain, Application/OpenMetrics-Text; version=x", True),
        ("application/openmetrics-text;q=0", False),
        ("application/openmetrics-text; version=1.0.0; q=0.000", False),
        ("application/openmetrics-text;q=0.1", True),
        ("application/openmetrics-texts", False),
    ],
)
def test_openmetrics_is_answered_where_it_is_named(accept: str, wanted: bool) -> None:
    assert wants_openmetrics(accept) is wanted
