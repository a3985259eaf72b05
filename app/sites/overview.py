"""The read model of our own API: operations by the page, and one of them whole."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from app.copying.pace import Pacing
from app.domain import clock
from app.domain.brief import Brief
from app.domain.errors import UnknownOperation
from app.domain.failure import FailureDetails
from app.domain.job import State
from app.domain.operation import Proof, Proving, Step
from app.domain.pace import Limit
from app.domain.progress import (
    FRESH_SECONDS,
    NOTHING_TO_COPY,
    RECENT_SECONDS,
    CopyFigures,
    Progress,
    progress_of,
)
from app.domain.reach import EVERYTHING, Reach
from app.domain.windows import Window
from app.store.events import Event
from app.store.listing import Filter, Listing
from app.store.store import Store

MOST_EVENTS = 500
RECENT = RECENT_SECONDS + FRESH_SECONDS


@dataclass(frozen=True)
class OperationView:
    """An operation in lists; no progress before its copy is planned, no limit once it has ended."""

    brief: Brief
    progress: Progress | None
    limit: Limit | None


@dataclass(frozen=True)
class OperationPage:
    """`next`: the `after` of the page that follows, None where there is none. `others`: of the
    batch that was asked for, so many are beyond the reach of whoever asks."""

    operations: list[OperationView]
    next: int | None
    counts: dict[State, int] | None
    others: int | None = None


@dataclass(frozen=True)
class OperationDetail:
    """An operation with all that is known of it; the newest `MOST_EVENTS` events."""

    view: OperationView
    failure: FailureDetails | None
    proving: Proving | None
    proof: Proof | None
    windows: Sequence[Window]
    events: list[Event]


class Overview:
    def __init__(self, store: Store, pacing: Pacing) -> None:
        self._store = store
        self._pacing = pacing
        self._listing: Listing = store.listing

    async def page(
        self,
        wanted: Filter,
        limit: int,
        after: int | None = None,
        *,
        newest_first: bool = False,
        counted: bool = False,
    ) -> OperationPage:
        """Operations by `queued_at`; `counted`: with how many of the filter are in each state."""
        found = await self._listing.page(wanted, limit + 1, after, newest_first=newest_first)
        shown = found[:limit]
        return OperationPage(
            operations=await self.views(shown),
            next=shown[-1].queued_at if len(found) > limit else None,
            counts=await self._listing.counts(wanted) if counted else None,
            others=await self._others(wanted),
        )

    async def _others(self, wanted: Filter) -> int | None:
        if wanted.batch is None:
            return None
        others = await self._listing.others_of_batch(wanted.batch, wanted.reach)
        if others is None:
            return None
        seen = await self._listing.page(Filter(batch=wanted.batch, reach=wanted.reach), 1)
        return others if seen else None  # of a batch beyond reach it is not said that there is one

    async def whole(self, operation_id: str, reach: Reach = EVERYTHING) -> OperationDetail:
        """Raises `UnknownOperation`, also for one beyond `reach`."""
        operation = await self._store.operations.find(operation_id)
        if operation is None or not reach.covers_pair(operation):
            raise UnknownOperation(operation_id)
        (view,) = await self.views([Brief.of(operation)])
        return OperationDetail(
            view=view,
            failure=operation.failure,
            proving=operation.proving,
            proof=operation.proof,
            windows=await self._store.jobs.windows(operation_id),
            events=await self._store.events.of_operation(operation_id, MOST_EVENTS),
        )

    async def views(self, briefs: Sequence[Brief]) -> list[OperationView]:
        planned = [b.id for b in briefs if b.last_completed_step >= Step.REINDEX_STARTED]
        copies = await self._listing.copies(planned, clock.shown_within(RECENT)[0])
        limits = await self._pacing.limits(briefs)
        return [
            OperationView(brief, _progress(brief, copies.get(brief.id)), limits.get(brief.id))
            for brief in briefs
        ]


def _progress(brief: Brief, figures: CopyFigures | None) -> Progress | None:
    if brief.last_completed_step < Step.REINDEX_STARTED:
        return None
    copying = brief.last_completed_step == Step.REINDEX_STARTED
    return progress_of(
        (figures or NOTHING_TO_COPY).as_of_now(),
        brief.reindex_task_perc_complete or 0.0,
        clock.as_of_now(brief.updated_at),
        clock.now(),
        moving=copying and brief.state is State.RUNNING,
    )
