"""The small jobs: a write block, the trial of a plan, the end of a kept copy; only the worker does
them. For the first two a client waits, which is told what became of them."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from app.domain import clock
from app.domain.errors import (
    AlreadyInProgress,
    ClusterBusy,
    ClusterRefused,
    ClusterTrouble,
    Failure,
    IndexNotFound,
    InUse,
    NotAnIndex,
    NotBlocked,
    OutOfReach,
    ReindexQueueError,
    SmallJobFailed,
)
from app.domain.events import EventKind
from app.domain.holds import HoldCause
from app.domain.job import Job
from app.domain.names import IndexName
from app.domain.operation import Operation
from app.domain.reach import EVERYTHING, Reach
from app.domain.remedies import RoutePath
from app.domain.trial import Attempt, Trial
from app.elastic.cluster import Cluster
from app.jobs.phases import Done, Hold, Outcome, Pacer, Phase, SmallKind, Work
from app.jobs.term import WakeUps
from app.store.lanes import SmallJobs
from app.store.operations import KeptCopies
from app.upgrades.caller_privileges import CallerPrivileges
from app.upgrades.expiry import expire, give_up
from app.upgrades.trial import tidy_up, try_out

BLOCK_WRITE, TRIAL, EXPIRY = "blockWrite", "trial", "expiry"
WAIT_SECONDS = 30.0
LOOK_SECONDS = 0.5
STOPPED_SECONDS = 30.0
EXPIRY_REST = 30.0
"""Seconds until a kept copy is looked at again that is still there."""

LiveNames = Callable[[], Awaitable[set[str]]]
"""The indices that have an operation in progress or paused."""


class BlockWrite(SmallKind):
    """Adds the write block to an index, so that it boots on the next major as it is."""

    name = BLOCK_WRITE

    def __init__(self, live_names: LiveNames) -> None:
        super().__init__()
        self._live_names = live_names

    async def do(self, work: Work[Job], cluster: Cluster) -> Outcome:
        await self._do(work.job, cluster)
        return Done()

    def answered(self, _job: Job, error: ReindexQueueError, /) -> Done | None:
        return _told_as(error)

    async def _do(self, job: Job, cluster: Cluster) -> None:
        if _is_forgotten(job):
            raise _FORGOTTEN
        job.reach.require(job.index_name)
        if job.index_name in await self._live_names():
            raise AlreadyInProgress(job.index_name)
        name = job.index_name
        looked = await cluster.indices.look(name)
        state = looked.get(name)
        if state is None:
            holders = looked.holders(name)
            if not job.reach.covers(*holders):
                raise OutOfReach(name, stands_for_others=True)
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
        trial = await self._do(work.job, cluster)
        return Done({"result": trial.model_dump(mode="json")})

    def answered(self, job: Job, error: ReindexQueueError, /) -> Done | None:
        return None if _is_to_be_repeated(job, error) else _told_as(error)

    async def _do(self, job: Job, cluster: Cluster) -> Trial:
        """Only tidies up where nobody waits any more, or an operation has begun on the index."""
        if _is_forgotten(job):
            await tidy_up(job, cluster)
            raise _FORGOTTEN
        if job.index_name in await self._live_names():
            await tidy_up(job, cluster)
            raise AlreadyInProgress(job.index_name)
        attempt = Attempt.model_validate(job.request)
        job.reach.require(attempt.index, attempt.source, attempt.target)
        return await try_out(job, cluster)


class Expiry(SmallKind):
    """The end of the time of a kept copy, whose operation is named in the request.

    It claims nothing: it gives way to whoever uses the copy, and does not keep a rollback out for
    as long as the cluster cannot remove it. A rollback that is asked for between the last look and
    the removal harms nothing: each of the two removes an index only together with a marker on the
    other one, so that of two such calls the second finds no marker (`expiry`).
    """

    name = EXPIRY

    def __init__(
        self,
        find: Callable[[str], Awaitable[Operation | None]],
        in_use: Callable[[Operation], Awaitable[InUse | None]],
    ) -> None:
        super().__init__()
        self._find = find
        self._in_use = in_use

    def held_back(self, work: Work[Job], _phase: Phase[Job], /) -> Outcome | None:
        """While everything is stopped no copy is removed."""
        if not work.limit.stopped:
            return None
        return Hold(HoldCause.STOPPED, work.limit.closed or "", STOPPED_SECONDS, patient=True)

    async def do(self, work: Work[Job], cluster: Cluster) -> Outcome:
        operation = await self._find((work.job.request or {})["operation"])
        if operation is None or operation.kept_until is None:
            return Done()
        if operation.live:  # it was asked back meanwhile
            return Done(notes=await give_up(operation, cluster))
        if used := await self._in_use(operation):
            await give_up(operation, cluster)
            return Hold(HoldCause.INDEX_IN_USE, used.message, EXPIRY_REST, patient=True)
        changes, notes = await expire(operation, cluster, work.job.crashes)
        return Done(notes=notes, of_another=(operation, changes))


@dataclass
class Expiries:
    """Leaves small jobs for kept copies whose time is over, for each now and then."""

    kept_copies: KeptCopies
    small_jobs: SmallJobs
    pacer: Pacer
    who: str
    _left: dict[str, float] = field(default_factory=dict[str, float])

    async def leave(self) -> None:
        """For the one that is due, if one is. None is while everything is stopped.

        One that was left just now, as that of a copy in use, does not keep the next ones waiting.
        """
        now = clock.boot_seconds()
        self._left = {key: left for key, left in self._left.items() if now - left < EXPIRY_REST}
        operation = await self.kept_copies.expired(self._left)
        if operation is None or (await self.pacer.service()).stopped:
            return
        self._left[operation.id] = now
        request = {"operation": operation.id}
        await self.small_jobs.leave_once(EXPIRY, operation.index_name, self.who, request)


class SmallJobDesk:
    """The client's side: leaves a small job and waits for its end."""

    def __init__(
        self, small_jobs: SmallJobs, wake_ups: WakeUps, caller_privileges: CallerPrivileges
    ) -> None:
        self._small_jobs = small_jobs
        self._wake_ups = wake_ups
        self._caller_privileges = caller_privileges

    async def block_writes(
        self,
        name: str,
        caller: str,
        reach: Reach = EVERYTHING,
        credentials: str | None = None,
    ) -> None:
        """Adds the write block to an index. `reach` and `credentials`: of the caller.

        Raises `CallerLacksPrivileges`, what the worker met, and `ClusterBusy` (503) where no worker
        did it in time.
        """
        index, event = IndexName(name), EventKind.BLOCK_WRITE_REQUESTED
        reach.require(index)
        await self._caller_privileges.require_block(index, credentials)
        job_id = await self._small_jobs.leave(BLOCK_WRITE, index, caller, event=event, reach=reach)
        if await self._ended(job_id) is None:
            taken_back = await self._small_jobs.withdraw(job_id)
            raise _too_late("so it was taken back" if taken_back else "and it may still be done")

    async def try_out(self, attempt: Attempt, caller: str, reach: Reach = EVERYTHING) -> Trial:
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
            reach=reach,
        )
        job = await self._ended(job_id)
        if job is None:
            raise _too_late("and it will not be done any more")
        return Trial.model_validate(job.result)

    async def _ended(self, job_id: str) -> Job | None:
        """The job once it is done, None where that takes too long. Raises what it met."""
        deadline = time.monotonic() + WAIT_SECONDS
        with self._wake_ups.subscribed() as subscription:
            self._wake_ups.wake()
            while time.monotonic() < deadline:
                job = await self._small_jobs.find(job_id)
                if job.ended_at is not None:
                    if job.error_message is not None:
                        raise _told(job)
                    return job
                await subscription.wait(LOOK_SECONDS)
        return None


def _too_late(then: str) -> ClusterBusy:
    return ClusterBusy(
        f"No worker did it within {WAIT_SECONDS:g} s, {then}; see {RoutePath.READY}."
    )


_FORGOTTEN = Failure("too_late", "Nobody waits for it any more.")


def _is_forgotten(job: Job) -> bool:
    return clock.elapsed(job.created_at) > WAIT_SECONDS


def _is_to_be_repeated(job: Job, error: ReindexQueueError) -> bool:
    if not isinstance(error, ClusterTrouble):
        return False
    return error.cause.patience is None or not _is_forgotten(job)


def _told_as(error: ReindexQueueError) -> Done:
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
