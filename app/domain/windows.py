"""Windows: the parts of a copy, each a range of sequence numbers of one shard; and their tasks,
told from those of a stranger."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from itertools import pairwise

from pydantic import BaseModel, ConfigDict

from app.domain.clock import boot_seconds


class TaskRef(BaseModel):
    """A task of Elasticsearch's.

    `id` is `node:number`. Numbers start again low when a node is restarted, so an id alone may name
    a stranger: `started` is the task's own start, in milliseconds by the clock of its node, None
    while the task has not been looked at.
    """

    model_config = ConfigDict(frozen=True)

    id: str
    started: int | None = None

    @property
    def node(self) -> str:
        return self.id.rpartition(":")[0]

    def is_of(self, task_id: str, started: int | None) -> bool:
        """True where that is this very task, as far as both are known."""
        return task_id == self.id and (None in (self.started, started) or started == self.started)


class Watch:
    """What one process knows of tasks that cannot be seen now but may still write.

    A start whose answer was lost may reach Elasticsearch later; a task on a node that has left the
    cluster may come back with it. Times are of the boot clock. A new process knows neither; it is
    `unsure` where it takes over an operation in the middle of its copy, and waits the whole time.
    """

    def __init__(self, *, unsure: bool = False) -> None:
        self._sent = boot_seconds() if unsure else None
        self._lost: int | None = None if unsure else 0
        self._seen: set[TaskRef] = set()
        self._away: dict[str, float] = {}

    @property
    def unsure(self) -> bool:
        """True while a start may be on its way."""
        return self._sent is not None

    def lost(self, sent: float) -> None:
        """A start that was sent then (`boot_seconds`) has got no answer."""
        self._sent = sent if self._sent is None else max(sent, self._sent)
        self._lost = None if self._lost is None else self._lost + 1

    def left(self, seconds: float) -> float:
        """Seconds until no start can arrive any more, if one takes that long at most."""
        return 0.0 if self._sent is None else max(0.0, self._sent + seconds - boot_seconds())

    def arrived(self, task: TaskRef) -> None:
        """A task that no window knows was seen: a start that was lost has arrived."""
        self._seen.add(task)

    @property
    def all_arrived(self) -> bool:
        """True where as many tasks were seen as starts were lost; never after a restart."""
        return self._lost is not None and len(self._seen) >= self._lost

    def settled(self) -> None:
        """No start is on its way any more."""
        self._sent, self._lost, self._seen = None, 0, set()

    def away(self, task: TaskRef, seconds: float) -> float:
        """Seconds for which the task of a node that has left is to be waited for, of `seconds`
        since it was first missed."""
        since = self._away.setdefault(task.id, boot_seconds())
        return max(0.0, since + seconds - boot_seconds())


LIGHTER = 8
"""A window whose node died takes so many times fewer documents at a time when it runs again."""


class WindowState(StrEnum):
    PLANNED = "planned"
    RUNNING = "running"
    DONE = "done"


class Window(BaseModel):
    """One part of a copy, worked off by its own `_reindex` task.

    The range is `from_seq_no <= _seq_no < to_seq_no`, None is an open end; `documents` is how many
    the plan expects in it, `seen` how many its task has handled, `batch` how many its task takes at
    a time (`source.size`), `paced` how many where a limit of documents a second asks for less,
    `rate` the documents a second that its task was asked to keep to (None: no limit). `attempt`
    grows with every task, `failures` only where one was lost or failed by itself. `task_started`:
    as `TaskRef.started`.
    """

    model_config = ConfigDict(frozen=True)

    number: int
    shard: int
    from_seq_no: int | None
    to_seq_no: int | None
    documents: int
    batch: int = 1_000
    paced: int | None = None
    rate: float | None = None
    state: WindowState = WindowState.PLANNED
    attempt: int = 1
    failures: int = 0
    task_id: str | None = None
    task_started: int | None = None
    seen: int = 0
    started_at: datetime | None = None
    ended_at: datetime | None = None

    @property
    def size(self) -> int:
        """Documents that its task takes at a time."""
        return min(self.batch, self.paced or self.batch)

    @property
    def at_once(self) -> int:
        """Documents that its task can have in memory."""
        return max(1, min(self.size, self.documents))

    def lighter(self, divisor: int = LIGHTER, least: int = 1) -> Window:
        """Itself with batches that are a fraction of what it took at a time, down to `least`."""
        taken = self.at_once
        return self.model_copy(update={"batch": max(min(taken, least), taken // divisor)})

    def to_run_again(self) -> Window:
        """Itself after its task was ended by us; what was copied already is not written twice."""
        return self.model_copy(
            update={
                "state": WindowState.PLANNED,
                "attempt": self.attempt + 1,
                "task_id": None,
                "task_started": None,
                "paced": None,
                "rate": None,
                "seen": 0,
                "ended_at": None,
            }
        )


def opaque_prefix(operation_id: str) -> str:
    """What the `X-Opaque-Id` of every copy task of an operation starts with."""
    return f"rq:{operation_id}:"


def opaque_id(operation_id: str, window: Window) -> str:
    """The `X-Opaque-Id` by which a window's task is found again after a lost answer or a crash."""
    return f"{opaque_prefix(operation_id)}{window.number}:{window.attempt}"


