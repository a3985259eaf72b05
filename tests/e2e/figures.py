"""What a run of `make prove` has found: a line a kind, for the terminal, the docs, and a file."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.e2e.crashes import Ending
from tests.e2e.kinds import KINDS
from tests.e2e.orders import Boundary

WAYS = (("kill", "before"), ("kill", "after"), ("cut", "before"), ("cut", "after"))
DATABASES = ("sqlite", "postgresql")
BATCHES = "batches"
TITLES = (
    *(f"{how} {side}" for how, side in WAYS),
    "boundaries",
    "lost",
    "stuck",
    "windows",
    "sent again",
)


@dataclass(frozen=True)
class Tried:
    """One crash and what became of it; `seconds`: the whole, with making and checking the index."""

    database: str
    kind: str
    ending: Ending
    seconds: float

    @property
    def lost(self) -> bool:
        return not self.ending.good and not self.ending.stuck


def rows(tried: Sequence[Tried]) -> list[tuple[str, str, list[int]]]:
    """Database, kind and the figures below `TITLES`."""
    order = [*KINDS, BATCHES]
    keys = {(one.database, one.kind) for one in tried}
    keys = sorted(keys, key=lambda key: (DATABASES.index(key[0]), order.index(key[1])))
    return [
        (*key, _figures([one for one in tried if (one.database, one.kind) == key])) for key in keys
    ]


def total(tried: Sequence[Tried]) -> list[int]:
    return _figures(tried)


def _figures(tried: Sequence[Tried]) -> list[int]:
    reached = [one for one in tried if one.ending.reached]
    by_way = [sum(_way(one.ending.boundary) == way for one in reached) for way in WAYS]
    return [
        *by_way,
        len(reached),
        sum(one.lost for one in tried),
        sum(one.ending.stuck for one in tried),
        sum(one.ending.windows for one in reached),
        sum(one.ending.again for one in reached),
    ]


def _way(boundary: object) -> tuple[str, str] | None:
    return (boundary.how, boundary.side) if isinstance(boundary, Boundary) else None


def for_the_terminal(tried: Sequence[Tried]) -> Iterable[str]:
    yield f"{'':<28}" + "".join(f"{title:>13}" for title in TITLES)
    for database, kind, figures in [*rows(tried), ("", "together", total(tried))]:
        yield f"{database:<12}{kind:<16}" + "".join(f"{figure:>13}" for figure in figures)


def as_markdown(tried: Sequence[Tried]) -> Iterable[str]:
    yield f"| database | kind | {' | '.join(TITLES)} |"
    yield "| --- | --- |" + " ---: |" * len(TITLES)
    for database, kind, figures in [*rows(tried), ("", "**together**", total(tried))]:
        yield f"| {database} | {kind} | {' | '.join(f'{figure:,}' for figure in figures)} |"


def of_page(page: str) -> list[str]:
    """What the page says of its run, and its table of figures."""
    run = [line for line in page.splitlines() if line.startswith(("20", "Reindex Queue at"))]
    table = page[page.index("| database |") :].split("\n\n", 1)[0].strip()
    return [*run, "", *table.splitlines()]


def write_csv(file: Path, tried: Sequence[Tried]) -> None:
    """One line for each boundary, also for those that were not reached."""
    file.parent.mkdir(exist_ok=True)
    titles = ("database", "kind", "boundary", "reached", "lost", "stuck", "windows", "sent again")
    with file.open("w", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow([*titles, "seconds", "faults"])
        for one in tried:
            ending = one.ending
            flags = [int(flag) for flag in (ending.reached, one.lost, ending.stuck)]
            figures = [ending.windows, ending.again, round(one.seconds, 2)]
            faults = " ".join(" ".join(ending.faults).split())
            writer.writerow(
                [one.database, one.kind, ending.boundary, *flags, *figures, faults[:2000]]
            )
