"""`tests/README.md`: every case has a line, and every test that is named there exists."""

from __future__ import annotations

import ast
import re
from pathlib import Path

TESTS = Path(__file__).parent
LAST = {"N": 5, "S": 4, "W": 4, "P": 4, "R": 12, "O": 14, "M": 28, "H": 15, "I": 14, "K": 18}
"""How many cases of each kind the reference has; K: the weaknesses, 1 to 18."""

LINE = re.compile(r"^\| ([NSWPROMHIK]\d+) \| (.*) \|$")
NAMED = re.compile(r"`([\w/]+\.py)::(\w+)`")


def lines() -> list[tuple[str, str]]:
    text = (TESTS / "README.md").read_text(encoding="utf-8")
    return [(m[1], m[2]) for m in map(LINE.match, text.splitlines()) if m]


def found_in(file: str) -> set[str]:
    tree = ast.parse((TESTS / file).read_text(encoding="utf-8"))
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef)
    return {node.name for node in tree.body if isinstance(node, kinds)}


def test_every_case_has_one_line_with_a_test_or_a_reason() -> None:
    cases = [case for case, _ in lines()]
    assert cases == [f"{kind}{n}" for kind, last in LAST.items() for n in range(1, last + 1)]
    for case, rest in lines():
        reasoned = "not applicable: " in rest
        assert reasoned is not bool(NAMED.search(rest)), case


def test_every_test_that_is_named_exists() -> None:
    named = [(file, name) for _, rest in lines() for file, name in NAMED.findall(rest)]
    assert len(named) > 50
    assert [pair for pair in named if pair[1] not in found_in(pair[0])] == []
