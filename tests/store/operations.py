"""Operations at the point where a test wants them."""

from __future__ import annotations

from typing import TypeVar

from app.domain.job import Job, Status
from app.domain.names import IndexName, target_name
from app.domain.operation import Changes, Operation
from app.store.operations import Enqueued, Wanted
from app.store.role import Lease
from app.store.store import Store

J = TypeVar("J", bound=Job)


def wanted(*names: str) -> list[Wanted]:
    return [Wanted(IndexName(name), target_name(IndexName(name), 8)) for name in names]


async def enqueue(store: Store, *names: str, single: bool = False) -> Enqueued:
    return await store.operations.enqueue(wanted(*names), "caller", single=single)


async def enqueued(store: Store, name: str) -> Operation:
    """The operation of `name`, which nothing may stand in the way of."""
    (operation,) = (await enqueue(store, name)).operations
    return operation


async def lease_of(store: Store) -> Lease:
    """The worker role, which must be free."""
    lease = await store.role.take()
    assert lease is not None
    return lease


async def started(store: Store, lease: Lease, name: str) -> Operation:
    operation = await enqueued(store, name)
    claimed = await store.jobs.begin(lease.token, operation.id, "worker")
    assert isinstance(claimed, Operation)
    return claimed


async def saved(store: Store, lease: Lease, job: J, changes: Changes | None = None) -> J:
    return await store.jobs.save(lease.token, job, changes or {}, (), (), "worker")


async def ended(store: Store, lease: Lease, name: str, changes: Changes) -> Operation:
    """A whole life: queued, started, and saved with `changes`, failed unless they say otherwise."""
    operation = await started(store, lease, name)
    return await saved(store, lease, operation, {"status": Status.FAILED, **changes})
