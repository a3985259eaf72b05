"""A job of a kind that only another release knows: it waits for that one, and stops nobody."""

from __future__ import annotations

import pytest

from app.domain.job import Lane
from app.domain.names import IndexName
from tests.elasticsearch import Elastic
from tests.service import BASE, Service
from tests.upgrades.midway import filled


async def test_a_job_of_an_unknown_kind_is_left_alone_and_the_others_are_done(
    service: Service, es: Elastic
) -> None:
    filled(es, "plain")
    jobs = service.parts.store.jobs
    waiting = [
        await jobs.enqueue("of_the_future", lane, IndexName(f"other-{lane}"), "test")
        for lane in (Lane.SMALL, Lane.BESIDE)
    ]
    await service.post_batch("plain")
    await service.completed("plain")
    for job_id in waiting:
        job = await jobs.load(job_id)
        assert (job.kind, job.live, job.started_at) == ("of_the_future", True, None)
    assert (await service.client.get("/readyz")).status_code == 200
    listed = (await service.client.get("/api/v1/operations")).json()["operations"]
    assert [operation["indexName"] for operation in listed] == ["plain"]


@pytest.mark.parametrize("lane", [Lane.BESIDE, Lane.COPIES])
async def test_a_job_of_another_kind_is_in_no_answer_about_operations_and_refuses_no_post(
    service: Service, es: Elastic, lane: Lane
) -> None:
    filled(es, "plain")
    jobs, client = service.parts.store.jobs, service.client
    other = await jobs.enqueue("of_the_future", lane, IndexName("plain"), "test")
    assert (await client.get(f"{BASE}/plain")).json().get("reindexOp") is None
    assert await service.cancel("plain") == 404
    assert await service.queue() == []
    assert (await client.get(f"/api/v1/operations/{other}")).status_code == 404
    assert (await client.post(f"/api/v1/operations/{other}/cancel")).status_code == 404
    assert (await client.get("/api/v1/operations?index=plain")).json()["operations"] == []
    worker = (await client.get("/api/v1/worker")).json()
    assert (worker["inHand"], set(worker["counts"].values())) == ([], {0})
    assert (await client.post(f"{BASE}/plain")).status_code == 200
    await service.completed("plain")
    assert (await jobs.load(other)).live
