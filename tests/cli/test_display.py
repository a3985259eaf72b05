"""How the command line shows things: short, true, and harmless to a terminal."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from app.api.documenting import ANSWERS
from app.cli.display import Row, TextTable, compact, cut, percent, plain, shorten, speed
from app.cli.views import details
from app.cli.watching import View, line
from app.domain.formatting import duration_text, printable
from app.domain.job import State
from app.wire.operations import OperationDetails, OperationSummary


@given(st.text(), st.integers(12, 90))
def test_a_shortened_name_fits_and_keeps_its_ends(name: str, cells: int) -> None:
    name = printable(name)
    for short in (shorten(name, cells), cut(name, cells)):
        assert cell_len(short) <= cells
    short = shorten(name, cells)
    if cell_len(name) <= cells:
        assert short == cut(name, cells) == name
    else:
        head, _, tail = short.partition("…") if "…" not in name else (short[0], "", short[-1])
        assert name.startswith(head)
        assert name.endswith(tail)


@given(st.text())
def test_nothing_steers_the_terminal(text: str) -> None:
    assert printable(text).isprintable()


def test_a_line_of_text_is_left_as_it_is() -> None:
    assert printable("日志-ü [bold]x :smile: {a}") == "日志-ü [bold]x :smile: {a}"
    assert printable("a\x1b[31mb\r\nc\u202ed\xa0e") == r"a\x1b[31mb\r\nc\u202ed\xa0e"


@pytest.mark.parametrize(
    ("number", "said"),
    [
        (0, "0"),
        (99_999, "99,999"),
        (100_000, "100.0k"),
        (752_865, "752.9k"),
        (999_949, "999.9k"),
        (999_999, "1.0M"),
        (1_234_567_890, "1.2G"),
        (5_000_000_000_000, "5,000.0G"),
    ],
)
def test_numbers_are_short(number: int, said: str) -> None:
    assert compact(number) == said


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (-3, "0s"),
        (0.9, "0s"),
        (59.9, "59s"),
        (60, "1m00s"),
        (157, "2m37s"),
        (3_600, "1h00m"),
        (11_100, "3h05m"),
        (352_800, "4d02h"),
    ],
)
def test_durations_have_two_units(seconds: float, said: str) -> None:
    assert duration_text(seconds) == said


def test_a_hundred_percent_is_the_end() -> None:
    assert [percent(f) for f in (0, 0.0189, 0.99999, 1)] == ["0.0%", "1.8%", "99.9%", "100.0%"]
    assert [speed(s) for s in (None, 0.04, 9.96, 12_000.4)] == ["", "0.0/s", "10.0/s", "12,000/s"]


def test_plain_tables_are_aligned_by_columns_of_the_terminal_and_notes_come_last() -> None:
    rows = [Row(["日志", "failed", "7"], "because\nof it"), Row(["a", "waiting", ""])]
    assert plain(TextTable(("index", "state", "documents"), rows, frozenset({"documents"}))) == [
        "INDEX  STATE    DOCUMENTS  WHY",
        r"日志   failed           7  because\nof it",
        "a      waiting          -",
    ]


@pytest.mark.parametrize("limits", [[], ["at most 500 documents a second (batch)"]])
def test_a_line_tells_the_pace_only_where_something_limits(limits: list[str]) -> None:
    page: Any = ANSWERS["v1_operations"].get("value")
    running: dict[str, Any] = page["operations"][0]
    operation = OperationSummary.model_validate(
        {**running, "pace": {**running["pace"], "limits": limits}}
    )
    counts = {state: int(state is State.RUNNING) for state in State}
    shown = line(View(counts, [operation], None, None)).split(" | ")
    assert shown[2:] == ["logs-2019", *limits]


def test_a_comparison_says_how_far_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    told: Any = ANSWERS["v1_operation"].get("value")
    proving = {"compared": 412_000, "documents": 1_002_000}
    details(OperationDetails.model_validate({**told, "proving": proving}))
    assert "proof      412,000 of 1,002,000 documents compared so far" in capsys.readouterr().out
