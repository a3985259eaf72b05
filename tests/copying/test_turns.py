"""When a copy is looked at again, and what it says while nothing of it runs. Pure."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from app.copying.flight import Flight
from app.copying.limit import Allowance
from app.domain.operation import Operation
from app.domain.pace import UNLIMITED, Limit, Scope
from app.domain.windows import Window, WindowState
from app.jobs.phases import Again, Hold, Limits, Work
from app.upgrades.steps.copy import (
    LAST_POLL,
    _onwards,  # pyright: ignore[reportPrivateUsage]
)
from tests.jobs.test_transitions import operation

NOW = datetime.now(UTC)
SOURCE: dict[str, Any] = {
    "uuid": "u",
    "shards": 1,
    "routing_shards": 1,
    "closed": False,
    "blocks": {},
    "verified_read_only": False,
    "aliases": [],
    "settings": {},
    "active_copies": 1,
    "lifecycle": {},
}
LIMITED = Limit(100.0, 1, "", rate_of=Scope.SERVICE)


def window(number: int, **changed: Any) -> Window:
    given: dict[str, Any] = {
        "number": number,
        "shard": 0,
        "from_seq_no": None,
        "to_seq_no": None,
        "documents": 10_000,
        **changed,
    }
    return Window(**given)


def iteration(limit: Limit, *windows: Window, **changed: Any) -> tuple[Work[Operation], Flight]:
    limits = Limits(
        window_documents=1,
        batch_documents=1,
        window_seconds=60.0,
        synchronous_documents=0,
        keep_days=1.0,
        lost_seconds=1.0,
    )
    made = operation(source=SOURCE, updated_at=NOW, **changed)
    work = Work(made, windows, limits, False, limit, Allowance())
    return work, Flight.of(work)


def running(number: int) -> Window:
    since = NOW - timedelta(minutes=5)
    return window(number, state=WindowState.RUNNING, task_id="n:1", started_at=since)


def test_a_limited_copy_whose_flight_is_full_is_not_looked_at_more_often_than_others() -> None:
    for limit in (LIMITED, replace(LIMITED, requests_per_second=None)):
        outcome = _onwards(*iteration(limit, running(0), window(1)))
        assert isinstance(outcome, Again)
        assert outcome.after == LAST_POLL


def test_a_copy_of_which_all_that_is_left_rests_says_so_and_is_not_looked_at_before() -> None:
    done = window(0, state=WindowState.DONE)
    rests = window(1, attempt=5, failures=4, ended_at=datetime.now(UTC))
    outcome = _onwards(*iteration(UNLIMITED, done, rests, hold_reason="it was rejected"))
    assert isinstance(outcome, Hold)
    assert outcome.reason == "it was rejected"
    assert 7 < outcome.retry_after <= 8


def test_while_the_cluster_is_critical_a_copy_that_is_done_is_not_proven() -> None:
    outcome = _onwards(
        *iteration(replace(UNLIMITED, ill="heap"), window(0, state=WindowState.DONE))
    )
    assert isinstance(outcome, Hold)
    assert outcome.patient
