"""What operations that are done say of those to come."""

from __future__ import annotations

from datetime import UTC, datetime

from app.domain.estimates import Measured
from app.domain.progress import CopyFigures
from app.domain.state import State
from app.store.listing import Filter, Listing

MOST_MEASURED = 50


async def measured(listing: Listing) -> list[Measured]:
    """The newest completed operations, the newest first."""
    done = await listing.page(Filter((State.COMPLETED,)), MOST_MEASURED, newest_first=True)
    copies = await listing.copies([brief.id for brief in done], datetime.now(UTC))
    return [
        _measured(copies.get(brief.id), brief.ended_at, brief.started_at)
        for brief in done
        if brief.ended_at and brief.started_at is not None
    ]


def _measured(copy: CopyFigures | None, ended_at: datetime, started_at: int) -> Measured:
    seconds = ended_at.timestamp() - started_at / 1000
    if copy is None or copy.started_at is None or copy.ended_at is None:
        return Measured(0, 0, 0.0, seconds, seconds)
    return Measured(
        documents=copy.documents,
        primary_bytes=copy.primary_bytes,
        copy_seconds=(copy.ended_at - copy.started_at).total_seconds(),
        blocked_seconds=(ended_at - copy.started_at).total_seconds(),
        seconds=seconds,
    )
