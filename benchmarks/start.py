"""How long a start of the command line takes, against the libraries that it cannot do without."""

from __future__ import annotations

import resource
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from benchmarks.report import Line, ratios

LIBRARIES = """
import httpx, rich.console, rich.progress, rich.table, typer
from pydantic import BaseModel

class Model(BaseModel):  # with the first one pydantic loads what makes models
    name: str
"""
SCRIPT = str(Path(sys.executable).with_name("reindex-queue"))
COMMANDS = (
    ("--version",),
    ("status", "--help"),
    ("status", "--curl"),
    ("submit", "logs-2019", "--curl"),
)
"""None of them asks a service; the last two load all that a question needs."""


def measure(pairs: int) -> list[Line]:
    """Seconds of the processor, in turns, and how many modules a command loads."""
    bare: list[float] = []
    ours: list[list[float]] = [[] for _ in COMMANDS]
    for _ in range(pairs + 1):  # the first round fills the caches and does not count
        bare.append(_seconds(["-c", LIBRARIES]))
        for taken, command in zip(ours, COMMANDS, strict=True):
            taken.append(_seconds([SCRIPT, *command]))
    lines = [Line("a start with the libraries alone", "s", bare[1:])]
    lines.append(Line("the libraries alone", "modules", [_modules(["-c", LIBRARIES])]))
    for taken, command in zip(ours, COMMANDS, strict=True):
        shown = " ".join(("reindex-queue", *command))
        lines.append(Line(f"{shown}", "s", taken[1:]))
        lines.append(Line(f"{shown}", "modules", [_modules([SCRIPT, *command])]))
        lines.append(Line(f"{shown} / libraries", "ratio", ratios(taken[1:], bare[1:]), "≤ 1.5"))
    return lines


def _seconds(arguments: Sequence[str]) -> float:
    """Of the processor, which a start hardly ever waits for."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, *arguments], stdout=subprocess.DEVNULL, check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime


def _modules(arguments: Sequence[str]) -> int:
    """How many are imported, with those of the interpreter's own start."""
    python = [sys.executable, "-X", "importtime", *arguments]
    done = subprocess.run(python, capture_output=True, check=True)
    return done.stderr.count(b"import time:") - 1  # the head of the table
