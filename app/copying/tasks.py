"""Copy tasks: which of an operation may still write, how they are ended, and what an ended one
says. Only positive proof is success."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

from app.domain.errors import (
    ClusterRefused,
    ClusterTrouble,
    DocumentsRefused,
    ReindexQueueError,
    TaskCancelled,
)
from app.domain.failure import MOST_DOCUMENTS, FailedDocument, counted
from app.domain.formatting import capped, duration_text
from app.domain.operation import Changes, Operation
from app.domain.windows import (
    LIGHTER,
    TaskRef,
    Watch,
    Window,
    WindowState,
    opaque_id,
    opaque_prefix,
)
from app.elastic.answers import RunningTask, TaskState
from app.elastic.cluster import Cluster, ClusterView
from app.elastic.errors import error_types, innermost, passes_by_itself, understanding
from app.jobs.phases import Work
from app.telemetry import logger

log = logger(__name__)

AWAY_SECONDS = 60.0
"""So long is a task waited for whose node has left the cluster: Elasticsearch itself waits as long
by default before it makes a node's shards anew. A node that is cut off from its master refuses
writes, so the task can write again only if the node comes back."""

SETTLE_SECONDS = 2.0
"""Where our header comes back, a start whose answer was lost is seen by it once it has arrived. It
is given so long to arrive before an index that it would write to is removed or put in use."""

HEADER_SECONDS = 5.0
"""So old may the knowledge be that our header comes back, where it is needed."""

OURS = "rq:"

HEADER_DROPPED = (
    "something before Elasticsearch drops or overwrites the header X-Opaque-Id: a copy whose start "
    "is not answered cannot be found by it, so it is waited for as long as it could still begin"
)
HEADER_REMEDY = "Let the proxy pass X-Opaque-Id on as it comes."


@dataclass(frozen=True)
class Found:
    """`running`: by header, id or description; `known`: those of them that we know by header or
    id, so that only the others may be somebody else's. Of the tasks whose id we had, `ended` are
    over, and of those that are `away` the node has left the cluster.
    """

    running: list[RunningTask]
    known: list[RunningTask]
    ended: list[TaskRef]
    away: list[TaskRef]

    @property
    def unknown(self) -> list[RunningTask]:
        return [task for task in self.running if task not in self.known]


async def tell_of_dropped_header(cluster: ClusterView) -> None:
    """Logs that copies cannot be found by their header, where that does not come back.

    Raises `ClusterTrouble`, `ClusterRefused`.
    """
    if not await cluster.tasks.header_comes_back():
        log.warning("header_dropped", finding=HEADER_DROPPED, remedy=HEADER_REMEDY)


def copies(description: str, operation: Operation) -> bool:
    """True where a task's description says from this source to this target.

    `reindex from [a] to [b]`; 7.17 adds `[_doc]`, a script is named in between (7.17, 8.19, 9.4).
    """
    source, target = operation.source_name, operation.new_index_name
    return description.startswith(f"reindex from [{source}]") and f" to [{target}]" in description


def is_of(window: Window, task: TaskState, operation: Operation) -> bool:
    """True where `task`, found by the window's id, is the window's and no stranger with its id."""
    if not task.is_copy or not copies(task.description, operation):
        return False
    if task.opaque_id.startswith(OURS) and task.opaque_id != opaque_id(operation.id, window):
        return False
    return window.task_started in (None, task.started)


def known_tasks(operation: Operation, windows: Iterable[Window]) -> list[TaskRef]:
    """The tasks we were given an id of and have not seen to have ended."""
    return [*(operation.loose_tasks or ()), *(ref for w in windows if (ref := task_of(w)))]


def task_of(window: Window) -> TaskRef | None:
    """The task that a running window waits for."""
    if window.state is not WindowState.RUNNING or window.task_id is None:
        return None
    return TaskRef(id=window.task_id, started=window.task_started)


async def look_for(
    operation: Operation, windows: Iterable[Window], cluster: ClusterView, *, loose: bool = False
) -> Found:
    """Asks every node which copies it runs. A known task that is not among them has ended where its
    node was in the cluster before and after.

    `loose`: the windows' own tasks are polled elsewhere, so only the loose ones are looked after.
    Raises `ClusterBusy` where a node did not answer.
    """
    refs = known_tasks(operation, windows)
    asked = list(operation.loose_tasks or ()) if loose else refs
    before = await cluster.nodes.ids() if asked else set[str]()
    running = [t for t in await cluster.tasks.copies_running() if _is_ours(t, operation, refs)]
    known = [t for t in running if _is_known(t, operation, refs)]
    missing = [ref for ref in asked if not any(ref.is_of(t.id, t.started) for t in known)]
    there = before & await cluster.nodes.ids() if missing else before
    ended = [ref for ref in missing if ref.node in there or await _left_a_result(ref, cluster)]
    return Found(running, known, ended, away=[ref for ref in missing if ref not in ended])


def _is_ours(task: RunningTask, operation: Operation, refs: Sequence[TaskRef]) -> bool:
    return copies(task.description, operation) or _is_known(task, operation, refs)


def _is_known(task: RunningTask, operation: Operation, refs: Sequence[TaskRef]) -> bool:
    if task.opaque_id.startswith(opaque_prefix(operation.id)):
        return True
    return copies(task.description, operation) and any(
        ref.is_of(task.id, task.started) for ref in refs
    )


async def _left_a_result(ref: TaskRef, cluster: ClusterView) -> bool:
    """True where a task of a node that is away had ended before: what it stored says so."""
    task = await cluster.tasks.get(ref.id)
    return task is not None and task.completed and ref.started == task.started


async def end(tasks: Sequence[RunningTask], cluster: Cluster) -> bool:
    """Cancels them, slices with their parents; False where there was none. It takes a moment."""
    ids = {task.id for task in tasks}
    for task in tasks:
        if task.parent not in ids:
            await cluster.tasks.cancel(task.id)
    return bool(tasks)


async def still_to_come(work: Work[Operation], found: Found, cluster: ClusterView) -> str | None:
    """Why a task that does not run now may run yet, in a sentence; None where none may."""
    for ref in found.away:
        if left := work.watch.away(ref, AWAY_SECONDS):
            return (
                f"a copy task ran on the node {ref.node}, which has left the cluster; this goes on "
                f"in {duration_text(left)} unless it comes back"
            )
    return await late_start(work.watch, cluster)


async def late_start(watch: Watch, cluster: ClusterView) -> str | None:
    """That a start whose answer was lost may still arrive; None, once, where none can any more."""
    if not watch.unsure:
        return None
    back = await cluster.tasks.header_comes_back(HEADER_SECONDS)
    left = watch.left(SETTLE_SECONDS if back else cluster.tasks.start_seconds)
    if left and not watch.all_arrived:
        return (
            "the answer to the start of a copy was lost; for another "
            f"{duration_text(left)} it may begin yet"
        )
    watch.settled()
    return None


async def may_write(work: Work[Operation], found: Found, cluster: ClusterView) -> str | None:
    """Why a copy task of this operation may still write, in a sentence; None where none may."""
    if found.running:
        return f"a copy task of this operation is still running: {found.running[0].id}"
    return await still_to_come(work, found, cluster)


async def end_returned(work: Work[Operation], cluster: Cluster) -> bool:
    """Cancels what has come back with its node after it was given up; False where nothing has.

    Asked again before what such a task must not overtake; no request where none was given up.
    """
    if not work.job.loose_tasks:
        return False
    return await end((await look_for(work.job, work.windows, cluster)).running, cluster)


def forget(operation: Operation, loose: Iterable[TaskRef]) -> Changes:
    """What is saved of the tasks that no window waits for: nothing where it is known already."""
    kept = list(dict.fromkeys(loose)) or None
    return {} if kept == operation.loose_tasks else {"loose_tasks": kept}


def may_have_begun(error: ReindexQueueError) -> bool:
    """True where the answer to a start was lost: the copy may have begun, or may yet."""
    if isinstance(error, ClusterRefused):
        return error.kind == "error"  # not Elasticsearch's own form: something before it said so
    return isinstance(error, ClusterTrouble) and not error.not_done


BY_A_PERSON = "by user request"
"""How a task says that it was cancelled through the task API; other reasons are Elasticsearch's."""

