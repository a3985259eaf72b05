"""Pages of the event logs of all clusters of this process, and where a reader of them goes on."""

from __future__ import annotations

import heapq
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from operator import attrgetter

from app.domain.cursor import Places
from app.domain.errors import InvalidCursor, UnknownCluster
from app.domain.principal import ANYBODY, Principal
from app.domain.token import SERVICE
from app.store.events import EVERY_EVENT, Event, EventFilter, EventLog

MOST_SEARCHED = 20_000
"""Numbers of a log that one page looks through for events of its filter."""


@dataclass(frozen=True)
class WantedEvents:
    """The events of these clusters that a filter lets through. `visible`: the clusters that a
    cursor may name, None: all."""

    clusters: tuple[str, ...]
    filter: EventFilter = EVERY_EVENT
    visible: frozenset[str] | None = None


@dataclass(frozen=True)
class EventPage:
    """`next`: where the page that follows begins, None where there is none. `newest`: behind the
    newest events that there were."""

    events: list[Event]
    next: Places | None
    newest: Places


@dataclass(frozen=True)
class _Stretch:
    """What was read of one log: all of the filter's events from one place to the other, or the
    first `limit` of them where there are more."""

    events: Sequence[Event]
    begin: int
    end: int
    whole: bool

    def place_behind(self, shown: int) -> int:
        """Where to go on when the first `shown` of its events were shown."""
        if self.whole and shown == len(self.events):
            return self.end
        if not shown:
            return self.begin
        number = self.events[shown - 1].number
        return number if self.end >= self.begin else number - 1


def _may_see(caller: Principal, cluster: str) -> bool:
    if cluster == SERVICE:
        return not caller.limited
    return caller.clusters is None or cluster in caller.clusters


class EventPages:
    def __init__(self, log: EventLog) -> None:
        self.log = log

    def wanted(
        self, asked: Sequence[str], chosen: EventFilter = EVERY_EVENT, caller: Principal = ANYBODY
    ) -> WantedEvents:
        """What somebody who asked for these clusters is shown; of all that they may see where they
        named none. What is of no cluster (`SERVICE`) is for callers without any limit.

        Raises `UnknownCluster` for one that is not here, and for one that they may not see.
        """
        visible = [name for name in self.log.clusters if _may_see(caller, name)]
        for name in asked:
            if name not in visible:
                raise UnknownCluster(name)
        clusters = tuple(name for name in visible if not asked or name in asked)
        return WantedEvents(clusters, replace(chosen, reach=caller.reach), frozenset(visible))

    def check(self, cursor: Mapping[str, int], heads: Places, wanted: WantedEvents) -> None:
        """Raises `InvalidCursor` where it is not of the logs that the caller may see. `heads`: the
        newest events."""
        visible = heads.keys() if wanted.visible is None else wanted.visible
        for cluster, number in cursor.items():
            if cluster not in visible:
                raise InvalidCursor(
                    f"The cursor is of the cluster {cluster[:100]}, which is not here."
                )
            if number > heads[cluster]:
                raise InvalidCursor(
                    f"The cursor is behind event {number} of {cluster}, but the newest is "
                    f"{heads[cluster]}: the cursor is of another database, or of this one before "
                    "it was restored. Begin without a cursor."
                )

    async def page(
        self,
        wanted: WantedEvents,
        cursor: Mapping[str, int] | None,
        limit: int,
        *,
        newest_first: bool = False,
    ) -> EventPage:
        """A page from the cursor on, or back from it; without one from the oldest on, or back from
        the newest. It may have fewer events than `limit`, or none, and still a next page: one page
        looks only through so much of a log. A cluster that the cursor does not name is read as
        without a cursor.

        Events of one cluster are in the order of their numbers, those of several by their times.
        Raises `InvalidCursor`, `StoreTrouble`.
        """
        heads = await self.log.heads()
        self.check(cursor or {}, heads, wanted)
        stretches: dict[str, _Stretch] = {}
        for cluster in wanted.clusters:
            unknown = heads[cluster] if newest_first else 0
            begin = (cursor or {}).get(cluster, unknown)
            goal = 0 if newest_first else heads[cluster]
            stretches[cluster] = await self._stretch(wanted.filter, cluster, begin, goal, limit)
        runs = [stretch.events for stretch in stretches.values()]
        merged = heapq.merge(*runs, key=attrgetter("at"), reverse=newest_first)
        events = list(islice(merged, limit))
        places = {
            cluster: stretch.place_behind(sum(e.cluster_id == cluster for e in events))
            for cluster, stretch in stretches.items()
        }
        newest = {cluster: heads[cluster] for cluster in wanted.clusters}
        done = not any(places.values()) if newest_first else places == newest
        if wanted.filter.reach.limited:
            events = [event.without_documents() for event in events]
        return EventPage(events, None if done else places, newest)

    async def _stretch(
        self, wanted: EventFilter, cluster: str, begin: int, goal: int, limit: int
    ) -> _Stretch:
        """From `begin` towards `goal`, which is greater where the oldest come first."""
        end = goal
        if wanted.job_id is None:  # of one job they are found by an index, wherever they are
            end = min(max(goal, begin - MOST_SEARCHED), begin + MOST_SEARCHED)
        events = await self.log.between(
            cluster,
            min(begin, end),
            max(begin, end),
            wanted=wanted,
            limit=limit,
            newest_first=end < begin,
        )
        return _Stretch(events, begin, end, whole=len(events) < limit)
