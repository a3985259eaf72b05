"""`docs/monitoring.md` says of every metric what it is."""

from __future__ import annotations

import re
from pathlib import Path

from tests.ops.sample import metrics

PAGE = Path(__file__).parent.parent / "docs" / "monitoring.md"


def rows() -> list[list[str]]:
    return [
        [cell.strip() for cell in line.strip()[1:-1].split("|")]
        for line in PAGE.read_text().splitlines()
        if re.match(r"\| `(reindex_queue|process)_", line)
    ]


def test_every_metric_has_one_row_and_every_row_is_of_a_metric() -> None:
    names = [row[0].strip("`") for row in rows()]
    assert len(names) == len(set(names))
    assert set(names) == metrics().keys()


def test_every_row_has_the_type_the_labels_and_what_it_means() -> None:
    for name, kind, labels, meaning in rows():
        described = metrics()[name.strip("`")]
        assert kind == described.type, name
        assert set(re.findall(r"`(\w+)`", labels)) == described.labels, name
        assert meaning, name