MOST_OF_A_REASON = 500

MOST_ATTEMPTS, MOST_SEARCHES = 3, 10
"""How often a window may fail by an error that may not pass, and by a search that did: a shard of
a scroll is lost with its node, and what it is told as tells nothing (8.19)."""

FEW_DOCUMENTS = 100
"""Smaller batches do not help a node whose queues are full."""

_PARTS = ("created", "updated", "deleted", "noops", "version_conflicts")


@dataclass(frozen=True)
class Rerun:
    """The window has to run again.

    `hold`: after a pause; `most_attempts`: after so many failures it is over, 0: no limit; `least`:
    with smaller batches, down to so many documents, each a `divisor`-th of those before.
    `too_heavy`: what a batch weighs is more than a node takes at all, so that one of a single
    document is never taken.
    """

    reason: str
    hold: bool = True
    most_attempts: int = 0
    least: int | None = None
    divisor: int = 2
    too_heavy: bool = False


def judge_task(task: TaskState) -> int | Rerun:
    """The documents the window handled, or why it runs again.

    An ended task looks like a success if only `failures` is read: it may carry an `error`, a
    cancellation or a time-out instead (7.17, 8.19, 9.4).

    Raises `Failure`, and `AnswerMisread` where the result is not one.
    """
    with understanding("a copy that has ended"):
        return _judged(task)


