"""Windows: the parts of a copy, each a range of sequence numbers of one shard."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from enum import StrEnum
from itertools import pairwise

from pydantic import BaseModel, ConfigDict


class WindowState(StrEnum):
    PLANNED = "planned"
    RUNNING = "running"
    DONE = "done"


class Window(BaseModel):
    """One part of a copy, worked off by its own `_reindex` task.

    The range is `from_seq_no <= _seq_no < to_seq_no`, None is an open end; `documents` is how many
    the plan expects in it, `seen` how many its task has handled.
    """

    model_config = ConfigDict(frozen=True)

    number: int
    shard: int
    from_seq_no: int | None
    to_seq_no: int | None
    documents: int
    state: WindowState = WindowState.PLANNED
    attempt: int = 1
    task_id: str | None = None
    seen: int = 0
    started_at: datetime | None = None
    ended_at: datetime | None = None


def opaque_prefix(operation_id: str) -> str:
    """What the `X-Opaque-Id` of every copy task of an operation starts with."""
    return f"rq:{operation_id}:"


def opaque_id(operation_id: str, window: Window) -> str:
    """The `X-Opaque-Id` by which a window's task is found again after a lost answer or a crash."""
    return f"{opaque_prefix(operation_id)}{window.number}:{window.attempt}"


def cuts_needed(documents: int, per_window: int) -> int:
    """How many boundaries divide `documents` into windows of about `per_window`."""
    return max(0, -(-documents // per_window) - 1)


def cut(shard: int, first_number: int, documents: int, boundaries: Sequence[int]) -> list[Window]:
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
        )
        for n, (low, high) in enumerate(pairs)
    ]


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
