"""The bookkeeping of a job in hand: whatever came of a step is saved here, and a hold that lasts
gets its consequences: it is told, and makes the job give its index back or make room for others."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from app.domain import clock
from app.domain.errors import InUse
from app.domain.events import EventKind, Note
from app.domain.formatting import capped
from app.domain.holds import HoldCause
from app.domain.job import Goal, Job, Lane, Requested
from app.domain.names import IndexName
from app.domain.operation import Changes
from app.domain.windows import CopyStep, Window
from app.jobs.phases import Again, Done, Hold, Limits, Outcome
from app.jobs.transitions import (
    blocks_for_long,
    cleared,
    growing,
    held,
    hold_notes,
    same_hold,
)
from app.store.jobs import Jobs
from app.store.lanes import Lanes
from app.store.role import Lease
from app.telemetry import Meters, logger

log = logger(__name__)

LASTING_SECONDS = 300.0
"""A shorter hold is not worth a copy: nothing is given back because of it."""
IN_USE_SECONDS = 10.0
"""So soon is an index asked for again that another job uses."""
OF_THE_MACHINE = (
    EventKind.HOLDS,
    EventKind.GOES_ON,
    EventKind.TURNED_BACK,
    EventKind.COMPLETED,
    EventKind.FAILED,
)
"""How a small job goes is told to its client, and is no event; what it changes is one."""

_ASIDE = (Goal.PARK, Goal.GIVE_BACK)
"""On the way there a hold stays shown: it is why."""


@dataclass(kw_only=True)
class InHand:
    """A job between two steps, as it was saved last, with its windows in order.

    `wait`: seconds until its next step. `cause`: what it waits for outside; None: for nothing.
    """

    job: Job
    windows: tuple[Window, ...]
    wait: float = 0.0
    cause: HoldCause | None = None


@dataclass(kw_only=True)
class Bookkeeping:
    """Saves for the holder of the lease. Every method raises `StoreTrouble`, `LeaseLost` and
    `Outdated`: then it is not known what is saved, and the job is taken up again from the store.

    `park_after`: seconds of a hold after which a job makes room for others, None: never.
    """

    jobs: Jobs
    lanes: Lanes
    limits: Limits
    who: str
    park_after: float | None = None
    meters: Meters = field(default_factory=Meters)

    async def keep(
        self, in_hand: InHand, outcome: Outcome, notes: Sequence[Note], lease: Lease
    ) -> None:
        """Saves the outcome where it says something new. `notes`: of what was changed meanwhile."""
        in_hand.wait = 0.0
        if isinstance(outcome, Hold):
            await self._keep_hold(in_hand, outcome, notes, lease)
            return
        try:
            await self._keep_progress(in_hand, outcome, notes, lease)
        except InUse as error:
            # Nothing of the outcome was saved. The phase is called again, and finds its effect.
            made = outcome.made if isinstance(outcome, Done) else Changes()
            reason = error.told(in_hand.job.reach.covers(error.about))
            hold = Hold(HoldCause.INDEX_IN_USE, reason, IN_USE_SECONDS, made)
            await self._keep_hold(in_hand, hold, notes, lease)
        else:
            in_hand.cause = None

    async def _keep_progress(
        self, in_hand: InHand, outcome: Done | Again, notes: Sequence[Note], lease: Lease
    ) -> None:
        """Raises `InUse` where another job uses an index that it needs for itself."""
        job, changes = in_hand.job, outcome.changes
        notes = [*notes, *outcome.notes]
        if isinstance(outcome, Again):
            in_hand.wait = outcome.after
        if job.hold_reason is not None and job.goal not in _ASIDE:
            changes = cleared(changes)
            notes.append(Note(what=EventKind.GOES_ON, index=job.index_name))
        if not (changes or notes or outcome.windows):
            return
        done = outcome if isinstance(outcome, Done) else Done()
        in_hand.job = await self.save(
            lease,
            job,
            changes,
            outcome.windows,
            notes,
            anew=outcome.anew,
            uses=done.uses,
            of_another=done.of_another,
        )
        before = () if outcome.anew else in_hand.windows
        self._count(in_hand.job, before, outcome.windows)
        in_hand.windows = with_changed(before, outcome.windows)

    async def _keep_hold(
        self, in_hand: InHand, hold: Hold, notes: Sequence[Note], lease: Lease
    ) -> None:
        """A hold that says nothing new is saved all the same: it is shown when the next look is."""
        # As it was before this look: what was told of it then is not told again below.
        job, pause = in_hand.job, growing(hold.retry_after, in_hand.job.attempts)
        hold = replace(hold, reason=capped(hold.reason), retry_after=pause)
        in_hand.wait = pause
        repeated = same_hold(hold.reason, job.hold_reason)
        notes = [*([] if repeated else notes), *hold_notes(job, hold)]
        in_hand.job = await self.save(lease, job, held(job, hold), hold.windows, notes)
        if in_hand.cause is not hold.cause:
            self.meters.holds(hold.cause)
        in_hand.cause = hold.cause
        self._count(in_hand.job, in_hand.windows, hold.windows)
        in_hand.windows = with_changed(in_hand.windows, hold.windows)
        if hold.cause is HoldCause.UNKNOWN_POSITION:
            # Another release has begun it, and knows what it needs: nothing is turned back here.
            return
        await self._end_long_block(in_hand, job, lease)
        if not hold.patient:
            at_once = hold.cause is HoldCause.INDEX_IN_USE
            await self._put_aside(in_hand, 0.0 if at_once else self.park_after, lease)

    def _count(self, job: Job, before: Sequence[Window], changed: Sequence[Window]) -> None:
        """Counts what was copied, once that is saved: a save that failed is done again."""
        if changed:
            planned = sum(window.documents for window in with_changed((*before,), changed))
            step = CopyStep.between(before, changed)
            self.meters.copied(step, job.bytes_a_document(planned))

    async def _end_long_block(self, in_hand: InHand, before: Job, lease: Lease) -> None:
        """A hold that keeps writes blocked for long is told, and ends where that is wanted."""
        job, most = in_hand.job, self.limits.block_seconds
        if note := blocks_for_long(before, most):
            in_hand.job = job = await self.save(lease, job, {}, (), [note])
        since, held_since = job.writes_blocked_since, job.hold_since
        if not most or since is None or held_since is None or job.goal is not Goal.FINISH:
            return
        left = most - clock.elapsed(since)
        if self.limits.gives_back:
            left = max(left, min(most, LASTING_SECONDS) - clock.elapsed(held_since))
        if left > 0:
            in_hand.wait = min(in_hand.wait, left)
            return
        if not self.limits.gives_back:
            return
        note = Note(what=EventKind.GIVING_BACK, index=job.index_name, text=job.hold_reason or "")
        changes: Changes = {
            "goal": Goal.GIVE_BACK,
            "position_back": "",
            "given_back_at": clock.now(),
        }
        in_hand.job = await self.save(lease, job, changes, (), [note])
        in_hand.wait = 0.0

    async def _put_aside(self, in_hand: InHand, after: float | None, lease: Lease) -> None:
        """One of the queue that has held for so many seconds makes room for those behind it; None:
        it does not, however long."""
        job, since = in_hand.job, in_hand.job.hold_since
        if after is None or job.lane is not Lane.QUEUE or job.goal is not Goal.FINISH:
            return
        if job.past_return or since is None or clock.left(since, after):
            return
        if not await self.lanes.others_wait(job):
            # With nobody behind it, it keeps what it has, and looks again.
            return
        reason = job.hold_reason or ""
        note = Note(what=EventKind.PARKING, index=job.index_name, text=reason)
        changes: Changes = {"goal": Goal.PARK, "position_back": ""}
        in_hand.job = await self.save(lease, job, changes, (), [note])
        in_hand.wait = 0.0

    async def save(
        self,
        lease: Lease,
        job: Job,
        changes: Changes,
        windows: Sequence[Window],
        notes: Sequence[Note],
        *,
        granted: Requested = Requested.NONE,
        anew: bool = False,
        uses: Sequence[IndexName] = (),
        of_another: tuple[Job, Changes] | None = None,
    ) -> Job:
        if job.lane is Lane.SMALL:
            notes = [note for note in notes if note.what not in OF_THE_MACHINE]
        started = time.monotonic()
        saved = await self.jobs.save(
            lease.token,
            job,
            changes,
            windows,
            notes,
            self.who,
            granted=granted,
            anew=anew,
            uses=uses,
            of_another=of_another,
        )
        self.meters.saved(time.monotonic() - started)
        if (saved.status, saved.position) != (job.status, job.position):
            log.info(
                "operation_moved",
                operation=saved.id,
                index=saved.index_name,
                phase=saved.position,
                status=saved.status.name.lower(),
                error=saved.error_message,
            )
        return saved


def with_changed(windows: tuple[Window, ...], changed: Sequence[Window]) -> tuple[Window, ...]:
    """`windows` with those that were changed or added, in the order of their numbers."""
    if not changed:
        return windows
    by_number = {window.number: window for window in (*windows, *changed)}
    return tuple(by_number[number] for number in sorted(by_number))
