"""`docs/events.md` says of every kind of event when it happens and what it holds."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from app.domain.events import AUDIT, EventKind

ROOT = Path(__file__).parent.parent
HEADER = "| event | when | what it holds |"
LINES = (ROOT / "docs" / "events.md").read_text().split(HEADER, 1)[1].splitlines()
"""From the first table of kinds on."""
CELLS = [[cell.strip() for cell in line[1:-1].split(" | ")] for line in LINES if line[:3] == "| `"]
ROWS = {row[0].strip("`"): row for row in CELLS}
SOURCES = "".join(
    file.read_text()
    for file in (ROOT / "app").rglob("*.py")
    if file != ROOT / "app" / "domain" / "events.py"
)


def test_every_kind_has_one_row_and_every_row_is_of_a_kind() -> None:
    assert len(ROWS) == len(CELLS)
    assert ROWS.keys() == {kind.value for kind in EventKind}


def test_the_list_of_what_the_audit_needs_is_that_of_the_code() -> None:
    page = (ROOT / "docs" / "events.md").read_text()
    listed = page.split("They are:\n", 1)[1].split(".", 1)[0]
    names = [" ".join(name.split()) for name in re.findall("`([^`]+)`", listed)]
    assert names == [kind.value for kind in EventKind if kind in AUDIT]


def test_every_row_says_when_it_happens_and_what_it_holds() -> None:
    for name, row in ROWS.items():
        assert len(row) == 3, name
        assert row[1], name


@pytest.mark.parametrize("kind", EventKind)
def test_every_kind_is_written_somewhere(kind: EventKind) -> None:
    assert re.search(rf"\bEventKind\.{kind.name}\b", SOURCES)


@pytest.mark.parametrize("kind", EventKind)
def test_a_kind_fits_its_column(kind: EventKind) -> None:
    assert len(kind.value) <= 64
