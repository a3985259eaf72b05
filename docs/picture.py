"""`python -m docs.picture FILE`: draws the rooms of `app/` and what each imports, as SVG.

Rooms and their order are those of the layers in pyproject.toml, and the imports are the real ones.
Each room is a row and a column: the column begins at the room's own row, and goes down to what the
room imports.
"""

from __future__ import annotations

import sys
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from itertools import chain
from pathlib import Path
from xml.sax.saxutils import escape

import grimp

ROOT = Path(__file__).parent.parent
ABOVE_THE_LAYERS = {"settings": ("settings", "secret_files", "sendable")}
"""What is in no layer, for only `main` and `serving` import it; drawn below those two."""
SUBJECTS = {
    "backup": "a copy of the database",
    "serving": "the service as a process",
    "main": "the service as an application",
    "assembly": "puts the parts together",
    "settings": "the environment, files of secrets",
    "cli": "the command line, a client",
    "api": "HTTP: routes, errors, the document",
    "sites": "one cluster with all its parts",
    "upgrades": "the job that rewrites an index",
    "copying": "windows, pace, health gate",
    "jobs": "machine, worker, what a kind is",
    "webhooks": "addresses are told of events",
    "store": "the database; only SQL is here",
    "elastic": "Elasticsearch; only its client is here",
    "lookups": "names of hosts, judged",
    "sealing": "stored secrets",
    "telemetry": "logs and meters",
    "wire": "shapes of requests and answers",
    "redaction": "secrets stay out of the log",
    "domain": "values and rules, pure",
}
ROW, COLUMN, LEFT, NAMES, TOP = 38, 36, 16, 350, 16
"""Pixels: the height of a row, the width of a column, where rows begin, how wide their names are,
and what is free above them."""
STYLE = """
text{font-family:sans-serif;font-size:13px;fill:#222}
.paper{fill:#fff}.layer{fill:#eef2f7}.name{font-weight:bold}.subject,.legend{fill:#555}
.guide{stroke:#cfd8e3}.import{stroke:#1769aa;stroke-width:2}.upward{stroke-dasharray:4 4}
.room,.imported{fill:#1769aa}.label{paint-order:stroke;stroke:#eef2f7;stroke-width:5px}
@media(prefers-color-scheme:dark){
text{fill:#e6e6e6}.paper{fill:#16191d}.layer{fill:#23292f}.subject,.legend{fill:#a9b2bb}
.guide{stroke:#3a434c}.import{stroke:#6cb8f0}.room,.imported{fill:#6cb8f0}.label{stroke:#23292f}
}
"""
Imports = Mapping[str, Sequence[str]]


def main() -> int:
    (file,) = sys.argv[1:]
    Path(file).write_text(picture(layers(), imports()), encoding="utf-8")
    return 0


def layers() -> list[list[str]]:
    """The rooms of each layer, from the top. Raises `KeyError` for one without a subject."""
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]
    (found,) = (one["layers"] for one in contracts["contracts"] if one["type"] == "layers")
    rooms = [[part.strip().removeprefix("app.") for part in one.split("|")] for one in found]
    top = rooms.index(["assembly"]) + 1
    drawn = [*rooms[:top], list(ABOVE_THE_LAYERS), *rooms[top:]]
    return [[room for room in layer if SUBJECTS[room]] for layer in drawn]


def imports() -> Imports:
    """The rooms that each room imports, as the modules do."""
    graph, found = grimp.build_graph("app", cache_dir=None), dict[str, set[str]]()
    for module in graph.modules:
        for imported in graph.find_modules_directly_imported_by(module):
            found.setdefault(_room_of(module), set()).add(_room_of(imported))
    return {room: sorted(others - {room}) for room, others in found.items()}


def _room_of(module: str) -> str:
    room = module.split(".")[1] if "." in module else module
    groups = ABOVE_THE_LAYERS.items()
    return next((name for name, modules in groups if room in modules), room)


def picture(rooms: Sequence[Sequence[str]], imported: Imports) -> str:
    """The picture as SVG, for a light and a dark page."""
    order = [*chain.from_iterable(rooms)]
    width = LEFT + NAMES + COLUMN * len(order) + 80
    height = TOP + ROW * len(order) + 44
    parts = chain(_layers(rooms, width), _rooms(order), _columns(order, imported))
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" '
            f'width="{width}" role="img">',
            "<title>The rooms of app/ and what each of them imports</title>",
            f"<style>{STYLE}</style>",
            '<rect class="paper" width="100%" height="100%"/>',
            *parts,
            _legend(height),
            "</svg>\n",
        ]
    )


def _layers(rooms: Sequence[Sequence[str]], width: int) -> Iterator[str]:
    row = 0
    for layer in rooms:
        y, high = TOP + ROW * row + 3, ROW * len(layer) - 6
        place = f'x="{LEFT}" y="{y}" width="{width - 2 * LEFT}" height="{high}"'
        yield f'<rect class="layer" {place} rx="6"/>'
        row += len(layer)


def _rooms(order: Sequence[str]) -> Iterator[str]:
    for row, room in enumerate(order):
        y = _middle(row)
        yield f'<path class="guide" d="M{LEFT + NAMES} {y}H{_column(row)}"/>'
        yield f'<text class="name" x="{LEFT + 12}" y="{y + 4}">{escape(room)}</text>'
        yield f'<text class="subject" x="{LEFT + 100}" y="{y + 4}">{escape(SUBJECTS[room])}</text>'
        yield f'<rect class="room" x="{_column(row) - 6}" y="{y - 6}" width="12" height="12"/>'


def _columns(order: Sequence[str], imported: Imports) -> Iterator[str]:
    for row, room in enumerate(order):
        rows = [order.index(other) for other in imported.get(room, ())]
        if below := [other for other in rows if other > row]:
            yield _line("import", row, row, max(below))
        if above := [other for other in rows if other < row]:
            yield _line("import upward", row, row, min(above))
        for other in rows:
            yield f'<circle class="imported" cx="{_column(row)}" cy="{_middle(other)}" r="5"/>'
    for row, room in enumerate(order):  # over all lines
        place = f'x="{_column(row) + 12}" y="{_middle(row) + 4}"'
        yield f'<text class="label" {place}>{escape(room)}</text>'


def _line(name: str, column: int, start: int, end: int) -> str:
    return f'<path class="{name}" d="M{_column(column)} {_middle(start)}V{_middle(end)}"/>'


def _legend(height: int) -> str:
    said = (
        "■ a room     ● on its line: a room that it imports     "
        "dashed: imported only when that command is called"
    )
    place = f'x="{LEFT + 12}" y="{height - 14}" xml:space="preserve"'
    return f'<text class="legend" {place}>{said}</text>'


def _middle(row: int) -> int:
    return TOP + ROW * row + ROW // 2


def _column(row: int) -> int:
    return LEFT + NAMES + COLUMN * row + COLUMN // 2


if __name__ == "__main__":
    sys.exit(main())
