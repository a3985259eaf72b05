"""The command `submit`: names into the queue, and waiting for them."""

from __future__ import annotations

import re
import sys
from collections.abc import Sequence
from typing import Any, TextIO

import typer
from pydantic import BaseModel

from app.api.schemas import MOST_NAMES
from app.api.v1.schemas import OperationList, OperationSummary
from app.cli import requests, tables, views, waiting, watching
from app.cli.session import INTERRUPTED, Session, tell
from app.cli.troubles import Misuse, Trouble
from app.cli.words import count
from app.domain.state import State
from app.domain.texts import printable

STDIN = "-"
_BETWEEN = re.compile(r"[ \t\r\n]+")
"""Names in a text; other spaces may be part of one."""
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
    names = names_of(given)
    if not names:
        raise Misuse("No names were given; --outdated takes all that need it.")
    if session.curl:
        asked = [*_requests(names), *([requests.newest_of(names[0])] if wait else [])]
        then = "again every second; its batchId leads to the others: &batch=" if wait else ""
        session.print_curl(*asked, then=then)
        return
    _send(session, names, wait=wait)


def submit_outdated(session: Session, given: Sequence[str], *, wait: bool) -> None:
    """All candidates that nothing speaks against; the others are told with their reasons."""
    if given:
        raise Misuse("Give names or --outdated, not both.")
    if session.curl:
        then = "and the names of those without blockers to POST /api/v1/batches"
        session.print_curl(requests.outdated(), then=then)
        return
    pages = list(session.outdated())
    found = [index for page in pages for index in page.indices]
    for one in found:
        if one.blockers:
            tell(f"left out: {printable(one.index)}: {printable(one.blockers[0].message)}")
    if read_only := pages[0].counts.read_only:
        tell(
            f"left out: {count(read_only, 'index', 'indices')} with the write block, which the "
            "next major version opens for reading only"
        )
    if names := [one.index for one in found if not one.blockers]:
        _send(session, names, wait=wait)
    elif session.as_json:
        session.print_json({"enqueued": [], "errors": []})
    else:
        left = "Nothing else is" if found else "No index is"
        tables.say(f"{left} too old for the next major version.")


def _send(session: Session, names: Sequence[str], *, wait: bool) -> None:
    """As many batches as the names need, queued one behind the other."""
    answers = _post(session, names)
    batches = [session.client.understood(answer, Batch) for answer in answers]
    firsts = [batch.enqueued[0].indexName for batch in batches if batch.enqueued]
    waits = wait and bool(firsts)
    for one in (error for batch in batches for error in batch.errors):
        tell(f"not queued: {printable(one.indexName)}: {printable(one.message)}")
    if not session.as_json:
        queued = sum(len(batch.enqueued) for batch in batches)
        tables.say(f"{count(queued, 'index', 'indices')} queued.")
    elif not waits:
        session.print_json(_as_one(answers))
    well = not any(batch.errors for batch in batches)
    if waits:
        well &= _wait(session, firsts)
    if not well:
        raise typer.Exit(1)


def _post(session: Session, names: Sequence[str]) -> list[Any]:
    """The answers. Where one does not come, it is told how many were sent before."""
    answers: list[Any] = []
    for request in _requests(names):
        try:
            answers.append(session.client.send(request))
        except Trouble:
            if answers:
                tell(
                    f"The first {len(answers) * MOST_NAMES:,} of {len(names):,} names were sent. "
                    "Send all again for the others: what is queued is not queued twice."
                )
            raise
    return answers


def _requests(names: Sequence[str]) -> list[requests.Request]:
    parts = range(0, len(names), MOST_NAMES)
    return [requests.batch(names[start : start + MOST_NAMES]) for start in parts]


def _as_one(answers: Sequence[Any]) -> Any:
    lists = ("enqueued", "errors")
    together = {key: [one for answer in answers for one in answer[key]] for key in lists}
    return {**answers[0], **together}


def names_of(given: Sequence[str]) -> list[str]:
    """The names given; `-` stands for those on standard input. Raises `Misuse`."""
    if "" in given:
        raise Misuse("A name is empty: leave it out, or write the name of an index.")
    return [name for one in given for name in (_from_stdin() if one == STDIN else [one])]


def _from_stdin() -> list[str]:
    """Names divided by white space, such as the lines of `_cat/indices?h=index`."""
    stdin: TextIO | None = sys.stdin  # None where it was closed
    if stdin is None:
        raise Misuse("There is no standard input: give names, or a file with < FILE.")
    try:
        return [name for name in _BETWEEN.split(stdin.buffer.read().decode()) if name]
    except OSError as error:
        raise Misuse(f"Standard input cannot be read: {error.strerror}. Give names.") from None
    except UnicodeDecodeError:
        raise Misuse("The names on standard input are no text: write them as UTF-8.") from None


def _wait(session: Session, firsts: Sequence[str]) -> bool:
    """Until the batches to which these belong have ended; False where not all completed."""
    batch_ids = [_batch_of(session, first) for first in firsts]
    views_of = [_watched(session, batch_id) for batch_id in batch_ids]
    if session.as_json:
        ended = [one for batch_id in batch_ids for one in _pages(session, batch_id)]
        session.print_json({"operations": ended})
        return all(view.well for view in views_of)
    for batch_id, view in zip(batch_ids, views_of, strict=True):
        tables.say(views.counted(view.counts))
        if not view.well:
            others = _pages(session, batch_id, UNWELL)
            views.ended([OperationSummary.model_validate(one) for one in others])
    return all(view.well for view in views_of)


def _batch_of(session: Session, first: str) -> str:
    found = session.client.ask(requests.newest_of(first), OperationList).operations
    if not found or found[0].batch_id is None:
        raise Trouble(f"The operation on {first} is not to be found. Look: reindex-queue queue")
    return found[0].batch_id


def _watched(session: Session, batch_id: str) -> watching.View:
    look = watching.patient(watching.batch(session.client, batch_id), tell)
    try:
        return waiting.silently(look) if session.as_json else waiting.wait(look)
    except KeyboardInterrupt:
        tell("Stopped waiting. The work goes on; look again with: reindex-queue status --watch")
        raise typer.Exit(INTERRUPTED) from None


def _pages(session: Session, batch_id: str, states: Sequence[State] = ()) -> list[Any]:
    pages = session.pages(states, batch_id=batch_id)
    return [operation for page in pages for operation in page["operations"]]
