"""A job of a kind that only another release knows: it waits for that one, and stops nobody."""

from __future__ import annotations

from app.domain.job import Lane
from app.domain.names import IndexName
from tests.elasticsearch import Elastic
from tests.service import Service
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
