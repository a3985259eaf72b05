"""Watching: one line a refresh, until there is nothing more to see."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

import typer

from app.cli import asking, display, requests, views
from app.cli.client import Client, ServiceAway
from app.cli.display import compact, cut, percent, shorten, speed
from app.cli.session import INTERRUPTED, Session, index_name, tell
from app.domain.formatting import printable
from app.domain.job import LIVE_STATES, State
from app.wire.batches import BatchReport
from app.wire.operations import OperationList, OperationSummary, ProgressReport
from app.wire.service import WorkerAnswer

PATIENCE_SECONDS = 300.0
"""So long may the service be away (a new start, a failover) before watching gives up."""
IN_HAND = (State.RUNNING, State.HOLDING, State.UNDOING)
LEAST_NAME = 20

Counts = dict[State, int]


@dataclass(frozen=True)
class View:
    """One look: `counts` of all that is watched, `in_hand` what is being worked on of it.

    `waits_for`: why nothing moves. `raw`: what the service answered. `together`: how far all of it
    is, of a batch of several.
    """

    counts: Counts
    in_hand: Sequence[OperationSummary]
    waits_for: str | None
    raw: Any
    together: ProgressReport | None = None

    @property
    def left(self) -> int:
        """How many are still to be worked off; a paused one waits for a person."""
        return sum(self.counts[state] for state in LIVE_STATES if state is not State.PAUSED)

    @property
    def well(self) -> bool:
        """Nothing of it ended otherwise than completed, and nothing is left."""
        others = [s for s in State if s is not State.COMPLETED]
        return not any(self.counts[state] for state in others)


Look = Callable[[], View]


def whole_queue(client: Client) -> Look:
    """Everything that is in progress, and what has ended since the first look; of a batch that was
    under way by then, all that has ended."""
    before: Counts = {}

    def look() -> View:
        raw = client.send(requests.worker())
        answer = client.understood(raw, WorkerAnswer)
        if not before:
            before.update(answer.counts)
            for ended in _batches_under_way(client, answer):
                before.update({state: before[state] - ended[state] for state in before})
        counts = {
            state: max(0, number - before[state]) if state.ended else number
            for state, number in answer.counts.items()
        }
        head = [answer.head] if answer.head and answer.head.state in IN_HAND else []
        others = [o for o in answer.in_hand if not head or o.id != head[0].id]
        return View(counts, [*head, *others], answer.waits_for, raw)

    return look


def _batches_under_way(client: Client, answer: WorkerAnswer) -> list[Counts]:
    """What has ended, and what not, of each batch of which something is in hand."""
    seen = [answer.head, *answer.in_hand] if answer.head else answer.in_hand
    ids = sorted({operation.batch_id for operation in seen if operation.batch_id})
    return [client.ask(requests.batch_report(found), BatchReport).counts for found in ids]


def batch(client: Client, batch_id: str) -> Look:
    def look() -> View:
        asked = requests.operations(IN_HAND, batch_id=batch_id, limit=10, counts=True)
        raw = client.send(asked)
        answer = client.understood(raw, OperationList)
        view = View(answer.counts or {}, answer.operations, None, raw)
        if view.left > 1:
            report = client.ask(requests.batch_report(batch_id), BatchReport)
            view = replace(view, together=report.progress)
        if view.in_hand or not view.left:
            return view
        return replace(view, waits_for=_ahead(client, lambda head: head.batch_id == batch_id))

    return look


def newest_of(client: Client, index: str) -> Look:
    """The newest operation of an index, which must be there."""

    def look() -> View:
        raw = client.send(requests.newest_of(index))
        (found,) = client.understood(raw, OperationList).operations
        counts = {state: int(state is found.state) for state in State}
        waits_for = None
        if found.state is State.WAITING:
            waits_for = _ahead(client, lambda head: head.id == found.id)
        return View(counts, [found], waits_for, raw["operations"][0])

    return look


def _ahead(client: Client, mine: Callable[[OperationSummary], bool]) -> str:
    """What operations wait for of which none is in hand."""
    worker = client.ask(requests.worker(), WorkerAnswer)
    if worker.waits_for:
        return worker.waits_for
    if worker.head is None or mine(worker.head):
        return "the worker"
    return f"{worker.head.index_name} is worked on first"


def patient(look: Look, tell: Callable[[str], None]) -> Look:
    """`look`, waiting for a service that is away for a while; what it waits for is told once."""
    seen_at = time.monotonic()

    def again() -> View:
        nonlocal seen_at
        told = False
        while True:
            try:
                view = look()
            except ServiceAway as error:
                if time.monotonic() - seen_at > PATIENCE_SECONDS:
                    raise
                if not told:
                    tell(f"waiting for the service: {error.message}")
                told = True
                time.sleep(1.0)
            else:
                seen_at = time.monotonic()
                return view

    return again


def line(view: View, width: int | None = None) -> str:
    """`10:00:18 3/20 done | copying 14,100/752.9k 1.9% 12,000/s ETA 2m10s-3m05s | logs-2019`.

    `width`: of the terminal, for names; why it waits is whole.
    """
    left = f", all in {span}" if (span := together(view)) else ""
    parts = [f"{datetime.now().astimezone():%H:%M:%S} {_score(view.counts)}{left}"]
    if view.in_hand:
        first, *others = view.in_hand
        parts.append(_progress(first))
        more = f" and {len(others):,} more" if others else ""
        why = views.why(first)
        name = _name(first, sum(map(len, parts)) + len(more) + 6, width)
        parts.append(name + more + (f": {printable(why)}" if why else ""))
        if limits := _limits(first):
            parts.append(limits)
    if view.waits_for and not (view.in_hand and view.in_hand[0].hold):
        parts.append(f"waits: {printable(view.waits_for)}")
    return " | ".join(parts)


def together(view: View) -> str:
    """How long all that is watched will take, where that is known."""
    return views.eta(view.together) if view.together else ""


def _reason(view: View) -> str | None:
    """What is worth a line that is whole: why it waits, or what slows it down."""
    for first in view.in_hand[:1]:
        if first.hold or _limits(first):
            return first.hold.reason if first.hold else _limits(first)
    return view.waits_for


def _score(counts: Counts) -> str:
    total = sum(counts.values())
    words = [f"{counts[State.COMPLETED]:,}/{total:,} done"]
    for state in (State.FAILED, State.CANCELLED, State.PAUSED):
        words += [f"{counts[state]:,} {state.value}"] if counts[state] else []
    return ", ".join(words)


def _progress(operation: OperationSummary) -> str:
    words = [views.doing(operation)]
    progress = operation.progress
    if progress:
        done, total = compact(progress.documents_done), compact(progress.documents_total)
        words += [f"{done}/{total}", percent(progress.fraction), speed(progress.speed)]
        words.append(f"ETA {left}" if (left := views.eta(progress)) else "")
    return " ".join(word for word in words if word)


def _limits(operation: OperationSummary) -> str:
    """What slows a copy down; why nothing is copied is said as what it waits for."""
    copies = operation.step == "reindexStarted" and operation.pace and not operation.pace.closed
    return printable(views.limits(operation.pace)) if copies else ""


def _name(operation: OperationSummary, taken: int, width: int | None) -> str:
    name = printable(operation.index_name)
    return name if width is None else shorten(name, max(LEAST_NAME, width - taken))


def follow(look: Look, seconds: float, show: Callable[[View], None]) -> View:
    """Looks and shows every so many seconds, until nothing is left to be done; the last look."""
    while True:
        view = look()
        show(view)
        if not view.left:
            return view
        time.sleep(seconds)


class Lines:
    """Shows a line a look; on a terminal a reason is whole once, after that a line is one line."""

    def __init__(self, *, as_json: bool) -> None:
        self._as_json = as_json
        self._console = display.terminal()
        self._told: str | None = None

    def __call__(self, view: View) -> None:
        if self._as_json:
            display.say_lines([json.dumps(view.raw, ensure_ascii=False)])
        elif sum(view.counts.values()):
            display.say(self._line(view))

    def _line(self, view: View) -> str:
        if self._console is None:
            return line(view)
        reason = _reason(view)
        known, self._told = reason == self._told, reason
        shown = line(view, self._console.width)
        return cut(shown, self._console.width) if known else shown


def watch(session: Session, name: str | None, seconds: float) -> None:
    """A line a refresh; 1 where something failed meanwhile."""
    if session.curl:
        asked = requests.worker() if name is None else requests.newest_of(index_name(name))
        session.print_curl(asked, then=f"again every {seconds:g} seconds")
        return
    client = session.client
    if name is None:
        look = whole_queue(client)
    else:
        look = newest_of(client, asking.newest(session, name).index_name)
    try:
        lines = Lines(as_json=session.as_json)
        view = follow(patient(look, tell), seconds, lines)
    except KeyboardInterrupt:
        raise typer.Exit(INTERRUPTED) from None
    if not sum(view.counts.values()) and not session.as_json:
        display.say("The queue is empty.")
    if view.counts[State.FAILED] or (name is not None and not view.well):
        raise typer.Exit(1)
