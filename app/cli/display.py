"""How things are shown: numbers and names in a line of text, and tables of them.

Tables are drawn with rich on a terminal, and are aligned plain text elsewhere.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from rich import box
from rich.cells import cell_len, set_cell_size
from rich.console import Console
from rich.table import Table as RichTable
from rich.text import Text

from app.cli.client import Trouble
from app.domain.formatting import duration_text, printable

STYLES = {
    "waiting": "dim",
    "holding": "yellow",
    "undoing": "yellow",
    "paused": "yellow",
    "completed": "green",
    "failed": "red",
    "cancelled": "dim",
    "rolledBack": "dim",
    "ready": "green",
    "would wait": "yellow",
    "would fail": "red",
    "blocked": "red",
    "ok": "green",
    "warning": "yellow",
    "wrong": "red",
    "unknown": "dim",
}
"""Of the words for a state; every other word says that something moves."""
MOVING = "cyan"
LEAST_NAME = 12
GUTTER = 2


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


def between(low: float, high: float) -> str:
    """A span of seconds."""
    least, most = duration_text(low), duration_text(high)
    return least if least == most else f"{least}-{most}"


def count(number: int, noun: str, plural: str | None = None) -> str:
    """`1 index`, `2 indices`."""
    return f"{number:,} {noun if number == 1 else plural or noun + 's'}"


def beyond(others: int | None) -> str:
    """` and 3 others that you may not see`; empty where there are none."""
    return f" and {count(others, 'other')} that you may not see" if others else ""


@dataclass(frozen=True)
class Row:
    """`cells` by the columns of the table; `note`: a sentence that belongs to it."""

    cells: Sequence[str]
    note: str = ""


@dataclass(frozen=True)
class TextTable:
    """`columns`: the first is a name, the second a state; those in `numbers` are set to the right.

    `note`: what the column of the notes is called in plain text.
    """

    columns: Sequence[str]
    rows: Sequence[Row]
    numbers: frozenset[str] = field(default=frozenset())
    note: str = "why"


def terminal() -> Console | None:
    """The terminal that standard output is, if it is one that can do more than print lines."""
    console = Console(highlight=False, markup=False, emoji=False)
    return console if console.is_terminal and not console.is_dumb_terminal else None


def show_grid(rows: Sequence[Sequence[str]], styles: Sequence[str] = ()) -> None:
    """Columns without a head; the last one is wrapped on a terminal, and whole elsewhere.

    `styles`: of the first cell of each row.
    """
    console = terminal()
    if console is None:
        widths = [max(map(cell_len, column)) for column in list(zip(*rows, strict=True))[:-1]]
        say_lines(_padded(row, widths) for row in rows)
        return
    grid = RichTable.grid(padding=(0, GUTTER, 0, 0))
    for _ in rows[0]:
        grid.add_column(overflow="fold")
    for n, (first, *others) in enumerate(rows):
        style = styles[n] if styles else "bold"
        grid.add_row(Text(printable(first), style), *(Text(printable(other)) for other in others))
    console.print(grid)


def _padded(row: Sequence[str], widths: Sequence[int]) -> str:
    *cells, last = (printable(cell) for cell in row)
    fixed = [
        cell + " " * (width - cell_len(cell)) for cell, width in zip(cells, widths, strict=True)
    ]
    return (" " * GUTTER).join([*fixed, last]).rstrip()


def show(table: TextTable) -> None:
    console = terminal()
    if console:
        _draw(table, console)
    else:
        say_lines(plain(table))


def say(text: str = "", style: str = "") -> None:
    """One line to standard output."""
    console = terminal()
    if console:
        console.print(Text(printable(text), style=style), soft_wrap=True)
    else:
        say_lines([printable(text)])


def say_lines(lines: Iterable[str]) -> None:
    """Raises `Trouble` where they cannot be written, and `BrokenPipeError`: nobody reads on."""
    try:
        sys.stdout.writelines(f"{line}\n" for line in lines)
        sys.stdout.flush()
    except BrokenPipeError:
        raise
    except OSError as error:
        sys.stdout = None  # what is left of it could not be written at the end, either
        raise Trouble(f"The answer cannot be written: {error.strerror}.") from None


def styled(word: str) -> str:
    return STYLES.get(word, MOVING)


def plain(table: TextTable) -> list[str]:
    """Columns two spaces apart; names are whole, the note is last: `awk` finds its way."""
    noted = any(row.note for row in table.rows)
    head = [column.upper() for column in table.columns] + ([table.note.upper()] if noted else [])
    body = [
        [printable(cell) or "-" for cell in row.cells] + ([printable(row.note)] if noted else [])
        for row in table.rows
    ]
    widths = [max(cell_len(line[n]) for line in (head, *body)) for n in range(len(table.columns))]
    return [_aligned(line, widths, table) for line in (head, *body)]


def _aligned(line: Sequence[str], widths: Sequence[int], table: TextTable) -> str:
    cells: list[str] = []
    for column, width, cell in zip(table.columns, widths, line, strict=False):
        fill = " " * (width - cell_len(cell))
        cells.append(fill + cell if column in table.numbers else cell + fill)
    return (" " * GUTTER).join([*cells, *line[len(widths) :]]).rstrip()


def _draw(table: TextTable, console: Console) -> None:
    drawn = RichTable(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, 1, 0, 0))
    for column in table.columns:
        drawn.add_column(
            Text(column), justify="right" if column in table.numbers else "left", no_wrap=True
        )
    room = _room_for_names(table, console.width)
    for row in table.rows:
        name, state, *others = (printable(cell) for cell in row.cells)
        drawn.add_row(shorten(name, room), Text(state, styled(state)), *map(Text, others))
    console.print()
    console.print(drawn)
    for row in table.rows:
        if row.note:
            name, state = printable(row.cells[0]), printable(row.cells[1])
            console.print(Text.assemble((shorten(name, room), "bold"), ": ", printable(row.note)))


def _room_for_names(table: TextTable, width: int) -> int:
    """What the other columns leave of the terminal's width."""
    others = sum(
        max(
            cell_len(printable(cells[n]))
            for cells in (table.columns, *(r.cells for r in table.rows))
        )
        + GUTTER
        for n in range(1, len(table.columns))
    )
    return max(LEAST_NAME, width - others)