def _judged(task: TaskState) -> int | Rerun:
    response = task.response
    if task.error is not None:
        return _of_error(task.error)
    if response.get("canceled") == BY_A_PERSON:
        raise TaskCancelled
    if response.get("canceled"):
        why = capped(str(response["canceled"]), MOST_OF_A_REASON)
        return Rerun(f"its task was cancelled: {why}")
    failures = cast(Sequence[Mapping[str, Any]], response.get("failures") or ())
    if failures:
        return _of_failures(failures)
    if response.get("timed_out") is not False:
        return Rerun("its task timed out or left no result", most_attempts=MOST_ATTEMPTS)
    total = int(response.get("total", -1))
    if total != sum(int(response.get(part) or 0) for part in _PARTS):
        return Rerun("its counts do not add up", most_attempts=MOST_ATTEMPTS)
    return total


def _of_error(error: Mapping[str, Any]) -> Rerun:
    """Its own type may say no more than that a search has failed."""
    kinds = error_types(error) or ["None"]
    inside = innermost(error)
    shown = f"{kinds[0]} ({inside.kind})" if inside and inside.kind != kinds[0] else kinds[0]
    reason = capped(inside.reason if inside else str(error.get("reason")), MOST_OF_A_REASON)
    if _too_heavy(reason):
        return Rerun(f"{shown}: {reason}", least=1, divisor=LIGHTER, too_heavy=True)
    return Rerun(
        f"{shown}: {reason}",
        most_attempts=0 if any(map(passes_by_itself, kinds)) else MOST_ATTEMPTS,
        least=_least(kinds),
    )


def _of_failures(failures: Sequence[Mapping[str, Any]]) -> Rerun:
    kinds = [_kind(failure) for failure in failures]
    lasting = [f for f in failures if not (_passes(f) or _is_search(f))]
    if lasting:
        first = _refused(lasting[0])
        raise DocumentsRefused(
            f"Reindexing failed: {len(failures)} documents or searches were refused, the first "
            f"because of {first.type}: {first.reason}",
            [_refused(failure) for failure in lasting[:MOST_DOCUMENTS]],
            counted(kinds),
        )
    odd = [failure for failure in failures if not _passes(failure)]
    first = _refused((odd or failures)[0])
    nested = [kind for failure in failures for kind in error_types(_cause(failure))]
    limit = MOST_SEARCHES if odd else 0
    if not odd and _too_heavy(first.reason):
        return Rerun(f"{first.type}: {first.reason}", least=1, divisor=LIGHTER, too_heavy=True)
    return Rerun(f"{first.type}: {first.reason}", most_attempts=limit, least=_least(nested))


_WEIGHED = re.compile(r"_operation_bytes=(\d+), max_\w+=(\d+)")


def _too_heavy(reason: str) -> bool:
    """True where a write is refused because it alone is more than all writes may be together.

    `rejected execution of coordinating operation [coordinating_and_primary_bytes=0, …,
    coordinating_operation_bytes=80593088, max_coordinating_bytes=51897958]` (8.19): a tenth of the
    heap, `indexing_pressure.memory.limit`.
    """
    found = _WEIGHED.search(reason)
    return found is not None and int(found[1]) > int(found[2])


def _least(kinds: Sequence[str]) -> int | None:
    """Down to how many documents a batch is to be made smaller; None where that is no matter."""
    if "circuit_breaking_exception" in kinds:
        return 1
    return FEW_DOCUMENTS if "es_rejected_execution_exception" in kinds else None


def _is_search(failure: Mapping[str, Any]) -> bool:
    """True for one of reading, not of a document: it has a `reason` with a type, and no `cause`."""
    return isinstance(failure.get("reason"), Mapping) and "cause" not in failure


def _refused(failure: Mapping[str, Any]) -> FailedDocument:
    given = failure.get("id")
    if _is_search(failure) and (inside := innermost(failure)):
        return FailedDocument.of(None, inside.kind, inside.reason)
    return FailedDocument.of(
        None if given is None else str(given),
        _kind(failure),
        str(_cause(failure).get("reason", "no reason given")),
    )


def _passes(failure: Mapping[str, Any]) -> bool:
    """A disk that is nearly full blocks an index (`cluster_block_exception`) with 429; other blocks
    come with 403."""
    kinds = error_types(_cause(failure))
    return any(map(passes_by_itself, kinds)) or failure.get("status") == 429


def _kind(failure: Mapping[str, Any]) -> str:
    return str(_cause(failure).get("type", "unknown"))


def _cause(failure: Mapping[str, Any]) -> Mapping[str, Any]:
    return failure.get("cause") or failure.get("reason") or {}
