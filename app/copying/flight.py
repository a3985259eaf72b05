"""The record of the windows in flight: what waits, runs, rests and is done. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

from app.copying import tasks
from app.copying.tasks import Rerun, judge_task
from app.domain import clock
from app.domain.errors import Failure
from app.domain.events import EventKind, Note
from app.domain.holds import HoldCause
from app.domain.operation import Operation
from app.domain.pace import Limit
from app.domain.windows import TaskRef, Watch, Window, WindowState, in_turn, opaque_id
from app.elastic.answers import RunningTask, TaskState
from app.jobs.phases import Outcome, Work

MOST_SCROLLS = 250
"""Search contexts that the copy keeps open; a node has 500 for everybody (7.17, 8.19, 9.4)."""
LONGEST_PAUSE = 30.0


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

    def adopt(self, task: RunningTask) -> None:
        """A window that waits for its turn has this task, where that bears its header."""
        for window in self.windows.values():
            planned = window.state is WindowState.PLANNED
            if planned and task.opaque_id == opaque_id(self.operation.id, window):
                self.put(run_by(window, task.id, task.started))
                return

    def awaits(self, task: RunningTask) -> bool:
        """A window waits for it: by its id, or by its header where that came back."""
        for window in self.windows.values():
            if task.opaque_id == opaque_id(self.operation.id, window):
                return True
            ref = tasks.task_of(window)
            if ref and ref.is_of(task.id, task.started):
                return True
        return False

    def forget_number(self, task_id: str) -> None:
        """A new task has this id: whatever had it before has ended, and its window runs again."""
        # A node counts its tasks from the beginning after a restart.
        self.loose = [task for task in self.loose if task.id != task_id]
        for window in self.running:
            if window.task_id == task_id:
                self.put(window.to_run_again())

    def settle(self, window: Window, task: TaskState) -> None:
        """What the ended task of `window` says: it is done, or has to run again.

        Raises `Failure` where running again would not help.
        """
        verdict = judge_task(task)
        if isinstance(verdict, Rerun):
            self.run_again(window, verdict)
            return
        done = {"state": WindowState.DONE, "seen": verdict, "ended_at": clock.now()}
        self.put(window.model_copy(update=done))

    def run_again(self, window: Window, verdict: Rerun) -> None:
        """It waits for its turn once more, smaller where that may help. Raises `Failure`."""
        failures, least = window.failures + 1, verdict.least
        if verdict.most_attempts and failures >= verdict.most_attempts:
            raise Failure("copy_failed", f"Reindexing failed: {verdict.reason}")
        if verdict.too_heavy and window.size == 1:
            raise Failure(
                "document_too_heavy",
                "Reindexing failed: a single document is more than a node takes: "
                f"{verdict.reason}. Give the nodes more heap or raise "
                "indexing_pressure.memory.limit, then post the index again.",
            )
        again = window if least is None else window.lighter(verdict.divisor, least)
        again = again.to_run_again().model_copy(
            update={"failures": failures, "ended_at": clock.now() if verdict.hold else None}
        )
        self.put(again)
        self.notes.append(
            Note(
                what=EventKind.WINDOW_RUNS_AGAIN,
                index=self.operation.index_name,
                text=f"window {window.number}, attempt {again.attempt}: {verdict.reason}",
            )
        )
        if verdict.hold:
            text = f"a part of the copy runs again: {verdict.reason}"
            self.trouble = HoldCause.COPY_RUNS_AGAIN, text

    def lighten_the_others(self, lost: Window) -> None:
        """What a task takes at a time may have killed its node. Unless as much was taken before and
        the node lived, those that are still to come take no more than the lost one does now."""
        least = self.windows[lost.number].batch
        others = list(self.windows.values())
        if any(w.state is WindowState.DONE and w.at_once >= lost.at_once for w in others):
            return
        for other in others:
            if other.state is WindowState.PLANNED and other.at_once > least:
                self.put(other.model_copy(update={"batch": least}))


def _rests_until(window: Window) -> datetime:
    """A window that has failed rests 1, 2, 4 … seconds before it runs again."""
    if window.ended_at is None or not window.failures:
        return datetime.min.replace(tzinfo=UTC)
    seconds = min(LONGEST_PAUSE, 2.0 ** min(window.failures - 1, 5))
    return clock.as_of_now(window.ended_at) + timedelta(seconds=seconds)


def run_by(window: Window, task_id: str, task_started: int | None = None) -> Window:
    """`window`, in flight. `task_started`: in milliseconds, by the node; None: not known yet."""
    return window.model_copy(
        update={
            "state": WindowState.RUNNING,
            "task_id": task_id,
            "task_started": task_started,
            "started_at": clock.now(),
        }
    )
