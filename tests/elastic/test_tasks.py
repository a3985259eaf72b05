"""Looking at the tasks of the real cluster: which copies run, and whose they are."""

from __future__ import annotations

import pytest

from app.domain.errors import (
    ClusterBusy,
)
from app.elastic.cluster import Cluster
from testbed.relay import Relay
from tests.elasticsearch import Elastic


async def test_a_task_that_nobody_knows_is_none(cluster: Cluster, es: Elastic) -> None:
    (node,) = es.get("/_nodes")["nodes"]
    assert await cluster.tasks.get(f"{node}:999999999") is None
    assert await cluster.tasks.get("oTUltX4IQMOUUVeiohTt8A:1") is None


async def test_a_copy_is_found_by_its_opaque_id_and_its_result_is_read(
    cluster: Cluster, es: Elastic
) -> None:
    es.put("/a", {"settings": {"number_of_replicas": 0}})
    es.bulk("a", [{"n": n} for n in range(50)])
    body = {
        "source": {"index": "a", "size": 1},
        "dest": {"index": "b"},
    }
    task_id = await cluster.tasks.start_copy(body, "rq:one:0:1", 0.5)
    assert [task.id for task in await cluster.tasks.copies_running("rq:one:")] == [task_id]
    assert await cluster.tasks.copies_running("rq:two:") == []
    (listed,) = await cluster.tasks.copies_running()
    running = await cluster.tasks.get(task_id)
    assert running is not None
    assert not running.completed
    assert running.is_copy
    assert running.description == listed.description == "reindex from [a] to [b]"
    assert running.started == listed.started
    assert (running.opaque_id, listed.parent) == ("rq:one:0:1", None)
    assert task_id.partition(":")[0] in await cluster.nodes.ids()
    es.post(f"/_reindex/{task_id}/_rethrottle?requests_per_second=-1")
    es.get(f"/_tasks/{task_id}?wait_for_completion=true&timeout=30s")
    ended = await cluster.tasks.get(task_id)
    assert ended is not None
    assert ended.completed
    assert (ended.response["total"], ended.handled, ended.error) == (50, 50, None)


@pytest.mark.parametrize(("value", "back"), [("as it is", True), (None, False), ("a", False)])
async def test_our_header_comes_back_unless_something_drops_or_overwrites_it(
    cluster: Cluster, relay: Relay, value: str | None, *, back: bool
) -> None:
    if not back:
        relay.overwrite("X-Opaque-Id", value)
    assert await cluster.tasks.header_comes_back() is back


async def test_a_node_that_does_not_tell_its_tasks_may_be_running_a_copy(
    cluster: Cluster, relay: Relay
) -> None:
    failed = {"type": "failed_node_exception", "reason": "Failed node [x]"}
    relay.answer("GET", "/_tasks", 200, {"node_failures": [failed], "tasks": []})
    with pytest.raises(ClusterBusy):
        await cluster.tasks.copies_running("rq:")
