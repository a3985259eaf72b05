"""`python -m benchmarks --publish`: the last results as docs/benchmarks.md, and a plot."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path
from xml.sax.saxutils import escape

from tests import readme_figures

DOCS = Path(__file__).parents[1] / "docs"
ROW, LEFT, WIDTH = 34, 480, 460
MOST = 3.0
"""The plot's right end."""

COLUMNS = ("what", "median", "least", "most", "unit", "runs", "goal")
README_COLUMNS = ("what", "median", "least", "most", "runs", "goal")

Row = dict[str, str]

HEAD = """# Benchmarks

Written by `make bench BENCH_ARGS=--publish` from the last results of `make bench`, which ran on one
machine against a real Elasticsearch 8.19 (one node, heap 512 MB), both sides of a comparison in
turns. A figure is the median of its runs; *ratio* is the median of the ratios of the pairs, and
what should be compared between machines. No test asserts any of it: what misses its goal is shown
as it is. A part that is not here has not been measured.

![The ratios with least and most of the pairs](benchmarks.svg)
"""


def publish(results: Path) -> None:
    """Writes page and plot from every CSV file in `results`, and its ratios into the README."""
    parts = {file.stem: _rows(file) for file in sorted(results.glob("*.csv"))}
    pages = [HEAD, *(_table(name, rows) for name, rows in parts.items())]
    (DOCS / "benchmarks.md").write_text("\n".join(pages))
    ratios = [row for rows in parts.values() for row in rows if row["unit"] == "ratio"]
    readme_figures.put("make bench", ["", *_markdown(ratios, README_COLUMNS), ""])
    (DOCS / "benchmarks.svg").write_text(_plot(ratios))


def _rows(file: Path) -> list[Row]:
    with file.open(newline="") as stream:
        return list(csv.DictReader(stream))


def _table(name: str, rows: Sequence[Row]) -> str:
    machine = rows[0]["machine"]
    return "\n".join([f"## {name}", "", f"{machine}.", "", *_markdown(rows, COLUMNS)]) + "\n"


def _markdown(rows: Sequence[Row], columns: Sequence[str]) -> list[str]:
    head = [f"| {' | '.join(columns)} |", "| --- " * len(columns) + "|"]
    return [*head, *(f"| {' | '.join(row[c] for c in columns)} |" for row in rows)]


def _plot(rows: Sequence[Row]) -> str:
    """A dot for the median, a line from the least to the most, a small line for the goal."""
    height = ROW * (len(rows) + 2)
    drawn = "\n".join(_drawn(row, ROW * (n + 1.5)) for n, row in enumerate(rows))
    scale = "\n".join(
        f'<line x1="{_x(at):.0f}" x2="{_x(at):.0f}" y1="{ROW}" y2="{height - ROW}"'
        f' stroke="{"#555" if at == 1 else "#ddd"}"/>'
        f'<text x="{_x(at):.0f}" y="{height - ROW + 16}" text-anchor="middle">{at:g}</text>'
        for at in (0, 0.5, 1, 1.5, 2, 2.5, 3)
    )
    return f"""\
<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {LEFT + WIDTH + 20} {height}" \
width="{LEFT + WIDTH + 20}" font-family="sans-serif" font-size="13">
<rect width="100%" height="100%" fill="#fff"/>
{scale}
{drawn}
</svg>
"""


def _drawn(row: Row, y: float) -> str:
    least, median, most = (_x(float(row[c])) for c in ("least", "median", "most"))
    goal = row["goal"].split()
    mark = ""
    if goal:
        at = _x(float(goal[-1]))
        mark = f'<path d="M{at:.0f} {y - 11:.0f} v22" stroke="#b00" stroke-width="2"/>'
    what = escape(row["what"] + (f" (goal {row['goal']})" if goal else ""))
    return (
        f'<text x="{LEFT - 12}" y="{y + 4:.0f}" text-anchor="end" font-size="12">{what}</text>'
        f'<path d="M{least:.0f} {y:.0f} H{most:.0f}" stroke="#06c" stroke-width="3"/>{mark}'
        f'<circle cx="{median:.0f}" cy="{y:.0f}" r="6" fill="#06c"/>'
    )


def _x(ratio: float) -> float:
    return LEFT + WIDTH * min(ratio, MOST) / MOST
