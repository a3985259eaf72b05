"""Task numbers start again low with a node: an id alone may be a stranger's, on a real server."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from app.copying import tasks, window_tasks
from app.copying.flight import Flight
from app.copying.limit import Allowance
from app.domain.names import IndexName
from app.domain.operation import Operation
from app.domain.pace import UNLIMITED
from app.domain.windows import TaskRef, Watch, Window, WindowState
from app.elastic.cluster import Cluster
from app.elastic.connection import Connection
from app.elastic.http import Credentials
from app.jobs.phases import Limits, Work
from tests.conditions import eventually
from tests.elasticsearch import Elastic
from tests.jobs.test_transitions import operation
from tests.upgrades.midway import all_copied, filled

LIMITS = Limits()
LONG_AGO = 1_600_000_000_000
"""A start, in milliseconds."""


@pytest.fixture
async def cluster(elasticsearch_url: str) -> AsyncIterator[Cluster]:
    connection = Connection([elasticsearch_url], Credentials())
    yield Cluster.for_worker(connection, lambda: None)
    await connection.close()


def ours() -> Operation:
    """Copies `plain` to `target`."""
    return operation(index_name=IndexName("plain"), new_index_name=IndexName("target"))


def copy(es: Elastic, source: str, target: str, *, slowly: bool = True) -> str:
    """Starts the copy of somebody who sends no header; the id of its task."""
    speed = "&requests_per_second=1" if slowly else ""
    body = {"source": {"index": source, "size": 1}, "dest": {"index": target}}
    return es.post(f"/_reindex?wait_for_completion=false{speed}", body)["task"]


def started(es: Elastic, task: str) -> int:
    return es.get(f"/_tasks/{task}")["task"]["start_time_in_millis"]


def window(**fields: Any) -> Window:
    made = {"number": 0, "shard": 0, "from_seq_no": None, "to_seq_no": None, "documents": 20}
    return Window.model_validate({**made, **fields})


def flying(task: str, since: int | None) -> Flight:
    running = window(state=WindowState.RUNNING, task_id=task, task_started=since)
    return Flight(ours(), {0: running}, Watch(), [])


@pytest.fixture
def plain(es: Elastic) -> None:
    filled(es, "plain")
    filled(es, "other")


@pytest.mark.usefixtures("plain")
@pytest.mark.parametrize(
    ("source", "target", "since"),
    [("other", "target", None), ("plain", "elsewhere", None), ("plain", "target", LONG_AGO)],
    ids=["another source", "another target", "another start"],
)
@pytest.mark.parametrize("slowly", [True, False], ids=["running", "stored"])
async def test_strangers_with_the_number_of_our_task_are_not_waited_for(
    es: Elastic, cluster: Cluster, source: str, target: str, since: int | None, *, slowly: bool
) -> None:
    stranger = copy(es, source, target, slowly=slowly)
    if not slowly:
        await all_copied(es)
        assert es.get(f"/_tasks/{stranger}")["completed"]
    flight = flying(stranger, since)
    await window_tasks.look(flight, cluster)
    assert flight.windows[0].state is WindowState.PLANNED
    assert flight.windows[0].attempt == 2
    assert len(es.copy_tasks()) == slowly  # it was not cancelled


@pytest.mark.usefixtures("plain")
@pytest.mark.parametrize("task", ["running", "stored"])
async def test_strangers_apart_our_own_task_is_taken_for_ours(
    es: Elastic, cluster: Cluster, task: str
) -> None:
    mine = copy(es, "plain", "target", slowly=task == "running")
    if task == "stored":
        await all_copied(es)
    flight = flying(mine, started(es, mine))
    await window_tasks.look(flight, cluster)
    wanted = WindowState.RUNNING if task == "running" else WindowState.DONE
    assert flight.windows[0].state is wanted


@pytest.mark.usefixtures("plain")
async def test_strangers_are_not_cancelled_where_none_of_ours_may_run(
    es: Elastic, cluster: Cluster
) -> None:
    strangers = [copy(es, "other", "target"), copy(es, "plain", "elsewhere")]
    known = [TaskRef(id=stranger) for stranger in strangers]
    known += [TaskRef(id=stranger, started=LONG_AGO) for stranger in strangers]
    mine = copy(es, "plain", "target")
    ref = TaskRef(id=mine, started=started(es, mine))
    held = ours().model_copy(update={"loose_tasks": [*known, ref]})
    found = await tasks.look_for(held, (), cluster)
    assert [task.id for task in found.running] == [mine]
    assert found.ended == known  # their node is there, and does not run what we knew
    await tasks.end(found.running, cluster)

    async def mine_is_over() -> bool:
        return not (await tasks.look_for(held, (), cluster)).running

    await eventually(mine_is_over, "our own task ends")
    assert {f"{task['node']}:{task['id']}" for task in es.copy_tasks()} == set(strangers)


@pytest.mark.usefixtures("plain")
async def test_strangers_without_our_header_are_ours_by_what_they_copy(
    es: Elastic, cluster: Cluster
) -> None:
    task = copy(es, "plain", "target")
    found = await tasks.look_for(ours(), (), cluster)
    assert ([t.id for t in found.running], found.known) == ([task], [])
    assert await tasks.may_write(
        Work(ours(), (), LIMITS, False, UNLIMITED, Allowance()), found, cluster
    )


async def test_strangers_on_a_node_that_has_left_are_waited_for_a_while(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    ref = TaskRef(id="a-node-that-left:7", started=LONG_AGO)
    held = ours().model_copy(update={"loose_tasks": [ref]})
    work = Work(held, (), LIMITS, False, UNLIMITED, Allowance())
    found = await tasks.look_for(held, (), cluster)
    assert (found.ended, found.away) == ([], [ref])
    reason = await tasks.may_write(work, found, cluster)
    assert reason
    assert "a-node-that-left, which has left the cluster" in reason
    monkeypatch.setattr(tasks, "AWAY_SECONDS", 0.0)
    assert await tasks.may_write(work, found, cluster) is None
    assert tasks.forget(held, found.away) == {}  # it is looked for once more before the swap


@pytest.mark.usefixtures("plain")
async def test_a_number_that_is_used_again_tells_that_its_first_task_has_ended(
    es: Elastic,
) -> None:
    task = copy(es, "plain", "target")
    flight = flying(task, None)
    flight.loose = [TaskRef(id=task)]
    flight.forget_number(task)
    assert flight.windows[0].state is WindowState.PLANNED
    assert flight.loose == []
