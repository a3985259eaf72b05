"""Which index SQLite takes where the history is long: a question that comes all the time reads only
rows that it is about."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable, Generator
from contextlib import contextmanager
from typing import Any

import pytest
from sqlalchemy import Engine, event

from app.domain.job import Lane, State
from app.domain.names import IndexName
from app.domain.pruning import Retention
from app.store.listing import Filter
from app.store.store import Store
from tests.store.conftest import CLUSTER
from tests.store.database import connected
from tests.store.operations import enqueue, enqueued

Ask = Callable[[Store], Awaitable[Any]]


async def _go_on(store: Store) -> None:
    """The first piece of a pruning, of the jobs."""
    lease = await store.role.take()
    assert lease
    await store.prunings.begin(lease.token, Retention(None, 400.0).pruning("service", 0.0))
    await store.prunings.go_on(lease.token, "worker")
    await store.role.release(lease)


ASKED: dict[str, tuple[Ask, set[str]]] = {
    "head": (lambda store: store.lanes.head(), {"ix_job_in_hand", "ix_job_lane"}),
    "beside": (
        lambda store: store.lanes.first(Lane.BESIDE, 2),
        {"ix_job_in_hand", "ix_job_lane"},
    ),
    "small": (lambda store: store.lanes.small(10), {"ix_job_lane"}),
    "urgent": (lambda store: store.lanes.urgent(), {"ix_job_in_hand"}),
    "expired": (lambda store: store.kept_copies.expired(), {"ix_job_kept"}),
    "old jobs": (_go_on, {"ix_job_ended_at", "ix_job_ended"}),
    "copying": (lambda store: store.paces.copying(), {"ix_job_in_hand"}),
    "blocked": (lambda store: store.paces.blocked_indices(), {"ix_job_live"}),
    "queue": (lambda store: store.listing.queue(), {"ix_job_lane"}),
    "live names": (lambda store: store.operations.live_names(), {"ix_job_live"}),
    "live page": (lambda store: store.listing.page(Filter([State.RUNNING]), 9), {"ix_job_live"}),
    "latest": (lambda store: store.operations.latest(IndexName("a")), {"ix_job_history"}),
    "completed": (
        lambda store: store.operations.completed_targets([IndexName("a")]),
        {"ix_job_history"},
    ),
    "of a batch": (lambda store: store.operations.of_batch("b"), {"ix_job_batch"}),
    "counts": (lambda store: store.listing.counts(Filter()), {"ix_job_ended", "ix_job_live"}),
    "other kinds": (lambda store: store.listing.others(), {"ix_job_live"}),
    "blocked since": (lambda store: store.listing.blocked_since(), {"ix_job_live"}),
}


@contextmanager
def statements() -> Generator[list[tuple[str, Any]]]:
    """What is asked of the table `job` meanwhile, with its values."""
    found: list[tuple[str, Any]] = []

    def note(_connection: Any, _cursor: Any, statement: str, values: Any, *_: Any) -> None:
        if "FROM job" in statement:
            found.append((statement, values))

    event.listen(Engine, "before_cursor_execute", note)
    try:
        yield found
    finally:
        event.remove(Engine, "before_cursor_execute", note)


@pytest.fixture
async def on_sqlite(sqlite_url: str) -> AsyncGenerator[Store]:
    """With two operations that wait, and no statistics but those that SQLite guesses."""
    store = await Store.open(sqlite_url, CLUSTER, 60.0)
    await enqueued(store, "a")
    await enqueue(store, "b", single=True)
    yield store
    await store.close()


@pytest.mark.parametrize("question", ASKED)
async def test_a_question_that_comes_often_takes_the_narrowest_index(
    on_sqlite: Store, sqlite_url: str, question: str
) -> None:
    ask, indexes = ASKED[question]
    with statements() as asked:
        await ask(on_sqlite)
    assert asked
    with connected(sqlite_url) as connection:
        plans = [
            str(row[3])
            for statement, values in asked
            for row in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", values)
        ]
    taken = [plan for plan in plans if " job " in plan]
    assert {plan.split("USING ")[1].split("INDEX ")[1].split()[0] for plan in taken} == indexes


async def test_ended_operations_are_counted_from_the_index_alone(
    on_sqlite: Store, sqlite_url: str
) -> None:
    with statements() as asked:
        await on_sqlite.listing.counts(Filter())
    ((statement, values),) = asked
    with connected(sqlite_url) as connection:
        plan = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", values).all()
    assert "SEARCH job USING COVERING INDEX ix_job_ended" in str(plan)
