"""Windows that would take too long, by the speed measured so far, are cut before they start."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

from app.copying.flight import Flight
from app.domain import clock
from app.domain.events import EventKind, Note
from app.domain.windows import Window, WindowState

RECENT = 5
"""So many of the windows that ended last tell the speed."""
LEAST_DOCUMENTS = 1_000
"""Of a part; smaller ones would cost more than they save."""


def split_long(flight: Flight, windows: Sequence[Window], longest: float) -> bool:
    """Cuts each of `windows` that would take more than `longest` seconds; True where one was cut.

    The parts have to be saved before one of them is sent: a task is found again by the number and
    attempt of its window, and must never be taken for the one of a window with another range.
    """
    source = flight.operation.source
    assert source is not None
    speed = _speed(list(flight.windows.values()))
    ends = flight.operation.source_seq_nos
    if speed is None or ends is None or not source.searchable_seq_nos:
        return False
    number, any_cut = max(flight.windows) + 1, False
    for window in windows:
        parts = _parts(window.documents, speed, longest)
        last = ends[window.shard] if source.sliced else max(ends)
        cut = split(window, parts, last, number)
        if len(cut) > 1:
            number, any_cut = number + len(cut) - 1, True
            flight.notes.append(_note(flight, window, len(cut), speed))
            for part in cut:
                flight.put(part)
    return any_cut


def split(window: Window, parts: int, last: int, number: int) -> list[Window]:
    """`window` in at most `parts` ranges of equal length, which cover the same sequence numbers.

    `last`: the highest sequence number of the shard; `number`: of the second part. The first part
    keeps the window's number with another attempt, so that no task for the whole is taken for it.
    """
    low = window.from_seq_no or 0
    high = last + 1 if window.to_seq_no is None else window.to_seq_no
    inner = {low + (high - low) * n // parts for n in range(1, parts) if low < high} - {low, high}
    edges = [window.from_seq_no, *sorted(inner), window.to_seq_no]
    if len(edges) < 3:
        return [window]
    share, rest = divmod(window.documents, len(edges) - 1)
    cut: list[Window] = []
    for n, (start, end) in enumerate(pairwise(edges)):
        changes = {
            "number": number + n - 1 if n else window.number,
            "attempt": 1 if n else window.attempt + 1,
            "from_seq_no": start,
            "to_seq_no": end,
            "documents": share + (1 if n < rest else 0),
        }
        cut.append(window.model_copy(update=changes))
    return cut


def _parts(documents: int, speed: float, longest: float) -> int:
    """Into how many parts; each then takes about two thirds of the longest time."""
    if documents / speed <= longest:
        return 1
    most = max(1, documents // LEAST_DOCUMENTS)
    return min(most, math.ceil(documents / speed / (longest * 2 / 3)))


def _speed(windows: Sequence[Window]) -> float | None:
    """Documents, as the plan counts them, a second of one window in flight; None before one has
    ended."""
    done = sorted(
        (ended := clock.as_of_now(w.ended_at), ended - clock.as_of_now(w.started_at), w.documents)
        for w in windows
        if w.state is WindowState.DONE and w.started_at and w.ended_at
    )[-RECENT:]
    seconds = sum(taken.total_seconds() for _, taken, _ in done)
    documents = sum(planned for _, _, planned in done)
    return documents / seconds if documents and seconds > 0 else None


def _note(flight: Flight, window: Window, parts: int, speed: float) -> Note:
    text = f"window {window.number} in {parts} parts, at {speed:,.0f} documents a second"
    return Note(what=EventKind.WINDOW_CUT, index=flight.operation.index_name, text=text)
