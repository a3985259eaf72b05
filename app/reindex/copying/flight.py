"""The windows in flight: starting their tasks, looking at them, and what an ended one says."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from app.domain.errors import ClusterTrouble, Failure
from app.domain.operation import Note, Operation, Work
from app.domain.windows import Window, WindowState, in_turn, opaque_id, opaque_prefix
from app.elastic.answers import TaskState
from app.elastic.cluster import Cluster
from app.reindex.copying.request import body
from app.reindex.copying.result import Rerun, judge

MOST_SCROLLS = 250
"""Search contexts that the copy keeps open; a node has 500 for everybody (7.17, 8.19, 9.4)."""
LONGEST_PAUSE = 30.0


@dataclass
class Flight:
    """The windows of an operation during one turn: `changed` and `notes` are to be saved.

    `trouble` is why a window could not be started or has to run again after a pause.
    """

    operation: Operation
    windows: dict[int, Window]
    changed: dict[int, Window] = field(default_factory=dict[int, Window])
    notes: list[Note] = field(default_factory=list[Note])
    trouble: str | None = None

    @classmethod
    def of(cls, work: Work) -> Flight:
        return cls(work.operation, {window.number: window for window in work.windows})

    def put(self, window: Window) -> None:
        self.windows[window.number] = self.changed[window.number] = window

    @property
    def running(self) -> list[Window]:
        return [w for w in self.windows.values() if w.state is WindowState.RUNNING]

    @property
    def waiting(self) -> list[Window]:
        """Those to be started, in the order of their turn; one that failed rests for a while."""
        now = datetime.now(UTC)
        return [
            window
            for window in in_turn(list(self.windows.values()))
            if window.state is WindowState.PLANNED and _rests_until(window) <= now
        ]

    @property
    def landed(self) -> bool:
        return all(window.state is WindowState.DONE for window in self.windows.values())


def _rests_until(window: Window) -> datetime:
    """A window that has to run again rests 1, 2, 4 … seconds after its last attempt."""
    if window.ended_at is None or window.attempt == 1:
        return datetime.min.replace(tzinfo=UTC)
    seconds = min(LONGEST_PAUSE, 2.0 ** min(window.attempt - 2, 5))
    return window.ended_at + timedelta(seconds=seconds)


async def adopt(flight: Flight, windows: Iterable[Window], cluster: Cluster) -> None:
    """Gives each of `windows` the task that is running for it already, if there is one."""
    wanted = {opaque_id(flight.operation.id, window): window for window in windows}
    for task in await cluster.copies_running(opaque_prefix(flight.operation.id)):
        if window := wanted.get(task.opaque_id):
            flight.put(_running(window, task.id))


async def look(flight: Flight, cluster: Cluster) -> None:
    """Asks for every running task; the ended ones are done, or have to run again.

    Raises `Failure` where running again would not help.
    """
    running = flight.running
    answers = await asyncio.gather(*(_task(window, cluster) for window in running))
    for window, task in zip(running, answers, strict=True):
        if task is None:
            await _vanished(flight, window, cluster)
        elif not task.completed:
            flight.windows[window.number] = window.model_copy(update={"seen": task.handled})
        else:
            _ended(flight, window, task)


async def start(flight: Flight, most: int, cluster: Cluster) -> None:
    """Starts tasks until `most` windows are in flight, or Elasticsearch will not take one now.

    The order in which effects and saves come is safe: a task whose id was not saved is found by
    its `X-Opaque-Id`.
    """
    assert flight.operation.source is not None
    most = max(1, min(most, MOST_SCROLLS // flight.operation.source.shards))
    for window in flight.waiting[: max(0, most - len(flight.running))]:
        try:
            task_id = await cluster.start_copy(
                body(flight.operation, window), opaque_id(flight.operation.id, window)
            )
        except ClusterTrouble as error:
            flight.trouble = error.message
            return
        flight.put(_running(window, task_id))


async def copy_at_once(flight: Flight, windows: Sequence[Window], cluster: Cluster) -> None:
    """Copies small windows, each by a request that waits for its end.

    Raises `ClusterTrouble` where an answer was lost: then its task may still run.
    """
    operation = flight.operation

    async def one(window: Window) -> TaskState:
        started = datetime.now(UTC)
        task = await cluster.copy_now(body(operation, window), opaque_id(operation.id, window))
        flight.windows[window.number] = window.model_copy(update={"started_at": started})
        return task

    answers = await asyncio.gather(*map(one, windows))
    for window, task in zip(windows, answers, strict=True):
        _ended(flight, flight.windows[window.number], task)


def _running(window: Window, task_id: str) -> Window:
    return window.model_copy(
        update={"state": WindowState.RUNNING, "task_id": task_id, "started_at": datetime.now(UTC)}
    )


async def _task(window: Window, cluster: Cluster) -> TaskState | None:
    assert window.task_id is not None
    return await cluster.task(window.task_id)


async def _vanished(flight: Flight, window: Window, cluster: Cluster) -> None:
    """Nobody knows the task: its node went away. It is looked for, else the window runs again.

    Where that is not the first time, `.tasks` may not take results (it is blocked, or cannot be
    made): then the window rests before each try.
    """
    await adopt(flight, [window], cluster)
    if window.number in flight.changed:
        return
    lost = Rerun(f"its task {window.task_id} is gone", hold=False)
    if window.attempt > 1:
        lost = Rerun("its task left no result in the index .tasks; can that be written to?")
    _run_again(flight, window, lost)


def _ended(flight: Flight, window: Window, task: TaskState) -> None:
    verdict = judge(task)
    if isinstance(verdict, Rerun):
        _run_again(flight, window, verdict)
        return
    done = {"state": WindowState.DONE, "seen": verdict, "ended_at": datetime.now(UTC)}
    flight.put(window.model_copy(update=done))


def _run_again(flight: Flight, window: Window, verdict: Rerun) -> None:
    if verdict.most_attempts and window.attempt >= verdict.most_attempts:
        raise Failure("copy_failed", f"Reindexing failed: {verdict.reason}")
    again = window.model_copy(
        update={
            "state": WindowState.PLANNED,
            "attempt": window.attempt + 1,
            "task_id": None,
            "seen": 0,
            "batch": max(1, window.batch // 2) if verdict.too_much else window.batch,
            "ended_at": datetime.now(UTC) if verdict.hold else None,
        }
    )
    flight.put(again)
    flight.notes.append(
        Note(
            what="window runs again",
            index=flight.operation.index_name,
            text=f"window {window.number}, attempt {again.attempt}: {verdict.reason}",
        )
    )
    if verdict.hold:
        flight.trouble = f"a part of the copy runs again: {verdict.reason}"