WINDOW_BYTES, WINDOW_JSON = 250_000_000, 2_000_000_000
"""The most that a window has, about, on disk and as JSON, before the speed of the copy is known."""


def window_for(documents: int, size_in_bytes: int, most: int, json: int = 0) -> int:
    """How many documents of a shard of that size on disk make a window; `json`: their bytes as
    JSON, 0 where they were not looked at."""
    there = (WINDOW_BYTES, size_in_bytes), (WINDOW_JSON, json)
    fitting = [most, *(wanted * documents // size for wanted, size in there if documents and size)]
    return max(1, min(fitting))


def cuts_needed(documents: int, per_window: int, least_windows: int = 1) -> int:
    """How many boundaries divide `documents` into windows of about `per_window`.

    `least_windows`: so many where each still has `SMALLEST_SHARE` documents, so that several can be
    in flight on one shard.
    """
    wanted = -(-documents // per_window)
    shared = min(least_windows, documents // SMALLEST_SHARE)
    return max(0, max(wanted, shared) - 1)


SMALLEST_SHARE = 20_000
"""Documents below which a window is not worth a task of its own."""


def cut(
    shard: int, first_number: int, documents: int, boundaries: Sequence[int], batch: int = 1_000
) -> list[Window]:
    """The windows of one shard: the first is open below, the last is open above.

    Boundaries come from an estimate, so they may repeat: any set of them divides the shard
    completely and without overlap. `documents` is spread evenly for the sake of progress.
    """
    edges: list[int | None] = [None, *sorted(set(boundaries)), None]
    pairs = list(pairwise(edges))
    share, rest = divmod(documents, len(pairs))
    return [
        Window(
            number=first_number + n,
            shard=shard,
            from_seq_no=low,
            to_seq_no=high,
            documents=share + (1 if n < rest else 0),
            batch=batch,
        )
        for n, (low, high) in enumerate(pairs)
    ]


def in_turn(windows: Sequence[Window]) -> list[Window]:
    """`windows` in the order in which they are sent: shards, and so nodes, take turns."""
    position: dict[int, int] = {}
    ranked: list[tuple[int, int, Window]] = []
    for window in windows:
        position[window.shard] = position.get(window.shard, -1) + 1
        ranked.append((position[window.shard], window.shard, window))
    return [window for _, _, window in sorted(ranked, key=lambda r: r[:2])]


@dataclass(frozen=True)
class CopyStep:
    """How far a copy got from one save to the next: documents that tasks have handled, windows that
    are done, and windows that have to run once more."""

    documents: int
    done: int
    again: int

    @classmethod
    def between(cls, before: Iterable[Window], saved: Iterable[Window]) -> CopyStep:
        """`before`: the windows as they were; `saved`: those of them that were changed or added."""
        known = {window.number: window for window in before}
        documents = done = again = 0
        for window in saved:
            old = known.get(window.number)
            same_try = old is not None and old.attempt == window.attempt
            documents += max(0, window.seen - (old.seen if old and same_try else 0))
            was_done = old is not None and old.state is WindowState.DONE
            done += window.state is WindowState.DONE and not was_done
            again += old is not None and window.attempt > old.attempt
        return cls(documents, done, again)


def fraction_done(windows: Sequence[Window]) -> float:
    """0 to 1; 1 where there is nothing to copy.

    `documents` counts nested children and `seen` does not, so only a done window is full.
    """
    total = sum(window.documents for window in windows)
    if all(window.state is WindowState.DONE for window in windows) or not total:
        return 1.0
    done = sum(
        window.documents if window.state is WindowState.DONE else min(window.seen, window.documents)
        for window in windows
    )
    return done / total
