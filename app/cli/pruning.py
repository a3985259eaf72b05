"""`prune`: asks for the removal of old history, and waits for its end."""

from __future__ import annotations

import math
import time
from typing import Any

import typer

from app.cli import display, requests
from app.cli.client import Misuse, Trouble
from app.cli.display import count
from app.cli.session import INTERRUPTED, Session, tell
from app.wire.pruning import MOST_DAYS, HistoryAnswer, RemovedReport

LOOK_SECONDS = 0.5
PATIENCE_SECONDS = 60.0
"""So long may nothing be removed: then no worker does it."""


def prune(session: Session, days: float | None) -> None:
    """1 where the service refuses, or no worker removes anything for a minute."""
    if days is not None and math.isnan(days):  # it is within every range
        raise Misuse(f"--days: write a number from 0 to {MOST_DAYS:,}.")
    asked = requests.prune(days)
    if session.curl:
        then = session.curl_of(requests.last_pruning())
        session.print_curl(asked, then=f"then, until endedAt is not null: {then}")
        return
    session.client.send(asked)
    try:
        raw = _ended(session)
    except KeyboardInterrupt:
        tell("Stopped waiting. The worker goes on with it.")
        raise typer.Exit(INTERRUPTED) from None
    if session.as_json:
        session.print_json(raw)
        return
    report = session.client.understood(raw, HistoryAnswer).pruning
    display.say(_words(report.removed) if report else "Nothing was removed.")


def _ended(session: Session) -> Any:
    """The answer that says it is done. Raises `Trouble` where it does not get on."""
    known, since = -1, time.monotonic()
    while True:
        raw = session.client.send(requests.last_pruning())
        report = session.client.understood(raw, HistoryAnswer).pruning
        if report is None or report.ended_at is not None:
            return raw
        rows = sum(report.removed.model_dump().values())
        if rows != known:
            known, since = rows, time.monotonic()
        elif time.monotonic() - since > PATIENCE_SECONDS:
            raise Trouble(
                f"Nothing was removed for {PATIENCE_SECONDS:g} s. The worker goes on with it as "
                "soon as it can; see: reindex-queue doctor"
            )
        time.sleep(LOOK_SECONDS)


def _words(removed: RemovedReport) -> str:
    if not any(removed.model_dump().values()):
        return "Nothing is old enough to be removed."
    return (
        f"Removed {count(removed.jobs, 'job')} with {count(removed.windows, 'window')}, "
        f"{count(removed.events, 'event')} and {count(removed.batches, 'batch', 'batches')}."
    )
