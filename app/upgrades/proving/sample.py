"""Pages taken at random, compared document by document."""

from __future__ import annotations

import asyncio
import random
import time

from app.domain.names import IndexName
from app.domain.operation import Operation
from app.elastic.answers import Document, ShardStats
from app.jobs.phases import Work
from app.upgrades.proving.comparing import differences, refuse
from app.upgrades.proving.pages import Pages, Place

MOST_DOCUMENTS = 1_000
MOST_SECONDS = 2.0
PAGE = 100
AT_ONCE = 2

_chance = random.SystemRandom()


async def compare_sample(work: Work[Operation], shards: dict[int, ShardStats], pages: Pages) -> int:
    """How many documents were compared. Raises `DocumentsDiffer`."""
    source = work.job.source
    assert source is not None
    most = min(MOST_DOCUMENTS, sum(stats.documents for stats in shards.values()))
    until, compared = time.monotonic() + MOST_SECONDS, 0
    while compared < most and time.monotonic() < until:
        if source.searchable_seq_nos:
            places = [_somewhere(shards) for _ in range(AT_ONCE)]
        else:
            places = [None] * AT_ONCE
        name = work.job.source_name
        found = await asyncio.gather(*(_page(name, place, shards, pages) for place in places))
        for page, other in found:
            refuse(work.job, differences(page, other, pages.measure))
            compared += len(page)
    return compared


def _somewhere(shards: dict[int, ShardStats]) -> Place:
    """A place in a shard; the more documents a shard has, the more often."""
    weights = [shards[n].documents for n in shards]
    (shard,) = _chance.choices(list(shards), weights)
    return Place(shard, _chance.randint(0, max(0, shards[shard].max_seq_no)))


async def _page(
    source: IndexName, place: Place | None, shards: dict[int, ShardStats], pages: Pages
) -> tuple[list[Document], list[Document]]:
    if place is None:
        page = await pages.at_random(PAGE)
        shard = None
    else:
        stats, shard = shards[place.shard], place.shard
        size = min(PAGE, pages.size(shard))
        span = max(size, size * (stats.max_seq_no + 1) // max(1, stats.documents))
        page, _ = await pages.between(source, place, span)
        page = page[:size]
    return page, await pages.of_target(page, shard) if page else []
