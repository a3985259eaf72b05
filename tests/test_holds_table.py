"""`docs/holds.md` says of every cause of a hold what ends it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.domain.errors import ClusterTrouble
from app.domain.holds import HoldCause

ROOT = Path(__file__).parent.parent
OUTSIDE, PATIENCE = (ROOT / "docs" / "holds.md").read_text().split("## With an end of patience")
SOURCES = "".join(file.read_text() for file in (ROOT / "app").rglob("*.py"))


def rows(text: str) -> dict[str, list[str]]:
    """The cells of each row by the cause in its first."""
    cells = [[cell.strip() for cell in line.strip("| ").split(" | ")] for line in text.splitlines()]
    return {row[0].strip("`"): row for row in cells if re.fullmatch(r"`\w+`", row[0])}


def troubles(kind: type[ClusterTrouble]) -> Iterator[type[ClusterTrouble]]:
    for below in kind.__subclasses__():
        yield below
        yield from troubles(below)


def test_every_cause_has_its_row_in_the_right_table() -> None:
    bounded = {cause.value for cause in HoldCause if cause.patience is not None}
    assert rows(PATIENCE).keys() == bounded
    assert rows(OUTSIDE).keys() == {cause.value for cause in HoldCause} - bounded


def test_every_row_says_what_is_seen_and_what_ends_it() -> None:
    assert all(len(row) == 3 and all(row) for row in rows(OUTSIDE).values())
    for name, (_, _, tries, then) in rows(PATIENCE).items():
        assert int(tries) == HoldCause(name).patience
        assert then


@pytest.mark.parametrize("cause", HoldCause)
def test_every_cause_is_one_of_a_hold(cause: HoldCause) -> None:
    assert re.search(rf"\bHoldCause\.{cause.name}\b", SOURCES)


@pytest.mark.parametrize("kind", list(troubles(ClusterTrouble)))
def test_every_trouble_of_the_cluster_stands_for_a_cause(kind: type[ClusterTrouble]) -> None:
    assert isinstance(kind.__dict__.get("cause"), HoldCause)
