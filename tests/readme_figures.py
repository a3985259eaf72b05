"""Figures in the README: written by the command that measured them, between two marks."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

README = Path(__file__).parents[1] / "README.md"
END = "<!-- end of the figures -->"


def put(command: str, lines: Sequence[str], readme: Path = README) -> None:
    """Replaces what is between the marks of `command`. Raises `ValueError` where they are not."""
    start = f"<!-- figures of {command} -->"
    before, rest = readme.read_text().split(start)
    _, after = rest.split(END, 1)
    readme.write_text(before + "\n".join([start, *lines, END]) + after)
