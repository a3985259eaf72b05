"""The tasks of windows at the cluster: their `_reindex` is sent, looked for, looked at, slowed
down and ended."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

from app.copying import tasks
from app.copying.flight import Flight, run_by
from app.copying.tasks import Rerun
from app.copying.throttling import REST_SECONDS, paced, scroll_for
from app.domain import clock
from app.domain.errors import ClusterRefused, ClusterTrouble, ReindexQueueError
from app.domain.holds import HoldCause
from app.domain.operation import Operation
from app.domain.windows import LIGHTER, TaskRef, Window, WindowState, opaque_id
from app.elastic.answers import TaskState
from app.elastic.cluster import Cluster
from app.elastic.errors import OF_SHARDS
from app.jobs.phases import Work


def body(operation: Operation, window: Window) -> dict[str, Any]:
    """External versions keep the documents' versions and make a second run write nothing (its
    conflicts are counted, not fatal). A time series takes no versions: there `create` does that. A
    slice with as many parts as shards reads one shard; where those are forbidden, a window is a
    range of sequence numbers of all shards.
    """
    assert operation.source is not None
    bounds = {"gte": window.from_seq_no, "lt": window.to_seq_no}
    bounds = {key: value for key, value in bounds.items() if value is not None}
    source: dict[str, Any] = {
        "index": operation.source_name,
        "size": window.size,
        "query": {"range": {"_seq_no": bounds}} if bounds else {"match_all": {}},
    }
    if operation.source.shards > 1 and operation.source.sliced:
        source["slice"] = {"id": window.shard, "max": operation.source.shards}
    once = {"op_type": "create"} if operation.source.time_series else {"version_type": "external"}
    return {
        "conflicts": "proceed",
        "source": source,
        "dest": {"index": operation.new_index_name, "pipeline": "_none", **once},
    }


MOST_LIGHTER = 4
"""So many times a window that is copied at once is made smaller: then it goes by single documents.
"""


async def take_up(flight: Flight, cluster: Cluster) -> None:
    """After an answer may have been lost: a task that is running already is its window's, and one
    that no window knows is ended.

    Where our header does not come back, a start whose answer was lost cannot be told from the
    copy of somebody else: no window is started until none of them runs, or can begin.
    """
    found = await _look_for(flight, cluster)
    for task in found.known:
        flight.adopt(task)
    await _end_strays(flight, found, cluster)
    if not flight.watch.unsure:
        return
    for task in found.unknown:
        flight.watch.arrived(TaskRef(id=task.id, started=task.started))
    if found.unknown:
        why = f"a copy whose start was not answered is still running: {found.unknown[0].id}"
    else:
        why = await tasks.late_start(flight.watch, cluster)
    if why and not await cluster.tasks.header_comes_back(tasks.HEADER_SECONDS):
        flight.trouble, flight.waits = (HoldCause.TASK_RUNNING, why), True


async def _look_for(flight: Flight, cluster: Cluster) -> tasks.Found:
    """As `tasks.look_for`; the loose ones that are seen to have ended are forgotten."""
    operation = flight.operation.model_copy(update={"loose_tasks": flight.loose})
    found = await tasks.look_for(operation, flight.windows.values(), cluster, loose=True)
    flight.loose = [task for task in flight.loose if task not in found.ended]
    return found


async def look(flight: Flight, cluster: Cluster) -> None:
    """Asks for every running task; the ended ones are done, or have to run again.

    Raises `Failure` where running again would not help.
    """
    running = flight.running
    answers = await asyncio.gather(*(_task(window, cluster) for window in running))
    for window, task in zip(running, answers, strict=True):
        if task is None or not tasks.is_of(window, task, flight.operation):
            await _vanished(flight, window, cluster)
        elif not task.completed:
            # Seen, but not `put`: progress alone is no reason to save.
            seen = {"seen": task.handled, "task_started": task.started}
            flight.windows[window.number] = window.model_copy(update=seen)
        else:
            flight.settle(window, task)


async def _task(window: Window, cluster: Cluster) -> TaskState | None:
    assert window.task_id is not None
    return await cluster.tasks.get(window.task_id)


async def _vanished(flight: Flight, window: Window, cluster: Cluster) -> None:
    """Nobody knows the task: its node went away. It is looked for, else the window runs again.

    Where that is not the first time, `.tasks` may not take results (it is blocked, or cannot be
    made): then the window rests before each try.
    """
    planned = window.model_copy(update={"state": WindowState.PLANNED})
    flight.windows[window.number] = planned
    for found in (await _look_for(flight, cluster)).known:
        flight.adopt(found)
    if flight.windows[window.number] is not planned:
        return
    task = TaskRef(id=window.task_id or "", started=window.task_started)
    uptime = await cluster.nodes.uptime(task.node)
    if uptime is None:
        # A node that was cut off keeps its tasks, and may come back with this one.
        flight.loose.append(task)
        flight.watch.away(task, tasks.AWAY_SECONDS)
    if uptime is not None and uptime >= clock.elapsed(window.started_at or clock.now()):
        lost = Rerun("its task left no result in the index .tasks; can that be written to?")
        if not window.failures:
            lost = Rerun(f"its task {window.task_id} is gone", hold=False)
        flight.run_again(window, lost)
        return
    text = f"the node of its task {window.task_id} is gone or was started again"
    flight.run_again(window, Rerun(text, hold=False, least=1, divisor=LIGHTER))
    flight.lighten_the_others(window)


async def start(flight: Flight, work: Work[Operation], cluster: Cluster) -> None:
    """Starts tasks until as many windows are in flight as the pace allows, or Elasticsearch will
    not take one now.

    The order in which effects and saves come is safe: a task whose id was not saved is found by
    its `X-Opaque-Id`.
    """
    limit, wanted = work.limit, flight.next_ones(work.limit)
    if any(window.attempt > 1 for window in wanted):
        # An earlier attempt that still runs would write the same documents, and cost twice.
        await end_strays(flight, cluster)
    share = limit.share(len(flight.running) + len(wanted))
    longest = await cluster.nodes.longest_rest(REST_SECONDS) if wanted else None
    for window in wanted:
        if limit.requests_per_second and work.allowance.due():
            return
        sent, at = paced(window, share), clock.boot_seconds()
        try:
            task_id = await cluster.tasks.start_copy(
                body(flight.operation, sent),
                opaque_id(flight.operation.id, sent),
                share,
                scroll_for(share, longest),
            )
        except ReindexQueueError as error:
            _not_answered(flight, error, at)
            if not isinstance(error, ClusterTrouble):
                raise
            flight.trouble, flight.maybe_sent = (error.cause, error.message), True
            return
        flight.forget_number(task_id)
        if limit.requests_per_second:
            work.allowance.take(min(sent.size, sent.documents), limit.rate_together)
        flight.put(run_by(sent, task_id))


def _not_answered(flight: Flight, error: ReindexQueueError, sent: float) -> None:
    """`sent`: when, by the boot clock. Nothing where it was surely not begun."""
    if tasks.may_have_begun(error):
        flight.watch.lost(sent)


async def copy_at_once(
    flight: Flight, windows: Sequence[Window], work: Work[Operation], cluster: Cluster
) -> None:
    """Copies small windows, each by a request that waits for its end.

    After trouble they take less at a time, since that request may have killed its node. Raises
    `ClusterTrouble` where an answer was lost: then its task may still run.
    """
    if work.job.attempts:
        divisor = LIGHTER ** min(work.job.attempts, MOST_LIGHTER)
        windows = [window.lighter(divisor) for window in windows]
    if work.limit.requests_per_second:
        work.allowance.take(sum(window.documents for window in windows), work.limit.rate_together)
    scroll = scroll_for(None, await cluster.nodes.longest_rest(REST_SECONDS))
    copies = [_copy_now(flight, window, scroll, cluster) for window in windows]
    answers = await asyncio.gather(*copies, return_exceptions=True)
    # All have ended by now. An error that was raised sooner would leave the others running unseen.
    for error in answers:
        if isinstance(error, BaseException):
            raise error
    for window, task in zip(windows, answers, strict=True):
        assert isinstance(task, TaskState)
        flight.settle(flight.windows[window.number], task)


async def _copy_now(
    flight: Flight, window: Window, scroll: str | None, cluster: Cluster
) -> TaskState:
    started, sent = clock.now(), clock.boot_seconds()
    try:
        task = await cluster.tasks.copy_now(
            body(flight.operation, window), opaque_id(flight.operation.id, window), scroll
        )
    except ReindexQueueError as error:
        _not_answered(flight, error, sent)
        if not isinstance(error, ClusterRefused) or error.kind != OF_SHARDS:
            raise
        # What a task would store as its error is answered as an error of the request here: it is
        # judged as a task's, for the window may only have to run again.
        kind, _, reason = error.reason.partition(": ")
        told = {"type": error.kind, "caused_by": {"type": kind, "reason": reason}}
        task = TaskState(completed=True, status={}, response={}, error=told)
    flight.windows[window.number] = window.model_copy(update={"started_at": started})
    return task


async def end_strays(flight: Flight, cluster: Cluster) -> None:
    """Cancels tasks of this operation that no window knows: those that were stopped."""
    await _end_strays(flight, await _look_for(flight, cluster), cluster)


async def _end_strays(flight: Flight, found: tasks.Found, cluster: Cluster) -> None:
    """A copy that only its description makes ours may be somebody else's: it is left alone."""
    await tasks.end([t for t in found.known if not flight.awaits(t)], cluster)


async def end_all(flight: Flight, cluster: Cluster) -> tasks.Found:
    """Cancels every copy from this source to this target that is still running."""
    found = await _look_for(flight, cluster)
    await tasks.end(found.running, cluster)
    return found
