"""Copy tasks of an operation: how one is told from a stranger, and which may still come."""

from __future__ import annotations

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
