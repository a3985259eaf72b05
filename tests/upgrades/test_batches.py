"""A batch is worked off in order, one index at a time; big indices in several windows."""

from __future__ import annotations

from tests.elasticsearch import Elastic
from tests.service import Service, running_service
from tests.upgrades.portrait import contents


async def test_a_batch_is_worked_off_in_order_and_one_at_a_time(
    service: Service, es: Elastic
) -> None:
    names = ["c", "a", "e", "b", "d"]
    for name in names:
        es.put(f"/{name}")
        es.bulk(name, [{"n": n} for n in range(3)])
    answer = await service.post_batch(*names)
    await service.completed(*names)

    queued = [o["reindexOptions"]["queueSettings"]["queuedAt"] for o in answer["enqueued"]]
    assert queued == sorted(set(queued))
    work = [e for e in await service.parts.store.events.after(0) if e.who.startswith("worker:")]
    turns = [e.job_id for n, e in enumerate(work) if n == 0 or e.job_id != work[n - 1].job_id]
    assert turns == [(await service.parts.reading.operation(name)).id for name in names]
    ends = [e.index_name for e in work if e.what in ("started", "completed")]
    assert ends == [name for name in names for _ in range(2)]
    assert es.indices() == {f"reindexed-v8-{name}" for name in names}


async def test_a_failed_index_does_not_stop_the_ones_after_it(
    service: Service, es: Elastic
) -> None:
    for name in ("good", "fine"):
        es.put(f"/{name}")
    es.fill_with_refused("bad")
    await service.post_batch("good", "bad", "fine")
    await service.completed("good", "fine")
    assert (await service.ended("bad"))["status"] == 2


async def test_windows_are_complete_and_disjoint(
    elasticsearch_url: str, sqlite_url: str, es: Elastic
) -> None:
    es.put("/big", {"settings": {"number_of_shards": 2, "number_of_replicas": 0}})
    es.bulk("big", [{"n": n} for n in range(400)])
    es.bulk("big", [{"n": -n} for n in range(100)])  # updates leave gaps in the sequence numbers
    for n in range(200, 260):
        es.delete(f"/big/_doc/{n}")
    before = contents(es, "big")
    assert len(before) == 340

    limits = {"reindex_window_documents": 30, "reindex_batch_documents": 7}
    async with running_service(elasticsearch_url, sqlite_url, **limits) as service:
        await service.post_batch("big")
        await service.completed("big")
        operation = await service.parts.reading.operation("big")
        windows = await service.parts.store.jobs.windows(operation.id)

    assert contents(es, "big") == before
    assert sum(window.seen for window in windows) == 340
    assert {window.attempt for window in windows} == {1}
    for shard in (0, 1):
        edges = [(w.from_seq_no, w.to_seq_no) for w in windows if w.shard == shard]
        assert len(edges) >= 5
        assert edges[0][0] is None
        assert edges[-1][1] is None
        assert [high for _, high in edges[:-1]] == [low for low, _ in edges[1:]]
        assert max(w.seen for w in windows if w.shard == shard) <= 60  # about as big as asked for
    assert operation.proof is not None
    assert operation.proof.documents == 340


async def test_stored_task_results_are_cleaned_up(relayed: Service, es: Elastic) -> None:
    es.put("/littered")
    es.bulk("littered", [{"n": 1}])
    await relayed.post_batch("littered")
    await relayed.completed("littered")
    task = (await relayed.operation("littered"))["reindexTaskId"]
    assert ":" in task
    assert es.request("GET", f"/.tasks/_doc/{task}").status_code == 404
