"""An index that is to be blocked, and how long it will be."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from app.domain.estimates import estimate
from app.domain.operation import Operation
from app.elastic.answers import IndexState
from app.elastic.cluster import Cluster
from app.jobs.phases import Work
from app.upgrades.budget import shards_that_tell

SLOW_DOCUMENTS, SLOW_BYTES, AROUND_SECONDS = 500, 1024 * 1024, 60.0
"""So slow is a copy taken to be, a second, while none was measured; and the seconds around it."""
UNTOLD_SECONDS = 600.0
"""As long as this lasts one that does not tell its size, for it is closed."""


@dataclass
class Case:
    """An index that is to be blocked: how it is now, and its empty new one."""

    work: Work[Operation]
    source: IndexState
    target: IndexState
    cluster: Cluster

    async def expected_seconds(self) -> float:
        """How long writes will be blocked, at most: judged by those that are done, else a guess.

        Operations that were blocked for longer than the hours last have waited for the next ones,
        and say nothing.
        """
        shards = await shards_that_tell(self.source, self.cluster)
        if not shards:
            return UNTOLD_SECONDS
        longest = self.hours_seconds
        history = [
            one
            for one in await self.work.history()
            if longest is None or one.blocked_seconds < longest
        ]
        documents = sum(shard.documents for shard in shards.values())
        size = sum(shard.size for shard in shards.values())
        known = estimate(documents, size, history)
        guess = max(documents / SLOW_DOCUMENTS, size / SLOW_BYTES) + AROUND_SECONDS
        rate = self.work.limit.requests_per_second
        return max(known.blocked.high if known else guess, documents / rate if rate else 0.0)

    @cached_property
    def hours_seconds(self) -> float | None:
        """From the opening of the hours to their end; None where they do not end."""
        limit = self.work.limit
        if limit.opened is None or limit.until is None:
            return None
        return (limit.until - limit.opened).total_seconds()
