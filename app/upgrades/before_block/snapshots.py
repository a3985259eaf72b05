"""Snapshots before the write block: the last one is new enough, and the next one is let through.

Elasticsearch refuses to remove an index while a snapshot takes it: the swap would wait, blocked.
"""

from __future__ import annotations

from collections.abc import Sequence

from app.domain import clock
from app.domain.durations import spoken
from app.domain.errors import ClusterRefused
from app.domain.events import EventKind, Note
from app.domain.holds import HoldCause
from app.domain.operation import Operation
from app.domain.remedies import Setting
from app.elastic.cluster import ClusterView
from app.elastic.snapshots import RunningSnapshot, SnapshotPolicy
from app.jobs.phases import Hold
from app.upgrades.before_block.case import Case
from app.upgrades.budget import NOT_TOLD

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
    wanted = f"of the last {spoken(seconds)}, as {Setting.REQUIRE_SNAPSHOT} asks for"
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
                return [_goes_on(case, f"{policy.name} takes the next in {spoken(left)}", waited)]
            when = f"is due in {spoken(left)}, by the policy {policy.name}"
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
        f"it has waited for snapshots for {spoken(waited)} and {why}: it goes on, and the swap "
        "may have to wait with writes blocked"
    )
    return Note(what=EventKind.WARNING, index=case.source.name, text=text)
