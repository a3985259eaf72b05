"""Keeping copy tasks to a limit of documents a second: batches, search contexts, live changes."""

from __future__ import annotations

from app.domain.operation import Note, Work
from app.domain.windows import Window

BATCH_SECONDS = 2.0
"""A task waits so long between two batches: what it reads at a time is made to fit."""
LONGEST_WAIT = 240.0
"""A running task whose batches would wait longer starts anew with smaller ones: its search context
rests for 300 s at most where it was started without a limit."""
SCROLL = "1h"
"""How long a search context rests that was opened for a limited task."""
TOO_SMALL = 20
"""A running task whose batches could be so many times larger now starts anew with such."""
CRAWL_SECONDS = 60.0
"""While the cluster is in a critical state, a running task does a batch in so many seconds."""
SAME = 0.01
"""A difference that is not worth a request."""


def paced(window: Window, share: float | None) -> Window:
    """`window` with batches that a task with so many documents a second does in `BATCH_SECONDS`."""
    size = None if share is None else max(1, int(share * BATCH_SECONDS))
    smaller = size if size and size < window.batch else None
    return window.model_copy(update={"paced": smaller, "rate": share})


def scroll_for(share: float | None) -> str | None:
    return None if share is None else SCROLL


def wanted_rate(work: Work, window: Window, running: int) -> float | None:
    """Documents a second for the task of a running window."""
    share = work.limit.share(running)
    if work.limit.ill is None:
        return share
    crawl = window.size / CRAWL_SECONDS
    return crawl if share is None else min(share, crawl)


def ill_sized(work: Work, window: Window, rate: float | None) -> bool:
    """True where a running task had better begin anew with batches of another size: it would wait
    too long between two of them, or takes far fewer documents at a time than it may."""
    if work.limit.ill is not None:
        return False
    if rate is not None and window.size > 1 and window.size / rate > LONGEST_WAIT:
        return True
    return window.size * TOO_SMALL < paced(window, rate).size


def same(one: float | None, other: float | None) -> bool:
    if one is None or other is None:
        return one is other
    return abs(one - other) <= SAME * other


def anew_note(window: Window) -> Note:
    return Note(
        what="window runs again",
        text=f"window {window.number}: its batches of {window.size} do not suit the new pace",
    )
