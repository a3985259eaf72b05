"""The events that were told last: kept for all streams together, by number and by size."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice


@dataclass(frozen=True, slots=True)
class Told:
    """An event as streams are given it, made once for all of them: `shown`, and `concealed` for
    those who may see some indices only. `indices`: those of its job, see `store.events.Event`."""

    cluster_id: str
    number: int
    job_id: str | None
    batch_id: str | None
    what: str
    shown: str
    concealed: str
    indices: tuple[str, ...] | None = None

    @property
    def size(self) -> int:
        """Characters that it keeps in memory."""
        return len(self.shown) + (0 if self.concealed is self.shown else len(self.concealed))


class Recent:
    """At most `most` events, of `most_size` characters together. A place is how many were told
    before it."""

    def __init__(self, most: int, most_size: int) -> None:
        self._most = most
        self._most_size = most_size
        self._kept = deque[Told]()
        self.size = 0
        self.end = 0

    def __len__(self) -> int:
        return len(self._kept)

    def add(self, told: Sequence[Told]) -> None:
        self._kept.extend(told)
        self.end += len(told)
        self.size += sum(one.size for one in told)
        while len(self._kept) > self._most or self.size > self._most_size:
            self.size -= self._kept.popleft().size

    def after(self, place: int, most: int, most_size: int) -> list[Told] | None:
        """The next ones from that place on, at least one where there is one; None where they are
        not kept any more."""
        skipped = place - (self.end - len(self._kept))
        if skipped < 0:
            return None
        found: list[Told] = []
        for told in islice(self._kept, skipped, skipped + most):
            most_size -= len(told.shown)
            if found and most_size < 0:
                break
            found.append(told)
        return found
