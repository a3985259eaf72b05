"""What a measurement says, as a table for people and as CSV for programs."""

from __future__ import annotations

import csv
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table


@dataclass(frozen=True)
class Line:
    """One figure: its median over the runs, the least and the most, and the goal in words."""

    what: str
    unit: str
    values: Sequence[float]
    goal: str = ""

    @property
    def median(self) -> float:
        return statistics.median(self.values)

    def shown(self) -> tuple[str, ...]:
        figures = (self.median, min(self.values), max(self.values))
        return (
            self.what,
            *(_short(v) for v in figures),
            self.unit,
            str(len(self.values)),
            self.goal,
        )


def ratios(ours: Sequence[float], theirs: Sequence[float]) -> list[float]:
    """Ours divided by theirs, pair by pair, in the order in which they ran."""
    return [left / right for left, right in zip(ours, theirs, strict=True)]


def show(lines: Sequence[Line]) -> None:
    table = Table("what", "median", "least", "most", "unit", "runs", "goal")
    for line in lines:
        table.add_row(*line.shown())
    Console(width=150).print(table)


def write(lines: Sequence[Line], file: Path, machine: str) -> None:
    with file.open("w", newline="") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(["what", "median", "least", "most", "unit", "runs", "goal", "machine"])
        writer.writerows((*line.shown(), machine) for line in lines)


def _short(value: float) -> str:
    return f"{value:.2f}" if abs(value) < 100 else f"{value:,.0f}"
