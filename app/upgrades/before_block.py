"""Before the write block: snapshots are let through, and what is waited for while writes are
open."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from app.domain import clock
from app.domain.errors import ClusterRefused
from app.domain.events import EventKind, Note
from app.domain.formatting import duration_text
from app.domain.holds import HoldCause
from app.domain.job import PARKED_SECONDS
from app.domain.operation import Operation
from app.domain.progress import estimate
from app.domain.remedies import Setting
from app.elastic.answers import IndexState
from app.elastic.cluster import Cluster, ClusterView
from app.elastic.snapshots import RunningSnapshot, SnapshotPolicy
from app.jobs.phases import Hold, Work
from app.upgrades.budget import NOT_TOLD, shards_that_tell

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


REMEMBERED_SECONDS, POLICIES_SECONDS, TAKEN_SECONDS = 1.0, 30.0, 30.0
"""So old may be what was told of running snapshots, of policies, and of those that were taken."""
PATIENCE_RUNNING, PATIENCE_DUE = 3_600.0, 900.0
"""Seconds: only a snapshot that began, or is due, so soon after the waiting did is waited for. So
the waiting ends where one snapshot follows the other."""
LATE_SECONDS = 10.0
"""So late after it was due may a snapshot be seen to run."""
LOOK_SECONDS = 5.0
WAITS_FOR = "a snapshot of "
"""How the reason of a hold begins that is about one that runs or is due."""


async def is_saved(case: Case) -> Hold | list[Note]:
    """The index is in a successful snapshot that is new enough, where that is asked for."""
    seconds, name = case.work.limits.snapshot_seconds, case.source.name
    reason = await not_saved(name, seconds, case.cluster) if seconds else None
    if reason is None:
        return []
    return Hold(HoldCause.NO_SNAPSHOT, f"{reason}; it takes writes meanwhile", 30.0)


async def not_saved(
    index: str, seconds: float, cluster: ClusterView, *, anew: bool = True
) -> str | None:
    """That `index` is in no successful snapshot of the last so many seconds, or None.

    `anew`: where none is known, all are looked at once more.
    """
    try:
        for remembered in (TAKEN_SECONDS, 0.0) if anew else (TAKEN_SECONDS,):
            if index in await cluster.snapshots.taken_within(seconds, remembered):
                return None
    except ClusterRefused as error:
        return f"whether {index} is in a snapshot cannot be seen: {error.message}"
    wanted = f"of the last {duration_text(seconds)}, as {Setting.REQUIRE_SNAPSHOT} asks for"
    return f"{index} is in no successful snapshot {wanted}"


async def is_free(case: Case) -> Hold | list[Note]:
    """No snapshot takes the index now, or will before the swap; who may not see them goes on."""
    names = [case.source.name, *case.source.aliases]
    try:
        found = await case.cluster.snapshots.running(REMEMBERED_SECONDS)
        running = [one for one in found if case.source.name in one.indices]
        known = await case.cluster.snapshots.policies(POLICIES_SECONDS)
        policies = [policy for policy in known if policy.covers(names)]
        if not running and not policies:
            return []
        now = await case.cluster.snapshots.master_clock()
    except NOT_TOLD:
        return []
    if running:
        return _let_through(running, now, case)
    return _let_begin(policies, now, await case.expected_seconds(), case)


def _let_through(running: Sequence[RunningSnapshot], now: int, case: Case) -> Hold | list[Note]:
    """Each of those that began in time ends some time, or somebody ends it."""
    waited = _waited(case.work.job)
    for one in running:
        if (now - one.started) / 1000 >= waited - PATIENCE_RUNNING:
            return _hold(case, f"{case.source.name} runs ({one})")
    return [_goes_on(case, f"{running[0]} runs", waited)]


def _let_begin(
    policies: Sequence[SnapshotPolicy], now: int, expected: float, case: Case
) -> Hold | list[Note]:
    """One that is due much later will be over by the swap, or is met there."""
    waited, near = _waited(case.work.job), min(expected, PATIENCE_DUE)
    for policy in sorted(policies, key=lambda one: one.due):
        left = (policy.due - now) / 1000
        if -LATE_SECONDS <= left < near:
            if waited > PATIENCE_DUE:
                return [
                    _goes_on(case, f"{policy.name} takes the next in {duration_text(left)}", waited)
                ]
            when = f"is due in {duration_text(left)}, by the policy {policy.name}"
            return _hold(case, f"{case.source.name} {when}")
    return []


def _waited(operation: Operation) -> float:
    """Seconds for which it has waited for snapshots."""
    if operation.hold_since is None or not _is_about_snapshots(operation):
        return 0.0
    return clock.elapsed(operation.hold_since)


def _is_about_snapshots(operation: Operation) -> bool:
    return (operation.hold_reason or "").startswith(WAITS_FOR)


def _hold(case: Case, what: str) -> Hold:
    """What it waited for before does not count."""
    hold = Hold(HoldCause.SNAPSHOT, f"{WAITS_FOR}{what}; it takes writes meanwhile", LOOK_SECONDS)
    if not _is_about_snapshots(case.work.job):
        hold.changes["hold_since"] = clock.now()
    return hold


def _goes_on(case: Case, why: str, waited: float) -> Note:
    text = (
        f"it has waited for snapshots for {duration_text(waited)} and {why}: it goes on, and the "
        "swap may have to wait with writes blocked"
    )
    return Note(what=EventKind.WARNING, index=case.source.name, text=text)


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
    for look in (_rest, _fits_into_hours, is_saved, is_free):
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
        f"is blocked again in {duration_text(left)}"
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
        text = (
            f"it may take {duration_text(needed)} and the hours last {duration_text(whole)}: "
            "it will overrun"
        )
        return [Note(what=EventKind.WARNING, index=case.source.name, text=text)]
    reason = (
        f"it may take {duration_text(needed)}, and the hours for copies end in "
        f"{duration_text(left)}: {case.source.name} takes writes until the next ones"
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
