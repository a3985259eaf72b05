"""Waiting for what was submitted: a progress bar on a terminal, lines elsewhere."""

from __future__ import annotations

import time

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from app.cli import tables, views
from app.cli.watching import Look, View, follow, line, together
from app.cli.words import clean, doing, eta, percent, shorten, speed
from app.domain.state import State

REFRESH_SECONDS = 1.0
QUIET_SECONDS = 30.0
"""Where lines go to a file, one is written when something changes, and at least so often."""


def wait(look: Look) -> View:
    """Until nothing is left to be worked off. Answers the last look."""
    console = tables.terminal()
    return _with_bars(look, console) if console else _with_lines(look)


def silently(look: Look) -> View:
    """The same without a word on the way."""
    return follow(look, REFRESH_SECONDS, lambda _: None)


def _with_lines(look: Look) -> View:
    known, written_at = "", 0.0

    def show(view: View) -> None:
        nonlocal known, written_at
        gist, now = _gist(view), time.monotonic()
        if gist != known or now - written_at > QUIET_SECONDS:
            known, written_at = gist, now
            tables.say(line(view))

    return follow(look, REFRESH_SECONDS, show)


def _gist(view: View) -> str:
    """What a new line is written for: not every document."""
    in_hand = [(o.index_name, doing(o), o.hold and o.hold.reason) for o in view.in_hand]
    return repr((view.counts, in_hand, view.waits_for))


def _with_bars(look: Look, console: Console) -> View:
    bars = Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        TextColumn("{task.fields[words]}", markup=False),
        TimeElapsedColumn(),
        console=console,
        transient=True,
    )
    with bars:
        batch = bars.add_task("indices", words="")
        current = bars.add_task("", visible=False, words="")

        def show(view: View) -> None:
            _show(view, bars, batch, current, console)

        return follow(look, REFRESH_SECONDS, show)


def _show(view: View, bars: Progress, batch: TaskID, current: TaskID, console: Console) -> None:
    total = sum(view.counts.values())
    words = [f"{total - view.left}/{total}"]
    if failed := view.counts[State.FAILED]:
        words.append(f"{failed} failed")
    if span := together(view):
        words.append(f"all in {span}")
    if not view.in_hand and view.waits_for:
        words.append(f"waits: {clean(view.waits_for)}")
    bars.update(batch, total=total, completed=total - view.left, words=", ".join(words))
    if not view.in_hand:
        bars.update(current, visible=False)
        return
    first = view.in_hand[0]
    why, progress = views.why(first), first.progress
    facts = [doing(first)]
    if progress:
        facts += [
            percent(progress.fraction),
            speed(progress.speed),
            f"ETA {left}" if (left := eta(progress)) else "",
        ]
    bars.update(
        current,
        visible=True,
        description=shorten(clean(first.index_name), max(12, console.width // 3)),
        total=1.0,
        completed=progress.fraction if progress else 0.0,
        words=clean(why) if why else " ".join(fact for fact in facts if fact),
    )
