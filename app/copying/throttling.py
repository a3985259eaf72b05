"""Keeping copy tasks to a limit of documents a second: batches, search contexts, live changes."""

from __future__ import annotations

from app.copying.flight import Flight
from app.domain.events import EventKind, Note
from app.domain.operation import Operation
from app.domain.windows import Window
from app.elastic.cluster import Cluster
from app.jobs.phases import Work

BATCH_SECONDS = 2.0
"""A task waits so long between two batches: what it reads at a time is made to fit."""
LONGEST_WAIT = 240.0
"""A running task whose batches would wait longer starts anew with smaller ones: its search context
rests for 300 s at most where it was started without a limit."""
USUAL_REST, LONG_REST = 300.0, 3_600.0
"""Seconds that a search context rests at most: Elasticsearch's own for a `_reindex`, and what a
limited task is given. A cluster may allow less (`search.max_keep_alive`)."""
REST_SHARE, WAIT_SHARE = 0.5, 0.4
"""Of what a cluster allows: for the search context, and for the wait between two batches, which
Elasticsearch adds to it (8.19)."""
TOO_SMALL = 20
"""A running task whose batches could be so many times larger now starts anew with such."""
CRAWL_SECONDS = 60.0
"""While the cluster is in a critical state, a running task does a batch in so many seconds."""
REST_SECONDS = 60.0
"""So old may be what is known of how long search contexts may rest."""
SAME = 0.01
"""A difference that is not worth a request."""


async def throttle(flight: Flight, work: Work[Operation], cluster: Cluster) -> bool:
    """Changes the speed of the running tasks where the pace asks for another than before.

    A task that somebody slowed down by hand is left so until then. True where the batches of one do
    not suit the pace: it is to run again, which must be saved before its task is cancelled.
    """
    sharing = len(flight.running) + len(flight.next_ones(work.limit))
    longest = await cluster.nodes.longest_rest(REST_SECONDS) if flight.running else None
    anew: list[Window] = []
    for window in flight.running:
        rate = _wanted_rate(work, window, sharing, longest)
        if _same(window.rate, rate):
            continue
        if _ill_sized(work, window, rate, longest):
            anew.append(window)
        else:
            await cluster.tasks.throttle(window.task_id or "", rate, window.rate)
            flight.put(window.model_copy(update={"rate": rate}))
    for window in anew:
        flight.give_up(window)
        flight.notes.append(_anew_note(window))
    return bool(anew)


def paced(window: Window, share: float | None) -> Window:
    """`window` with batches that a task with so many documents a second does in `BATCH_SECONDS`."""
    size = None if share is None else max(1, int(share * BATCH_SECONDS))
    smaller = size if size and size < window.batch else None
    return window.model_copy(update={"paced": smaller, "rate": share})


def scroll_for(share: float | None, longest: float | None) -> str | None:
    """How long a task's search context is to rest, None for Elasticsearch's own time; `longest`:
    seconds that the cluster allows, None where that is not known."""
    wanted = USUAL_REST if share is None else LONG_REST
    if longest is not None and longest * REST_SHARE < wanted:
        return f"{int(longest * REST_SHARE * 1000)}ms"
    return None if share is None else f"{LONG_REST / 3_600:.0f}h"


def _wanted_rate(
    work: Work[Operation], window: Window, running: int, longest: float | None = None
) -> float | None:
    """Documents a second for the task of a running window."""
    share = work.limit.share(running)
    if work.limit.ill is None:
        return share
    crawl = window.size / _at_most(CRAWL_SECONDS, longest)
    return crawl if share is None else min(share, crawl)


def _ill_sized(
    work: Work[Operation], window: Window, rate: float | None, longest: float | None = None
) -> bool:
    """True where a running task had better begin anew with batches of another size: it would wait
    too long between two of them, or takes far fewer documents at a time than it may."""
    if work.limit.ill is not None:
        return False
    if (
        rate is not None
        and window.size > 1
        and window.size / rate > _at_most(LONGEST_WAIT, longest)
    ):
        return True
    return window.size * TOO_SMALL < paced(window, rate).size


def _at_most(seconds: float, longest: float | None) -> float:
    return seconds if longest is None else min(seconds, longest * WAIT_SHARE)


def _same(one: float | None, other: float | None) -> bool:
    if one is None or other is None:
        return one is other
    return abs(one - other) <= SAME * other


def _anew_note(window: Window) -> Note:
    return Note(
        what=EventKind.WINDOW_RUNS_AGAIN,
        text=f"window {window.number}: its batches of {window.size} do not suit the new pace",
    )
