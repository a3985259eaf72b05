"""What operations that are done say of those to come."""

from __future__ import annotations

from datetime import datetime

from app.domain import clock
from app.domain.job import State
from app.domain.progress import CopyFigures, Measured
from app.domain.reach import EVERYTHING, Reach
from app.store.listing import Filter, Listing

MOST_MEASURED = 50


async def measured(listing: Listing, reach: Reach = EVERYTHING) -> list[Measured]:
    """The newest completed operations within `reach`, the newest first."""
    completed = Filter((State.COMPLETED,), reach=reach)
    done = await listing.page(completed, MOST_MEASURED, newest_first=True)
    copies = await listing.copies([brief.id for brief in done], clock.now())
    found = [
        _measured(copies.get(brief.id), brief.ended_at, brief.started_at)
        for brief in done
        if brief.ended_at and brief.started_at is not None
    ]
    return [one for one in found if one.seconds >= 0]  # the clock may have been set meanwhile


def _measured(copy: CopyFigures | None, ended_at: datetime, started_at: int) -> Measured:
    ended = clock.as_of_now(ended_at)
    seconds = (ended - clock.as_of_now(clock.from_milliseconds(started_at))).total_seconds()
    figures = copy and copy.as_of_now()
    if figures is None or figures.started_at is None or figures.ended_at is None:
        return Measured(0, 0, 0.0, seconds, seconds)
    return Measured(
        documents=figures.documents,
        primary_bytes=figures.primary_bytes,
        copy_seconds=max(0.0, (figures.ended_at - figures.started_at).total_seconds()),
        blocked_seconds=max(0.0, (ended - figures.started_at).total_seconds()),
        seconds=seconds,
    )
