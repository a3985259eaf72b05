"""What the person in front of the terminal sees."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Mapping, Sequence

from rich.console import Console
from rich.markup import escape
from rich.padding import Padding
from rich.table import Table

from demo.indices import Seen

console = Console(width=100 if not sys.stdout.isatty() else None, highlight=False)


INDENT = (0, 0, 0, 5)


def chapter(number: int, of: int, text: str) -> None:
    console.print(f"\n[bold cyan]{number}/{of}[/]  [bold]{escape(text)}[/]")


def say(text: str) -> None:
    console.print(Padding(escape(text), INDENT))


def quote(text: str) -> None:
    """Somebody else's words."""
    console.print(Padding(f"[yellow]{escape(text)}[/]", INDENT))


def command(words: Sequence[str]) -> None:
    """A command as one would type it."""
    console.print(f"     [green]$[/] {escape(shlex.join(words))}", soft_wrap=True)
    sys.stdout.flush()


def table(title: str, seen: Mapping[str, Seen], majors: Mapping[str, int]) -> None:
    shown = Table(
        "index", "documents", "aliases", "state", "created by", title=title, title_justify="left"
    )
    shown.columns[1].justify = "right"
    for name, index in seen.items():
        state = "closed" if index.closed else "open"
        aliases = ", ".join(index.aliases) or "-"
        shown.add_row(name, f"{index.documents:,}", aliases, state, f"{majors[name]}.x")
    console.print(Padding(shown, INDENT))


def verdict(text: str, *, good: bool) -> None:
    console.print(f"\n[bold {'green' if good else 'red'}]{escape(text)}[/]")
