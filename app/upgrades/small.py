"""The small jobs: a write block, the trial of a plan, the end of a kept copy; only the worker does
them. For the first two a client waits, which is told what became of them."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from app.domain import clock
from app.domain.errors import (
    AlreadyInProgress,
    ClusterBusy,
    ClusterRefused,
    ClusterTrouble,
    Failure,
    IndexNotFound,
    NotAnIndex,
    NotBlocked,
    ReindexQueueError,
    SmallJobFailed,
    StoreTrouble,
)
from app.domain.events import EventKind
from app.domain.job import Job
from app.domain.names import IndexName
from app.domain.operation import Operation
from app.domain.remedies import Route
from app.domain.trial import Attempt, Trial
from app.elastic.cluster import Cluster
from app.jobs.pacer import Pacer
from app.jobs.phases import Done, Outcome, Work
from app.jobs.small import SmallKind
from app.jobs.wake_up import Bell
from app.store.kept_copies import KeptCopies
from app.store.small_jobs import SmallJobs
from app.upgrades.expiry import expire
from app.upgrades.trial import tidy_up, try_out

BLOCK_WRITE, TRIAL, EXPIRY = "blockWrite", "trial", "expiry"
WAIT_SECONDS = 30.0
LOOK_SECONDS = 0.5

LiveNames = Callable[[], Awaitable[set[str]]]
"""The indices that have an operation in progress or paused."""


class BlockWrite(SmallKind):
    """Adds the write block to an index, so that it boots on the next major as it is."""

    name = BLOCK_WRITE

    def __init__(self, live_names: LiveNames) -> None:
        super().__init__()
        self._live_names = live_names

    async def do(self, work: Work[Job], cluster: Cluster) -> Outcome:
        try:
            await self._do(work.job, cluster)
        except StoreTrouble:
            raise
        except ReindexQueueError as error:
            return _answered(error)
        return Done()

    async def _do(self, job: Job, cluster: Cluster) -> None:
        if _is_forgotten(job):
            raise _FORGOTTEN
        if job.index_name in await self._live_names():
            raise AlreadyInProgress(job.index_name)
        name = job.index_name
        looked = await cluster.indices.look(name)
        state = looked.get(name)
        if state is None:
            holders = looked.holders(name)
            raise NotAnIndex(name, holders) if holders else IndexNotFound(name)
        if not (state.write_blocked and state.verified_read_only):
            await cluster.indices.block_writes(name)
        if not (await cluster.indices.look(name))[name].write_blocked:
            raise NotBlocked(BLOCK_WRITE, name)


class TryOut(SmallKind):
    """Makes the new index, looks at it and removes it. One that was cut may have left its index, so
    it is gone on with; but not for ever with what waiting is not sure to mend."""

    name = TRIAL

    def __init__(self, live_names: LiveNames) -> None:
        super().__init__()
        self._live_names = live_names

    async def do(self, work: Work[Job], cluster: Cluster) -> Outcome:
        try:
            trial = await self._do(work.job, cluster)
        except StoreTrouble:
            raise
        except ReindexQueueError as error:
            if _is_to_be_repeated(work.job, error):
                raise
            return _answered(error)
        return Done({"result": trial.model_dump(mode="json")})

    async def _do(self, job: Job, cluster: Cluster) -> Trial:
        """Only tidies up where nobody waits any more, or an operation has begun on the index."""
        if _is_forgotten(job):
            await tidy_up(job, cluster)
            raise _FORGOTTEN
        if job.index_name in await self._live_names():
            await tidy_up(job, cluster)
            raise AlreadyInProgress(job.index_name)
        return await try_out(job, cluster)


class Expiry(SmallKind):
    """The end of the time of a kept copy, whose operation is named in the request."""

    name = EXPIRY

    def __init__(self, find: Callable[[str], Awaitable[Operation | None]]) -> None:
        super().__init__()
        self._find = find

    async def do(self, work: Work[Job], cluster: Cluster) -> Outcome:
        operation = await self._find((work.job.request or {})["operation"])
        if operation is None or operation.kept_until is None or operation.live:
            return Done()  # it was asked back meanwhile
        changes, notes = await expire(operation, cluster, work.job.crashes)
        return Done(notes=notes, of_another=(operation, changes))


@dataclass(frozen=True)
class Expiries:
    """Leaves small jobs for kept copies whose time is over."""

    kept_copies: KeptCopies
    small_jobs: SmallJobs
    pacer: Pacer
    who: str

    async def leave(self) -> bool:
        """True where one is due. None is while everything is stopped."""
        operation = await self.kept_copies.expired()
        if operation is None or (await self.pacer.service()).stopped:
            return False
        request = {"operation": operation.id}
        await self.small_jobs.leave_once(EXPIRY, operation.index_name, self.who, request)
        return True


class SmallJobDesk:
    """The client's side: leaves a small job and waits for its end."""

    def __init__(self, small_jobs: SmallJobs, bell: Bell) -> None:
        self._small_jobs = small_jobs
        self._bell = bell

    async def block_writes(self, name: str, caller: str) -> None:
        """Adds the write block to an index.

        Raises what the worker met, and `ClusterBusy` (503) where no worker did it in time.
        """
        job_id = await self._small_jobs.leave(
            BLOCK_WRITE, IndexName(name), caller, event=EventKind.BLOCK_WRITE_REQUESTED
        )
        if await self._ended(job_id) is None:
            await self._small_jobs.withdraw(job_id)
            raise _too_late("so it was taken back")

    async def try_out(self, attempt: Attempt, caller: str) -> Trial:
        """Makes the new index, looks at it and removes it.

        It is not withdrawn where no worker does it in time: it may be half done, and then has to be
        tidied up. Raises as `block_writes`.
        """
        job_id = await self._small_jobs.leave(
            TRIAL,
            attempt.index,
            caller,
            attempt.model_dump(mode="json"),
            event=EventKind.TRIAL_REQUESTED,
        )
        job = await self._ended(job_id)
        if job is None:
            raise _too_late("and it will not be done any more")
        return Trial.model_validate(job.result)

    async def _ended(self, job_id: str) -> Job | None:
        """The job once it is done, None where that takes too long. Raises what it met."""
        deadline = time.monotonic() + WAIT_SECONDS
        with self._bell.listening() as ear:
            self._bell.ring()
            while time.monotonic() < deadline:
                job = await self._small_jobs.find(job_id)
                if job.ended_at is not None:
                    if job.error_message is not None:
                        raise _told(job)
                    return job
                await ear.wait(LOOK_SECONDS)
        return None


def _too_late(then: str) -> ClusterBusy:
    return ClusterBusy(f"No worker did it within {WAIT_SECONDS:g} s, {then}; see {Route.READY}.")


_FORGOTTEN = Failure("too_late", "Nobody waits for it any more.")


def _is_forgotten(job: Job) -> bool:
    return clock.elapsed(job.created_at) > WAIT_SECONDS


def _is_to_be_repeated(job: Job, error: ReindexQueueError) -> bool:
    if not isinstance(error, ClusterTrouble):
        return False
    return error.cause.patience is None or not _is_forgotten(job)


def _answered(error: ReindexQueueError) -> Done:
    """The end of a small job whose client is told `error`."""
    status = error.http_status if isinstance(error, ClusterRefused) else None
    return Done(
        {
            "error_code": error.code,
            "error_message": error.message,
            "result": {"status": status} if status else None,
        }
    )


def _told(job: Job) -> SmallJobFailed:
    """The error that the worker met, for the client's side, which may be another process."""
    status = (job.result or {}).get("status")
    return SmallJobFailed(job.error_code or "error", job.error_message or "", status)
