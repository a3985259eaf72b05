"""How far a batch is: what is copied, and what is still to come."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace

from app.domain import clock
from app.domain.errors import ClusterRefused, ClusterTrouble
from app.domain.job import State
from app.domain.names import IndexName
from app.domain.operation import Step
from app.domain.progress import (
    FRESH_SECONDS,
    NOTHING_TO_COPY,
    RECENT_SECONDS,
    Progress,
    progress_of,
    with_more,
)
from app.domain.reach import EVERYTHING, Reach
from app.elastic.answers import IndexSize
from app.elastic.cluster import ClusterView
from app.store.listing import Filter, Listing

MOST_IN_HAND = 20
REMEMBERED_SECONDS = 10.0
MOST_REMEMBERED = 50
RECENT = RECENT_SECONDS + FRESH_SECONDS


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
        self._known: dict[tuple[str, Reach], tuple[float, dict[str, IndexSize]]] = {}

    async def progress(self, batch_id: str, reach: Reach = EVERYTHING) -> BatchProgress:
        """Of what is within `reach`. Failed and cancelled operations do not count. Raises
        `StoreTrouble`."""
        copy = await self._listing.copy_of_batch(batch_id, clock.shown_within(RECENT)[0], reach)
        waiting = await self._listing.not_begun(batch_id, reach)
        sizes = await self._sizes_of((batch_id, reach), waiting)
        whole = with_more(
            copy or NOTHING_TO_COPY,
            documents=sum(size.documents for size in sizes),
            primary_bytes=sum(size.primary_bytes for size in sizes),
        )
        running = Filter((State.RUNNING,), batch=batch_id, reach=reach)
        in_hand = await self._listing.page(running, MOST_IN_HAND)
        moving = [one for one in in_hand if one.last_completed_step == Step.REINDEX_STARTED]
        now = clock.now()
        progress = progress_of(
            whole.as_of_now(),
            whole.at_least / whole.documents if whole.documents else float(not waiting),
            max((clock.as_of_now(one.updated_at) for one in moving), default=now),
            now,
            moving=bool(moving),
        )
        if not_counted := len(waiting) - len(sizes):
            progress = replace(progress, remaining_seconds=None, remaining=None)
        return BatchProgress(progress, not_counted)

    async def _sizes_of(self, part: tuple[str, Reach], names: Sequence[str]) -> list[IndexSize]:
        """Of those that tell; what was known is taken while the cluster is away. `part`: of which
        batch they are, and what of it is seen."""
        asked_at, sizes = self._known.get(part) or (None, {})
        now = time.monotonic()
        if names and (asked_at is None or now - asked_at > REMEMBERED_SECONDS):
            with contextlib.suppress(ClusterTrouble, ClusterRefused):
                sizes = await self._cluster.indices.sizes([IndexName(name) for name in names])
            if len(self._known) >= MOST_REMEMBERED:
                self._known.clear()
            self._known[part] = (now, sizes)
        return [sizes[name] for name in names if name in sizes]
