"""Every event of an operation names its batch, whoever has written it."""

from __future__ import annotations

from app.domain.events import EventKind, Note
from app.domain.job import Lane, Requested
from app.domain.names import IndexName
from app.domain.pace import ClusterHealth, Pace, Scope
from app.store.store import Store
from tests.store.operations import enqueue, enqueued, lease_of

NAMES = ("begun", "cancelled", "paused")


async def test_the_events_of_a_batch_are_those_of_its_operations(store: Store) -> None:
    lease = await lease_of(store)
    await enqueue(store, "alone", single=True)
    other = await enqueued(store, "other")
    batch = await enqueue(store, *NAMES)
    begun, cancelled, paused = (operation.id for operation in batch.operations)
    actions = store.requested_actions
    await actions.end_waiting([cancelled], "who")
    await actions.pause_waiting([paused], "who")
    await actions.resume([paused], "who")
    job = await store.jobs.begin(lease.token, begun, "worker")
    assert job
    for requested in (Requested.PAUSE, Requested.NONE, Requested.RETRY, Requested.CANCEL):
        if requested is Requested.NONE:
            await actions.resume([begun], "who")
        else:
            await actions.leave([begun], requested, "who")
    await store.paces.change(lambda _: Pace(windows_in_flight=2), "who", Scope.OPERATION, begun)
    gate = Note(what=EventKind.HEALTH_GATE)
    await store.paces.save_health(lease.token, ClusterHealth(), gate, job, "worker")
    await small_job_about(store, lease.token, begun)

    found = await store.events.after(0)
    of_operations = [event for event in found if event.job_id in (begun, cancelled, paused)]
    assert of_operations == [event for event in found if event.batch_id == batch.batch_id]
    assert {event.what for event in of_operations} == {
        EventKind.QUEUED,
        EventKind.CANCELLED,
        EventKind.PAUSED,
        EventKind.RESUMED,
        EventKind.STARTED,
        EventKind.PAUSE_REQUESTED,
        EventKind.PAUSE_TAKEN_BACK,
        EventKind.RETRY_REQUESTED,
        EventKind.CANCEL_REQUESTED,
        EventKind.PACE_CHANGED,
        EventKind.HEALTH_GATE,
        EventKind.KEPT_COPY_GONE,
    }
    assert [event.job_id for event in found if event.batch_id == other.batch_id] == [other.id]


async def small_job_about(store: Store, token: str, operation_id: str) -> None:
    """Begun, and saved with an event, which is told in the history of that operation."""
    request = {"operation": operation_id}
    lane, index = Lane.SMALL, IndexName("begun")
    key = await store.jobs.enqueue("small", lane, index, "who", request, event=None)
    job = await store.jobs.begin(token, key, "worker")
    assert job
    gone = Note(what=EventKind.KEPT_COPY_GONE)
    await store.jobs.save(token, job, {}, (), (gone,), "worker")
