"""The windows in flight: starting their tasks, looking at them, and what an ended one says."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

from app.copying import tasks
from app.copying.request import body
from app.copying.result import Rerun, judge
from app.copying.throttling import (
    anew_note,
    ill_sized,
    paced,
    same,
    scroll_for,
    wanted_rate,
)
from app.domain import clock
from app.domain.errors import ClusterRefused, ClusterTrouble, Failure, ReindexQueueError
from app.domain.events import EventKind, Note
from app.domain.holds import HoldCause
from app.domain.operation import Operation
from app.domain.pace import Limit
from app.domain.tasks import TaskRef, Watch
from app.domain.windows import LIGHTER, Window, WindowState, in_turn, opaque_id
from app.elastic.answers import RunningTask, TaskState
from app.elastic.cluster import Cluster
from app.elastic.errors import OF_SHARDS
from app.jobs.phases import Outcome, Work

MOST_SCROLLS = 250
"""Search contexts that the copy keeps open; a node has 500 for everybody (7.17, 8.19, 9.4)."""
LONGEST_PAUSE = 30.0
REST_SECONDS = 60.0
"""So old may be what is known of how long search contexts may rest."""
MOST_LIGHTER = 4
"""So many times a window that is copied at once is made smaller: then it goes by single documents.
"""


@dataclass
class Flight:
    """The windows of an operation in one call of the phase `copy`.

    `changed` and `notes` are to be saved. `trouble` is why a window could not be started or has to
    run again after a pause; `maybe_sent`: a task may have been started, or not be ended, of which
    no window knows; `waits`: nothing may be started now, since such a task may be copying. `loose`:
    as `Operation.loose_tasks`.
    """

    operation: Operation
    windows: dict[int, Window]
    watch: Watch
    loose: list[TaskRef]
    changed: dict[int, Window] = field(default_factory=dict[int, Window])
    notes: list[Note] = field(default_factory=list[Note])
    trouble: tuple[HoldCause, str] | None = None
    maybe_sent: bool = False
    waits: bool = False

    @classmethod
    def of(cls, work: Work[Operation]) -> Flight:
        windows = {window.number: window for window in work.windows}
        return cls(work.job, windows, work.watch, [*(work.job.loose_tasks or ())])

    def put(self, window: Window) -> None:
        self.windows[window.number] = self.changed[window.number] = window

    def give_up(self, window: Window) -> Window:
        """Itself as it runs again; its task is not forgotten before it is seen to have ended."""
        if task := tasks.task_of(window):
            self.loose.append(task)
        self.put(again := window.to_run_again())
        return again

    def saved_with(self, outcome: Outcome) -> Outcome:
        """`outcome`, with the tasks that no window waits for."""
        changes = tasks.forget(self.operation, self.loose)
        return replace(outcome, changes={**outcome.changes, **changes})

    @property
    def running(self) -> list[Window]:
        return [w for w in self.windows.values() if w.state is WindowState.RUNNING]

    @property
    def waiting(self) -> list[Window]:
        """Those to be started, in the order of their turn; one that failed rests for a while."""
        now = clock.now()
        return [
            window
            for window in in_turn(list(self.windows.values()))
            if window.state is WindowState.PLANNED and _rests_until(window) <= now
        ]

    def next_ones(self, limit: Limit) -> list[Window]:
        """Those for which there is room in flight now."""
        assert self.operation.source is not None
        scrolls = max(1, MOST_SCROLLS // limit.copying // self.operation.source.shards)
        room = min(limit.windows_in_flight, scrolls) - len(self.running)
        return self.waiting[: max(0, room)]

    @property
    def rested(self) -> float:
        """Seconds until the first of those that have to run again may."""
        planned = [w for w in self.windows.values() if w.state is WindowState.PLANNED]
        first = min(map(_rests_until, planned), default=datetime.min.replace(tzinfo=UTC))
        return max(0.0, (first - clock.now()).total_seconds())

    @property
    def landed(self) -> bool:
        return all(window.state is WindowState.DONE for window in self.windows.values())


def _rests_until(window: Window) -> datetime:
    """A window that has failed rests 1, 2, 4 … seconds before it runs again."""
    if window.ended_at is None or not window.failures:
        return datetime.min.replace(tzinfo=UTC)
    seconds = min(LONGEST_PAUSE, 2.0 ** min(window.failures - 1, 5))
    return clock.as_of_now(window.ended_at) + timedelta(seconds=seconds)


async def take_up(flight: Flight, cluster: Cluster) -> None:
    """After an answer may have been lost: a task that is running already is its window's, and one
    that no window knows is ended.

    Where our header does not come back, a start whose answer was lost cannot be told from the
    copy of somebody else: no window is started until none of them runs, or can begin.
    """
    found = await _look_for(flight, cluster)
    for task in found.known:
        _adopt(flight, task)
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


def _adopt(flight: Flight, task: RunningTask) -> None:
    """A window that waits for its turn has this task, where that bears its header."""
    for window in flight.windows.values():
        planned = window.state is WindowState.PLANNED
        if planned and task.opaque_id == opaque_id(flight.operation.id, window):
            flight.put(_running(window, task.id, task.started))
            return


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
            seen = {"seen": task.handled, "task_started": task.started}
            flight.windows[window.number] = window.model_copy(update=seen)
        else:
            _ended(flight, window, task)


async def start(flight: Flight, work: Work[Operation], cluster: Cluster) -> None:
    """Starts tasks until as many windows are in flight as the pace allows, or Elasticsearch will
    not take one now.

    The order in which effects and saves come is safe: a task whose id was not saved is found by
    its `X-Opaque-Id`.
    """
    limit, wanted = work.limit, flight.next_ones(work.limit)
    if any(window.attempt > 1 for window in wanted):
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
        _number_used_again(flight, task_id)
        if limit.requests_per_second:
            work.allowance.take(min(sent.size, sent.documents), limit.rate_together)
        flight.put(_running(sent, task_id))


async def throttle(flight: Flight, work: Work[Operation], cluster: Cluster) -> bool:
    """Changes the speed of the running tasks where the pace asks for another than before.

    A task that somebody slowed down by hand is left so until then. True where the batches of one do
    not suit the pace: it is to run again, which must be saved before its task is cancelled.
    """
    sharing = len(flight.running) + len(flight.next_ones(work.limit))
    longest = await cluster.nodes.longest_rest(REST_SECONDS) if flight.running else None
    anew: list[Window] = []
    for window in flight.running:
        rate = wanted_rate(work, window, sharing, longest)
        if same(window.rate, rate):
            continue
        if ill_sized(work, window, rate, longest):
            anew.append(window)
        else:
            await cluster.tasks.throttle(window.task_id or "", rate, window.rate)
            flight.put(window.model_copy(update={"rate": rate}))
    for window in anew:
        flight.give_up(window)
        flight.notes.append(anew_note(window))
    return bool(anew)


def _not_answered(flight: Flight, error: ReindexQueueError, sent: float) -> None:
    """`sent`: when, by the boot clock. Nothing where it was surely not begun."""
    if tasks.may_have_begun(error):
        flight.watch.lost(sent)


def _number_used_again(flight: Flight, task_id: str) -> None:
    """A node counts from the beginning after a restart, so whatever had that number has ended."""
    flight.loose = [task for task in flight.loose if task.id != task_id]
    for window in flight.running:
        if window.task_id == task_id:
            flight.put(window.to_run_again())


async def end_strays(flight: Flight, cluster: Cluster) -> None:
    """Cancels tasks of this operation that no window knows: those that were stopped."""
    await _end_strays(flight, await _look_for(flight, cluster), cluster)


async def _end_strays(flight: Flight, found: tasks.Found, cluster: Cluster) -> None:
    """A copy that only its description makes ours may be somebody else's: it is left alone."""
    await tasks.end([t for t in found.known if not _is_awaited(flight, t)], cluster)


