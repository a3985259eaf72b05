"""What is waited for before an index is blocked: with writes open, waiting harms nobody."""

from __future__ import annotations

from app.domain import clock
from app.domain.durations import spoken
from app.domain.events import EventKind, Note
from app.domain.holds import HoldCause
from app.domain.job import PARKED_SECONDS
from app.domain.operation import Operation
from app.jobs.phases import Hold
from app.upgrades.before_block import snapshots
from app.upgrades.before_block.case import Case

START_SECONDS = 600.0
"""So soon after they open, or in their first tenth, begins what is longer than the hours."""
LONGEST_LOOK = 30.0
LONGEST_REST = 6 * 3600.0
"""Seconds until one that was given back is blocked again: a minute, doubled each time, at most."""


async def before_block(case: Case) -> Hold | list[Note]:
    """What keeps the index from being blocked now, or what is to be told of blocking it.

    What depends on how long it takes is asked for only where there are hours or snapshots.
    """
    notes: list[Note] = []
    for look in (_rest, _fits_into_hours, snapshots.is_saved, snapshots.is_free):
        found = await look(case)
        if isinstance(found, Hold):
            return found
        notes += found
    return notes


async def _rest(case: Case) -> Hold | list[Note]:
    """One that was given back because it held for long is not blocked again at once."""
    left = rest_of(case.work.job)
    if not left:
        return []
    reason = (
        f"{case.source.name} was given back because it was blocked for long; it takes writes and "
        f"is blocked again in {spoken(left)}"
    )
    return Hold(HoldCause.RESTING, reason, min(left, LONGEST_LOOK))


def rest_of(operation: Operation) -> float:
    """Seconds for which one that was given back is not blocked again."""
    since = operation.given_back_at
    seconds = min(LONGEST_REST, PARKED_SECONDS * 2.0 ** min(operation.given_back - 1, 10))
    return clock.left(since, seconds) if since else 0.0


async def _fits_into_hours(case: Case) -> Hold | list[Note]:
    """An index is not blocked that would still be when the hours end.

    What is longer than the hours begins when they open: else it would wait for ever.
    """
    limit, whole = case.work.limit, case.hours_seconds
    if limit.opened is None or limit.until is None or whole is None:
        return []
    now = clock.now()
    left, gone = (limit.until - now).total_seconds(), (now - limit.opened).total_seconds()
    needed = await case.expected_seconds()
    if needed <= left:
        return []
    if needed > whole and gone <= max(START_SECONDS, whole / 10):
        text = f"it may take {spoken(needed)} and the hours last {spoken(whole)}: it will overrun"
        return [Note(what=EventKind.WARNING, index=case.source.name, text=text)]
    reason = (
        f"it may take {spoken(needed)}, and the hours for copies end in {spoken(left)}: "
        f"{case.source.name} takes writes until the next ones"
    )
    return Hold(HoldCause.HOURS_TOO_SHORT, reason, min(max(left, 0.1), LONGEST_LOOK))


async def has_nodes(case: Case) -> Hold | None:
    """What is waited for while the new index cannot be written to: allocation may keep it from
    every node. Asked before it is searched, and before anything else is waited for."""
    active = await case.cluster.shards.stats(case.target.index_name)
    missing = [number for number in range(case.target.shards) if number not in active]
    if not missing:
        return None
    why = await case.cluster.shards.why_unassigned(case.target.index_name, missing[0])
    if why is None:
        reason = f"the primaries of {case.target.name} are not active"
        return Hold(HoldCause.SHARDS_AWAY, reason, 0.1)
    return Hold(
        HoldCause.NOT_ALLOCATED,
        f"no node may have primary {missing[0]} of {case.target.name}: {why}. "
        f"{case.source.name} takes writes meanwhile",
        retry_after=2.0,
    )
