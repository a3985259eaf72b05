"""Numbers, states and names as a person reads them in a line of text."""

from __future__ import annotations

from rich.cells import cell_len, set_cell_size

from app.api.v1.schemas import OperationSummary, ProgressReport
from app.domain.durations import spoken
from app.domain.state import State

_DOING = {
    "created": "preparing",
    "readonly": "creating the new index",
    "newIndexCreated": "planning the copy",
    "reindexStarted": "copying",
    "reindexCompleted": "restoring settings",
    "indexSettingsRestored": "swapping",
    "aliasCreated": "tidying up",
}


def shorten(name: str, cells: int) -> str:
    """`name` in at most so many columns of a terminal, its middle left out: both ends tell more."""
    if cell_len(name) <= cells:
        return name
    head = (cells - 1) // 2
    tail = name
    while cell_len(tail) > cells - 1 - head:
        tail = tail[1:]
    return set_cell_size(name, head).rstrip() + "…" + tail


def cut(text: str, cells: int) -> str:
    """`text` in at most so many columns of a terminal, its end left out."""
    return text if cell_len(text) <= cells else set_cell_size(text, cells - 1).rstrip() + "…"


def compact(number: int) -> str:
    """`752,865` is `752.9k`; below 100,000 every digit is shown."""
    if number < 100_000:
        return f"{number:,}"
    for unit, size in (("k", 1_000), ("M", 1_000_000), ("G", 1_000_000_000)):
        if number < size * 999.95 or unit == "G":
            return f"{number / size:,.1f}{unit}"
    raise AssertionError(number)


def percent(fraction: float) -> str:
    """Never 100% before the end."""
    return f"{int(fraction * 1000 + 1e-9) / 10:.1f}%"


def speed(documents_a_second: float | None) -> str:
    if documents_a_second is None:
        return ""
    if documents_a_second < 10:
        return f"{documents_a_second:.1f}/s"
    return f"{compact(round(documents_a_second))}/s"


def eta(progress: ProgressReport) -> str:
    """`2m10s-3m05s`, one figure where both are the same; empty where there is no estimate."""
    if progress.eta_low_seconds is None or progress.eta_high_seconds is None:
        return ""
    return between(progress.eta_low_seconds, progress.eta_high_seconds)


def between(low: float, high: float) -> str:
    """A span of seconds."""
    least, most = spoken(low), spoken(high)
    return least if least == most else f"{least}-{most}"


def doing(operation: OperationSummary) -> str:
    """What is being done, or the state where nothing is."""
    if operation.state is not State.RUNNING:
        return operation.state.value
    progress = operation.progress
    if operation.step == "reindexStarted" and progress:
        copied = progress.windows_done == progress.windows_total
        return "proving" if copied else "copying"
    return _DOING[operation.step]


def count(number: int, noun: str, plural: str | None = None) -> str:
    """`1 index`, `2 indices`."""
    return f"{number:,} {noun if number == 1 else plural or noun + 's'}"