async def end_all(flight: Flight, cluster: Cluster) -> tasks.Found:
    """Cancels every copy from this source to this target that is still running."""
    found = await _look_for(flight, cluster)
    await tasks.end(found.running, cluster)
    return found


def _is_awaited(flight: Flight, task: RunningTask) -> bool:
    """A window waits for it: by its id, or by its header where that came back."""
    for window in flight.windows.values():
        if task.opaque_id == opaque_id(flight.operation.id, window):
            return True
        ref = tasks.task_of(window)
        if ref and ref.is_of(task.id, task.started):
            return True
    return False


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
    operation, rate = flight.operation, work.limit.requests_per_second
    if rate:
        work.allowance.take(sum(window.documents for window in windows), work.limit.rate_together)

    scroll = scroll_for(None, await cluster.nodes.longest_rest(REST_SECONDS))

    async def one(window: Window) -> TaskState:
        started, sent = clock.now(), clock.boot_seconds()
        try:
            task = await cluster.tasks.copy_now(
                body(operation, window), opaque_id(operation.id, window), scroll
            )
        except ReindexQueueError as error:
            _not_answered(flight, error, sent)
            if not isinstance(error, ClusterRefused) or error.kind != OF_SHARDS:
                raise
            kind, _, reason = error.reason.partition(": ")
            told = {"type": error.kind, "caused_by": {"type": kind, "reason": reason}}
            task = TaskState(completed=True, status={}, response={}, error=told)
        flight.windows[window.number] = window.model_copy(update={"started_at": started})
        return task

    answers = await asyncio.gather(*map(one, windows), return_exceptions=True)
    for error in answers:  # not before all have ended: none is left running unseen
        if isinstance(error, BaseException):
            raise error
    for window, task in zip(windows, answers, strict=True):
        assert isinstance(task, TaskState)
        _ended(flight, flight.windows[window.number], task)


