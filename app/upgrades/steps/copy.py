"""The copy: cut into windows, several of them at once, each its own `_reindex`."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import datetime

from app.copying import window_tasks
from app.copying.flight import Flight
from app.copying.halting import LAST_POLL, halt, halts, strained
from app.copying.plan import split_long, windows_of
from app.copying.throttling import paced, throttle
from app.domain import clock
from app.domain.errors import Failure, TaskCancelled
from app.domain.events import EventKind, Note
from app.domain.holds import HoldCause
from app.domain.operation import Changes, Operation, ProofLevel
from app.domain.windows import Window, fraction_done
from app.elastic.cluster import Cluster
from app.jobs.phases import Again, Done, Hold, Outcome, Work
from app.upgrades.budget import no_room_to_go_on
from app.upgrades.steps.identity import blocked_source_in, observe, target_in
from app.upgrades.steps.prove import chosen_proof

FIRST_POLL, GROWTH, MARGIN = 0.025, 0.4, 0.02
"""Seconds between two looks at the tasks, and shares of a task's age: each pause is 1.4 times the
last, but where the end is near it is looked for more closely, within a fiftieth of the age."""
SAVE_SECONDS = 1.0
"""Progress of running windows is saved no more often than that."""


async def plan_copy(work: Work[Operation], cluster: Cluster) -> Outcome:
    """Cuts the source into windows, which are saved before the first one is sent."""
    operation = work.job
    assert operation.source is not None
    if work.windows:  # of before it was parked; the source has not been written to since
        return Done()
    stats = await cluster.shards.stats(operation.source_name, measured=True)
    if len(stats) < operation.source.shards:
        text = f"not all primaries of {operation.source_name} are active"
        return Hold(HoldCause.SHARDS_AWAY, text)
    size = sum(shard.size for shard in stats.values())  # one that was closed did not tell before
    changes: Changes = {
        "reindex_task_perc_complete": operation.reindex_task_perc_complete or 0.0,
        "source": operation.source.model_copy(update={"primary_bytes": size}),
    }
    notes: list[Note] = []
    if operation.proof_level is ProofLevel.AUTO:
        documents = sum(shard.documents for shard in stats.values())
        level, text = chosen_proof(operation.source, documents, size, work.limits.full_up_to)
        changes["proof_level"] = level
        notes.append(Note(what=EventKind.PROOF_CHOSEN, index=operation.source_name, text=text))
    return Done(changes, await windows_of(work, stats, cluster), notes)


async def copy(work: Work[Operation], cluster: Cluster) -> Outcome:
    """Looks at the windows in flight and starts the next ones, until all are done.

    A window that is lost, failed or rejected runs again by itself; the others go on. Nothing is
    done outside of the hours for copies, or while everything is stopped.
    """
    if work.maybe_sent:  # a database that was restored may know less than was done
        looked = await observe(work.job.pair, cluster)
        blocked_source_in(looked, work.job.pair)
        target_in(looked, work.job.pair)
    flight = Flight.of(work)
    try:
        first = await _fly(flight, work, cluster)
    except TaskCancelled:
        raise
    except Failure:  # it may be no wonder: then that is what is told
        looked = await observe(work.job.pair, cluster)
        blocked_source_in(looked, work.job.pair)
        target_in(looked, work.job.pair)
        raise
    if first:
        return flight.saved_with(first)
    if flight.landed:
        copied: Changes = {"reindex_task_perc_complete": 1.0}
        return flight.saved_with(Done(copied, list(flight.changed.values()), flight.notes))
    return flight.saved_with(_onwards(work, flight))


async def _fly(flight: Flight, work: Work[Operation], cluster: Cluster) -> Outcome | None:
    """One round of the windows; an outcome where that has to be saved before anything else."""
    if work.maybe_sent or work.watch.unsure:
        await window_tasks.take_up(flight, cluster)
    await window_tasks.look(flight, cluster)
    if halts(work.job, flight, work.limit):
        return await halt(flight, work, cluster)
    if flight.waits:
        await throttle(flight, work, cluster)
        return None
    if any(window.attempt > 1 for window in flight.next_ones(work.limit)) and (
        missing := await _missing(work.job, cluster)
    ):
        flight.trouble = (
            HoldCause.SHARDS_AWAY,
            missing,
        )  # each task would wait a minute for the shard
        return None
    anew = await throttle(flight, work, cluster)
    if split_long(flight, flight.next_ones(work.limit), work.limits.window_seconds) or anew:
        return Again({}, list(flight.changed.values()), flight.notes, maybe_sent=anew)
    if small := _small(flight, work):
        await window_tasks.copy_at_once(flight, small, work, cluster)
    else:
        await _start(flight, work, cluster)
    return None


async def _missing(operation: Operation, cluster: Cluster) -> str | None:
    """Why the source cannot be read or the target not be written to now, or None."""
    assert operation.source is not None
    names = operation.source_name, operation.new_index_name
    for name, active in zip(
        names, await asyncio.gather(*map(cluster.shards.stats, names)), strict=True
    ):
        missing = [str(n) for n in range(operation.source.shards) if n not in active]
        if missing:
            return f"primary {', '.join(missing[:5])} of {name} is not active"
    return None


async def _start(flight: Flight, work: Work[Operation], cluster: Cluster) -> None:
    """As many windows as may be in flight, while there is room on the disks."""
    if _is_due(work):
        return
    following = flight.next_ones(work.limit)
    if following and (reason := await no_room_to_go_on(work, following, cluster)):
        flight.trouble = HoldCause.DISK_SPACE, reason
    else:
        await window_tasks.start(flight, work, cluster)


def _small(flight: Flight, work: Work[Operation]) -> list[Window]:
    """The next windows that are not worth a task, as many as may be in flight."""
    if _is_due(work):
        return []
    waiting = flight.next_ones(work.limit)
    share = work.limit.share(len(waiting))
    most = work.limits.synchronous_documents
    return [w for w in waiting if w.documents <= min(most, paced(w, share).size)]


def _is_due(work: Work[Operation]) -> bool:
    """True while what was copied in advance of the limit is not made up for yet."""
    return work.limit.requests_per_second is not None and work.allowance.due() > 0


def _onwards(work: Work[Operation], flight: Flight) -> Outcome:
    """What is worth saving, and when to look again."""
    running, now = flight.running, clock.now()
    changes: Changes = {"reindex_task_perc_complete": _fraction(work, flight)}
    if running:
        changes["reindex_task_id"] = max(running, key=_started).task_id
    changed = list(flight.changed.values())
    if hold := strained(work.limit):
        return replace(hold, changes=changes, windows=changed, notes=flight.notes)
    if flight.trouble and not running:
        return Hold(*flight.trouble, 1, changes, changed, flight.notes)
    if not running and (rest := flight.rested):
        reason = work.job.hold_reason or "a part of the copy rests before it runs again"
        return Hold(HoldCause.COPY_RUNS_AGAIN, reason, rest, changes, changed, flight.notes)
    looks = [_next_look(window, now) for window in running]
    if work.limit.requests_per_second and flight.next_ones(work.limit):
        looks.append(max(work.allowance.due(), FIRST_POLL))
    after = min(looks, default=FIRST_POLL)
    recent = clock.elapsed(work.job.updated_at) < SAVE_SECONDS
    if not flight.changed and recent:
        return Again(after=after, maybe_sent=flight.maybe_sent)
    shown = flight.changed | {window.number: window for window in running}
    after = 0.0 if _has_room(work, flight) else after
    return Again(
        changes, list(shown.values()), flight.notes, after=after, maybe_sent=flight.maybe_sent
    )


def _next_look(window: Window, now: datetime) -> float:
    """Seconds until a running window is worth another look: a share of its age, or just after it
    should have ended, by its speed so far."""
    age = (now - _started(window)).total_seconds()
    pause = age * GROWTH
    if window.seen and age > 0:
        left = (window.documents - window.seen) * age / window.seen
        pause = min(pause, left + age * MARGIN)
    return min(max(pause, age * MARGIN, FIRST_POLL), LAST_POLL)


def _has_room(work: Work[Operation], flight: Flight) -> bool:
    """True where the next window can be sent at once (small ones take several calls)."""
    return bool(_small(flight, work)) and not flight.trouble


def _started(window: Window) -> datetime:
    return clock.as_of_now(window.started_at) if window.started_at else clock.now()


def _fraction(work: Work[Operation], flight: Flight) -> float:
    """0 to 1 and never less than shown before (a window that runs again starts anew)."""
    now = fraction_done(list(flight.windows.values()))
    return max(now, work.job.reindex_task_perc_complete or 0.0)
