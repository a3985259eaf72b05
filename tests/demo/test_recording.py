"""The picture of the demo can be drawn by a browser, and needs nothing from elsewhere."""

from __future__ import annotations

from itertools import pairwise
from xml.etree import ElementTree

from hypothesis import given
from hypothesis import strategies as st
from rich.text import Text

from demo.recording import ROWS, Line, picture

SVG = "{http://www.w3.org/2000/svg}"
printable = st.text(st.characters(exclude_categories=["C", "Zl", "Zp"]), max_size=30)
colours = st.sampled_from(["", "\x1b[1m", "\x1b[36m", "\x1b[2;33m"])


@st.composite
def recordings(draw: st.DrawFn) -> list[Line]:
    waits = draw(st.lists(st.floats(0, 2), min_size=1, max_size=ROWS + 5))
    clock, lines = 0.0, list[Line]()
    for wait in waits:
        clock += wait
        lines.append(Line(clock, Text.from_ansi(f"{draw(colours)}{draw(printable)}\x1b[0m│ <&> ")))
    return lines


@given(recordings())
def test_every_line_is_in_the_picture_at_its_time(lines: list[Line]) -> None:
    root = ElementTree.fromstring(picture(lines))
    drawn = root.findall(f".//{SVG}text")
    assert len(drawn) == len(lines)
    for line, text in zip(lines, drawn, strict=True):
        seen = "".join(text.itertext()).replace("\N{NO-BREAK SPACE}", " ")
        assert seen.split() == line.text.plain.split()
    for moving in (*root.iter(f"{SVG}animate"), *root.iter(f"{SVG}animateTransform")):
        times = [float(time) for time in moving.attrib["keyTimes"].split(";")]
        assert len(times) == len(moving.attrib["values"].split(";"))
        assert times[0] == 0.0
        assert times[-1] <= 1.0
        assert all(before <= after for before, after in pairwise(times))


def test_where_nothing_moves_the_end_is_seen() -> None:
    lines = [Line(n, Text(f"line {n}")) for n in range(ROWS + 3)]
    root = ElementTree.fromstring(picture(lines))
    moving = root.find(f".//{SVG}animateTransform/..")
    assert moving is not None
    steps = moving[0].attrib["values"].split(";")
    assert moving.attrib["transform"] == f"translate({steps[-1]})"
    assert steps[0] == steps[-1]  # who draws a single picture may draw the first
    assert steps[1] != steps[-1]


def test_it_refers_to_nothing_outside() -> None:
    assert "href" not in picture([Line(0.0, Text("x"))])
    assert "url(#seen)" in picture([Line(0.0, Text("x"))])
