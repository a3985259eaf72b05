"""Meters: what is counted, under labels of a closed list, at next to no cost."""

from __future__ import annotations

import asyncio
import time

import pytest
from prometheus_client import REGISTRY

from app import telemetry
from app.domain.holds import HoldCause
from app.domain.job import ENDED_STATES, State
from app.domain.windows import CopyStep
from app.telemetry import VERBS, Instruments, Meters, RequestOutcome
from tests.conditions import eventually


def value(meters: Meters, name: str, **labels: str) -> float | None:
    return meters.instruments.registry.get_sample_value(f"reindex_queue_{name}", labels)


@pytest.mark.parametrize(
    ("status", "outcome"),
    [
        (200, "ok"),
        (201, "ok"),
        (302, "foreign"),
        (400, "refused"),
        (401, "refused"),
        (404, "not_found"),
        (409, "refused"),
        (429, "busy"),
        (500, "failed"),
        (503, "failed"),
    ],
)
def test_a_status_is_an_outcome(status: int, outcome: str) -> None:
    assert RequestOutcome.of_status(status).value == outcome


def test_requests_are_counted_by_verb_and_outcome() -> None:
    meters = Meters("blue")
    meters.asked("GET", RequestOutcome.OK, 0.3)
    meters.asked("GET", RequestOutcome.OK, 0.001)
    meters.asked("GET", RequestOutcome.TIMEOUT, 30.0)
    requests = "elasticsearch_requests_total"
    assert value(meters, requests, cluster="blue", verb="GET", outcome="ok") == 2
    assert value(meters, requests, cluster="blue", verb="GET", outcome="timeout") == 1
    seconds = "elasticsearch_request_seconds"
    assert value(meters, f"{seconds}_count", cluster="blue", verb="GET") == 3
    assert value(meters, f"{seconds}_bucket", cluster="blue", verb="GET", le="0.5") == 2


def test_a_verb_that_nobody_knows_is_another() -> None:
    meters = Meters()
    for verb in ("BREW", "get", "", "x" * 1_000):
        meters.asked(verb, RequestOutcome.OK, 0.1)
    seen = {
        sample.labels["verb"]
        for family in meters.instruments.registry.collect()
        for sample in family.samples
        if "verb" in sample.labels
    }
    assert seen == {"other"}
    assert "other" not in VERBS


def test_what_was_not_counted_yet_is_shown_as_0() -> None:
    meters = Meters("blue")
    meters.expect(["rewrite", "expiry"])
    for cause in HoldCause:
        assert value(meters, "holds_total", cluster="blue", cause=cause.value) == 0
    for state in State:
        shown = value(meters, "jobs_ended_total", cluster="blue", kind="expiry", state=state.value)
        assert shown == (0 if state in ENDED_STATES else None)
    for name in ("documents_copied", "bytes_copied", "windows_done", "windows_retried"):
        assert value(meters, f"{name}_total", cluster="blue") == 0


def test_a_step_of_a_copy_adds_up() -> None:
    meters = Meters("blue")
    meters.copied(CopyStep(documents=10, done=1, again=0), 2.5)
    meters.copied(CopyStep(documents=4, done=0, again=2), 2.5)
    assert value(meters, "documents_copied_total", cluster="blue") == 14
    assert value(meters, "bytes_copied_total", cluster="blue") == 35
    assert value(meters, "windows_done_total", cluster="blue") == 1
    assert value(meters, "windows_retried_total", cluster="blue") == 2


def test_each_cluster_counts_for_itself_in_one_registry() -> None:
    instruments = Instruments()
    blue, green = Meters("blue", instruments), Meters("green", instruments)
    blue.holds(HoldCause.DISK_SPACE)
    assert value(blue, "holds_total", cluster="blue", cause="disk_space") == 1
    assert value(green, "holds_total", cluster="green", cause="disk_space") == 0


def test_the_librarys_own_registry_is_left_alone() -> None:
    Meters().asked("GET", RequestOutcome.OK, 0.1)
    names = [metric.name for metric in REGISTRY.collect()]
    assert not [name for name in names if name.startswith("reindex_queue")]


async def test_a_loop_that_is_held_up_is_seen_to_be_late(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(telemetry, "LOOP_SECONDS", 0.05)
    instruments = Instruments()
    watching = asyncio.create_task(instruments.watch_the_loop())
    await asyncio.sleep(0)
    time.sleep(0.4)  # noqa: ASYNC251 - the event loop is to be held up

    async def seen() -> bool:
        name = "reindex_queue_event_loop_lag_seconds_sum"
        return (instruments.registry.get_sample_value(name) or 0.0) > 0.2

    await eventually(seen, "the delay is in the histogram")
    watching.cancel()
    await asyncio.gather(watching, return_exceptions=True)


def test_to_count_costs_next_to_nothing() -> None:
    """Beside a request to Elasticsearch, which takes a thousand times as long."""
    meters = Meters()
    begun = time.process_time()
    for _ in range(2_000):
        meters.asked("POST", RequestOutcome.OK, 0.01)
    assert (time.process_time() - begun) / 2_000 < 0.000_2