def _running(window: Window, task_id: str, started: int | None = None) -> Window:
    return window.model_copy(
        update={
            "state": WindowState.RUNNING,
            "task_id": task_id,
            "task_started": started,
            "started_at": clock.now(),
        }
    )


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
        _adopt(flight, found)
    if flight.windows[window.number] is not planned:
        return
    task = TaskRef(id=window.task_id or "", started=window.task_started)
    uptime = await cluster.nodes.uptime(task.node)
    if uptime is None:  # it may come back with its node
        flight.loose.append(task)
        flight.watch.away(task, tasks.AWAY_SECONDS)
    if uptime is not None and uptime >= clock.elapsed(window.started_at or clock.now()):
        lost = Rerun("its task left no result in the index .tasks; can that be written to?")
        if not window.failures:
            lost = Rerun(f"its task {window.task_id} is gone", hold=False)
        _run_again(flight, window, lost)
        return
    text = f"the node of its task {window.task_id} is gone or was started again"
    _run_again(flight, window, Rerun(text, hold=False, least=1, divisor=LIGHTER))
    _lighten_the_others(flight, window)


def _lighten_the_others(flight: Flight, lost: Window) -> None:
    """What a task takes at a time may have killed its node. Unless as much was taken before and the
    node lived, those that are still to come take no more than the lost one does from now on."""
    least = flight.windows[lost.number].batch
    others = list(flight.windows.values())
    if any(w.state is WindowState.DONE and w.at_once >= lost.at_once for w in others):
        return
    for other in others:
        if other.state is WindowState.PLANNED and other.at_once > least:
            flight.put(other.model_copy(update={"batch": least}))


def _ended(flight: Flight, window: Window, task: TaskState) -> None:
    verdict = judge(task)
    if isinstance(verdict, Rerun):
        _run_again(flight, window, verdict)
        return
    done = {"state": WindowState.DONE, "seen": verdict, "ended_at": clock.now()}
    flight.put(window.model_copy(update=done))


def _run_again(flight: Flight, window: Window, verdict: Rerun) -> None:
    failures, least = window.failures + 1, verdict.least
    if verdict.most_attempts and failures >= verdict.most_attempts:
        raise Failure("copy_failed", f"Reindexing failed: {verdict.reason}")
    if verdict.too_heavy and window.size == 1:
        raise Failure(
            "document_too_heavy",
            f"Reindexing failed: a single document is more than a node takes: {verdict.reason}. "
            "Give the nodes more heap or raise indexing_pressure.memory.limit, then post the index "
            "again.",
        )
    again = window if least is None else window.lighter(verdict.divisor, least)
    again = again.to_run_again().model_copy(
        update={"failures": failures, "ended_at": clock.now() if verdict.hold else None}
    )
    flight.put(again)
    flight.notes.append(
        Note(
            what=EventKind.WINDOW_RUNS_AGAIN,
            index=flight.operation.index_name,
            text=f"window {window.number}, attempt {again.attempt}: {verdict.reason}",
        )
    )
    if verdict.hold:
        text = f"a part of the copy runs again: {verdict.reason}"
        flight.trouble = HoldCause.COPY_RUNS_AGAIN, text
