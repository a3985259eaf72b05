"""What `submit --wait` does: a progress bar on a terminal, lines elsewhere."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.text import Text

from app.cli import asking, display, requests, views, watching
from app.cli.client import Trouble
from app.cli.display import percent, shorten, speed
from app.cli.session import INTERRUPTED, Session, tell
from app.cli.watching import Look, View, follow, line, together
from app.domain.formatting import printable
from app.domain.job import State
from app.wire.operations import OperationList, OperationSummary

REFRESH_SECONDS = 1.0
QUIET_SECONDS = 30.0
"""Where lines go to a file, one is written when something changes, and at least so often."""
UNWELL = (State.FAILED, State.CANCELLED, State.PAUSED)


def wait_for(session: Session, firsts: Sequence[str]) -> bool:
    """Until the batches to which these belong have ended; False where not all completed."""
    batch_ids = [_batch_of(session, first) for first in firsts]
    views_of = [_watched(session, batch_id) for batch_id in batch_ids]
    if session.as_json:
        ended = [one for batch_id in batch_ids for one in _pages(session, batch_id)]
        session.print_json({"operations": ended})
        return all(view.well for view in views_of)
    for batch_id, view in zip(batch_ids, views_of, strict=True):
        display.say(views.counted(view.counts))
        if not view.well:
            others = _pages(session, batch_id, UNWELL)
            views.ended([OperationSummary.model_validate(one) for one in others])
    return all(view.well for view in views_of)


def _batch_of(session: Session, first: str) -> str:
    found = session.client.ask(requests.newest_of(first), OperationList).operations
    if not found or found[0].batch_id is None:
        raise Trouble(f"The operation on {first} is not to be found. Look: reindex-queue queue")
    return found[0].batch_id


def _watched(session: Session, batch_id: str) -> View:
    look = watching.patient(watching.batch(session.client, batch_id), tell)
    try:
        return silently(look) if session.as_json else wait(look)
    except KeyboardInterrupt:
        tell("Stopped waiting. The work goes on; look again with: reindex-queue status --watch")
        raise typer.Exit(INTERRUPTED) from None


def _pages(session: Session, batch_id: str, states: Sequence[State] = ()) -> list[Any]:
    pages = asking.pages(session, states, batch_id=batch_id)
    return [operation for page in pages for operation in page["operations"]]


def wait(look: Look) -> View:
    """Until nothing is left to be worked off. Answers the last look."""
    console = display.terminal()
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
            display.say(line(view))

    return follow(look, REFRESH_SECONDS, show)


def _gist(view: View) -> str:
    """What a new line is written for: not every document."""
    in_hand = [(o.index_name, views.doing(o), o.hold and o.hold.reason) for o in view.in_hand]
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
        return follow(look, REFRESH_SECONDS, _Bars(bars, console.width))


class _Bars:
    """Shows a look as two bars: all of it, and the index in hand. A reason is told above, once."""

    def __init__(self, bars: Progress, width: int) -> None:
        self._bars = bars
        self._width = width
        self._whole = bars.add_task("indices", words="")
        self._current = bars.add_task("", visible=False, words="")
        self._shown: str | None = None
        self._told: str | None = None

    def __call__(self, view: View) -> None:
        total = sum(view.counts.values())
        words = [f"{total - view.left}/{total}"]
        if failed := view.counts[State.FAILED]:
            words.append(f"{failed} failed")
        if span := together(view):
            words.append(f"all in {span}")
        if not view.in_hand and view.waits_for:
            words.append("waits")
            self._tell(view.waits_for, f"waits: {view.waits_for}")
        self._bars.update(
            self._whole, total=total, completed=total - view.left, words=", ".join(words)
        )
        if view.in_hand:
            self._show(view.in_hand[0])
        else:
            self._bars.update(self._current, visible=False)

    def _show(self, operation: OperationSummary) -> None:
        if operation.id != self._shown:
            self._shown = operation.id
            self._bars.reset(self._current)
        reason = operation.hold.reason if operation.hold else views.why(operation)
        self._tell(reason, f"{operation.index_name}: {views.why(operation)}")
        progress = operation.progress
        facts = [views.doing(operation)]
        if progress:
            left = views.eta(progress)
            facts += [percent(progress.fraction), speed(progress.speed), left and f"ETA {left}"]
        self._bars.update(
            self._current,
            visible=True,
            description=shorten(printable(operation.index_name), max(12, self._width // 3)),
            total=1.0,
            completed=progress.fraction if progress else 0.0,
            words=" ".join(fact for fact in facts if fact),
        )

    def _tell(self, reason: str, sentence: str) -> None:
        """Beside a bar it would leave no room for either."""
        if reason and reason != self._told:
            self._bars.console.print(Text(printable(sentence)))
        self._told = reason
