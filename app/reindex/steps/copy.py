"""Steps 40 and 50: the copy, window by window, each its own `_reindex` task."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from typing import Any

from app.domain.errors import Failure
from app.domain.operation import Again, Done, Hold, Note, Operation, Outcome, Step, Work
from app.domain.windows import (
    Window,
    WindowState,
    cut,
    cuts_needed,
    fraction_done,
    opaque_id,
    opaque_prefix,
)
from app.elastic.answers import ShardStats
from app.elastic.cluster import Cluster
from app.reindex.steps.copy_result import Rerun, judge
from app.reindex.steps.prove import prove

FIRST_POLL, LAST_POLL, GROWTH = 0.025, 2.0, 0.4
"""Seconds between two looks at a task: a share of its age, so each pause is 1.4 times the last."""
LONGEST_PAUSE = 30.0
"""Seconds before a window runs again that did not succeed; from the second time on, doubling."""
SAVE_SECONDS = 1.0
"""Progress of a running window is saved no more often than that."""


async def plan_copy(work: Work, cluster: Cluster) -> Outcome:
    """Cuts each shard's range of sequence numbers into windows of about the same size.

    The source stands still, so `_seq_no` is a stable coordinate; the windows are saved before the
    first one is sent.
    """
    operation = work.operation
    assert operation.source is not None
    assert operation.source_seq_nos is not None
    stats = await cluster.shard_stats(operation.index_name)
    if len(stats) < operation.source.shards:
        return Hold(f"not all primaries of {operation.index_name} are active")
    windows: list[Window] = []
    for shard in sorted(stats):
        boundaries = await _boundaries(work, shard, stats[shard], cluster)
        if stats[shard].documents:
            windows += cut(shard, len(windows), stats[shard].documents, boundaries)
    return Done(
        {"last_completed_step": Step.REINDEX_STARTED, "reindex_task_perc_complete": 0.0},
        windows=windows,
    )


async def _boundaries(work: Work, shard: int, stats: ShardStats, cluster: Cluster) -> list[int]:
    source = work.operation.source
    cuts = cuts_needed(stats.documents, work.limits.window_documents)
    if not cuts or not (source and source.searchable_seq_nos):
        return []
    percents = [100 * (n + 1) / (cuts + 1) for n in range(cuts)]
    index = work.operation.index_name
    estimated = await cluster.percentiles_of_seq_no(index, shard, percents)
    return [math.ceil(value) for value in estimated if math.isfinite(value)]


async def copy(work: Work, cluster: Cluster) -> Outcome:
    """Works off the next window; when all are done, proves the copy."""
    window = next((w for w in work.windows if w.state is not WindowState.DONE), None)
    if window is None:
        return await prove(work, cluster)
    if window.task_id is None:
        if work.doubt:
            window = await _adopt(work, window, cluster)
        if window.task_id is None:
            window = await _start(work, window, cluster)
        return Again({"reindex_task_id": window.task_id}, [window], after=FIRST_POLL)
    return await _poll(work, window, cluster)


async def _adopt(work: Work, window: Window, cluster: Cluster) -> Window:
    """The window with the task that is running for it already, if there is one."""
    wanted = opaque_id(work.operation.id, window)
    for task in await cluster.copies_running(opaque_prefix(work.operation.id)):
        if task.opaque_id == wanted:
            return _running(window, task.id)
    return window


async def _start(work: Work, window: Window, cluster: Cluster) -> Window:
    task_id = await cluster.start_copy(request(work, window), opaque_id(work.operation.id, window))
    return _running(window, task_id)


def _running(window: Window, task_id: str) -> Window:
    return window.model_copy(
        update={"state": WindowState.RUNNING, "task_id": task_id, "started_at": datetime.now(UTC)}
    )


def request(work: Work, window: Window) -> dict[str, Any]:
    """The `_reindex` body of one window.

    External versions keep the documents' versions and make a second run write nothing (its
    conflicts are counted, not fatal). A time series takes no versions: there `create` does that.
    A slice with as many parts as shards reads one shard.
    """
    operation = work.operation
    assert operation.source is not None
    bounds = {"gte": window.from_seq_no, "lt": window.to_seq_no}
    bounds = {key: value for key, value in bounds.items() if value is not None}
    source: dict[str, Any] = {
        "index": operation.index_name,
        "size": work.limits.batch_documents,
        "query": {"range": {"_seq_no": bounds}} if bounds else {"match_all": {}},
    }
    if operation.source.shards > 1:
        source["slice"] = {"id": window.shard, "max": operation.source.shards}
    once = {"op_type": "create"} if operation.source.time_series else {"version_type": "external"}
    return {
        "conflicts": "proceed",
        "source": source,
        "dest": {"index": operation.new_index_name, "pipeline": "_none", **once},
    }


async def _poll(work: Work, window: Window, cluster: Cluster) -> Outcome:
    assert window.task_id is not None
    task = await cluster.task(window.task_id)
    if task is None:
        return await _vanished(work, window, cluster)
    if not task.completed:
        return _progress(work, window.model_copy(update={"seen": task.handled}))
    verdict = judge(task)
    if isinstance(verdict, Rerun):
        return _run_again(work.operation, window, verdict)
    done = window.model_copy(
        update={"state": WindowState.DONE, "seen": verdict, "ended_at": datetime.now(UTC)}
    )
    return Again({"reindex_task_perc_complete": _fraction(work, done)}, [done])


async def _vanished(work: Work, window: Window, cluster: Cluster) -> Outcome:
    """Nobody knows the task: its node went away. It is looked for, else the window runs again.

    Where that is not the first time, `.tasks` may not take results (it is blocked, or cannot be
    made): then each try is paused for longer.
    """
    found = await _adopt(work, window.model_copy(update={"task_id": None}), cluster)
    if found.task_id is not None:
        return Again({"reindex_task_id": found.task_id}, [found], after=FIRST_POLL)
    lost = Rerun(f"its task {window.task_id} is gone", hold=False)
    if window.attempt > 1:
        lost = Rerun("its task left no result in the index .tasks; can that be written to?")
    return _run_again(work.operation, window, lost)


def _run_again(operation: Operation, window: Window, verdict: Rerun) -> Outcome:
    if verdict.most_attempts and window.attempt >= verdict.most_attempts:
        raise Failure("copy_failed", f"Reindexing failed: {verdict.reason}")
    again = window.model_copy(
        update={
            "state": WindowState.PLANNED,
            "attempt": window.attempt + 1,
            "task_id": None,
            "seen": 0,
        }
    )
    note = Note(
        what="window runs again",
        index=operation.index_name,
        text=f"window {window.number}, attempt {again.attempt}: {verdict.reason}",
    )
    if verdict.hold:
        reason = f"a part of the copy runs again: {verdict.reason}"
        pause: float = min(LONGEST_PAUSE, 2.0 ** min(again.attempt - 2, 5))
        return Hold(reason, pause, {}, [again], [note])
    return Again({}, [again], [note])


def _progress(work: Work, window: Window) -> Outcome:
    now = datetime.now(UTC)
    age = (now - (window.started_at or now)).total_seconds()
    after = min(max(age * GROWTH, FIRST_POLL), LAST_POLL)
    if (now - work.operation.updated_at).total_seconds() < SAVE_SECONDS:
        return Again(after=after)
    return Again({"reindex_task_perc_complete": _fraction(work, window)}, [window], after=after)


def _fraction(work: Work, changed: Window) -> float:
    """0 to 1 and never less than shown before (a window that runs again starts anew)."""
    now = fraction_done([changed if w.number == changed.number else w for w in work.windows])
    return max(now, work.operation.reindex_task_perc_complete or 0.0)
