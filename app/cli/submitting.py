"""The commands that ask for a change: `submit` and `cancel`."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from typing import Any

import typer
from pydantic import BaseModel

from app.api.v1.schemas import OperationList, OperationSummary
from app.cli import requests, tables, views, waiting, watching
from app.cli.session import INTERRUPTED, Session, index_name, tell
from app.cli.troubles import Misuse, Trouble
from app.cli.words import clean, count
from app.domain.state import State

STDIN = "-"
UNWELL = (State.FAILED, State.CANCELLED, State.PAUSED)


class Refused(BaseModel):
    indexName: str
    message: str


class Queued(BaseModel):
    indexName: str


class Batch(BaseModel):
    """What is needed of the answer to a batch."""

    enqueued: list[Queued]
    errors: list[Refused]


def submit(session: Session, given: Sequence[str], *, wait: bool) -> None:
    names = list(_names(given))
    if not names:
        raise Misuse("No names were given.")
    request = requests.batch(names)
    if session.curl:
        asked = [request, *([requests.newest_of(names[0])] if wait else [])]
        then = "again every second; its batchId leads to the others: &batch=" if wait else ""
        session.print_curl(*asked, then=then)
        return
    raw = session.client.send(request)
    answer = session.client.understood(raw, Batch)
    waits = wait and bool(answer.enqueued)
    for one in answer.errors:
        tell(f"not queued: {clean(one.indexName)}: {clean(one.message)}")
    if not session.as_json:
        tables.say(f"{count(len(answer.enqueued), 'index', 'indices')} queued.")
    elif not waits:
        session.print_json(raw)
    well = not answer.errors
    if waits:
        well &= _wait(session, answer.enqueued[0].indexName)
    if not well:
        raise typer.Exit(1)


def _names(given: Sequence[str]) -> Iterator[str]:
    for name in given:
        if name == STDIN:
            yield from _from_stdin()
        else:
            yield name


def _from_stdin() -> list[str]:
    """Names divided by white space, such as the lines of `_cat/indices?h=index`."""
    try:
        return sys.stdin.buffer.read().decode().split()
    except UnicodeDecodeError:
        raise Misuse("The names on standard input are not UTF-8.") from None


def _wait(session: Session, first: str) -> bool:
    """Until the batch to which `first` belongs has ended; False where not all completed."""
    client = session.client
    found = client.ask(requests.newest_of(first), OperationList).operations
    if not found or found[0].batch_id is None:
        raise Trouble(f"The operation on {first} is not to be found. Look: reindex-queue queue")
    batch_id = found[0].batch_id
    look = watching.patient(watching.batch(client, batch_id), tell)
    try:
        view = waiting.silently(look) if session.as_json else waiting.wait(look)
    except KeyboardInterrupt:
        tell("Stopped waiting. The work goes on; look again with: reindex-queue status --watch")
        raise typer.Exit(INTERRUPTED) from None
    if session.as_json:
        session.print_json({"operations": _pages(session, batch_id)})
        return view.well
    tables.say(views.counted(view.counts))
    if not view.well:
        others = _pages(session, batch_id, UNWELL)
        views.ended([OperationSummary.model_validate(one) for one in others])
    return view.well


def _pages(session: Session, batch_id: str, states: Sequence[State] = ()) -> list[Any]:
    pages = session.pages(states, batch_id=batch_id)
    return [operation for page in pages for operation in page["operations"]]


def cancel(session: Session, name: str) -> None:
    request = requests.cancel(index_name(name))
    if session.curl:
        session.print_curl(request)
        return
    answer = session.client.send(request)
    if session.as_json:
        session.print_json(answer)
        return
    tables.say(
        f"{name} is being cancelled; its index will be as it was found. "
        f"Look: reindex-queue status {name}"
    )
