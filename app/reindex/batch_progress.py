"""How far a batch is: what is copied, and what is still to come."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from app.domain.brief import Brief
from app.domain.errors import ClusterRefused, ClusterTrouble
from app.domain.names import IndexName
from app.domain.operation import Step
from app.domain.progress import FRESH_SECONDS, RECENT_SECONDS, Progress, progress_of, together
from app.domain.state import LIVE, State
from app.elastic.answers import IndexSize
from app.elastic.view import ClusterView
from app.store.listing import Filter, Listing

MOST_LIVE = 10_000
REMEMBERED_SECONDS = 10.0
MOST_REMEMBERED = 50
_RECENT = timedelta(seconds=RECENT_SECONDS + FRESH_SECONDS)


@dataclass(frozen=True)
class BatchProgress:
    """`not_counted`: so many indices that wait do not tell their size, so `progress` is without
    them, and has no estimate."""

    progress: Progress
    not_counted: int


class BatchWatch:
    """What waits is asked of the cluster now and then, however often clients ask."""

    def __init__(self, listing: Listing, cluster: ClusterView) -> None:
        self._listing = listing
        self._cluster = cluster
        self._known: dict[str, tuple[float, dict[str, IndexSize]]] = {}

    async def progress(self, batch_id: str) -> BatchProgress:
        """Failed and cancelled operations do not count. Raises `StoreTrouble`."""
        now = datetime.now(UTC)
        copies = await self._listing.copies_of_batch(batch_id, now - _RECENT)
        live = await self._listing.page(Filter(LIVE, batch=batch_id), MOST_LIVE)
        waiting = [brief.index_name for brief in live if brief.id not in copies and _waits(brief)]
        sizes = await self._sizes_of(batch_id, waiting)
        whole = together(
            list(copies.values()),
            documents=sum(size.documents for size in sizes),
            primary_bytes=sum(size.primary_bytes for size in sizes),
        )
        not_counted = len(waiting) - len(sizes)
        moving = [brief for brief in live if brief.id in copies and _copies(brief)]
        progress = progress_of(
            whole,
            whole.done / whole.documents if whole.documents else float(not live),
            max((brief.updated_at for brief in moving), default=now),
            now,
            moving=bool(moving),
        )
        if not_counted:
            progress = replace(progress, remaining_seconds=None, remaining=None)
        return BatchProgress(progress, not_counted)

    async def _sizes_of(self, batch_id: str, names: Sequence[str]) -> list[IndexSize]:
        """Of those that tell; what was known is taken while the cluster is away."""
        asked_at, sizes = self._known.get(batch_id) or (None, {})
        now = time.monotonic()
        if names and (asked_at is None or now - asked_at > REMEMBERED_SECONDS):
            with contextlib.suppress(ClusterTrouble, ClusterRefused):
                sizes = await self._cluster.sizes([IndexName(name) for name in names])
            if len(self._known) >= MOST_REMEMBERED:
                self._known.clear()
            self._known[batch_id] = (now, sizes)
        return [sizes[name] for name in names if name in sizes]


def _waits(brief: Brief) -> bool:
    return brief.last_completed_step < Step.REINDEX_STARTED


def _copies(brief: Brief) -> bool:
    return brief.state is State.RUNNING and brief.last_completed_step == Step.REINDEX_STARTED
