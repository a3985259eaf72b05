"""The command `submit`: names into the queue."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import typer

from app.cli import display, requests
from app.cli.client import Misuse, Trouble
from app.cli.display import count
from app.cli.session import Session, names_of, tell
from app.domain.formatting import printable
from app.wire.indices import IndexList
from app.wire.kibana import BatchAnswer
from app.wire.notation import MOST_NAMES


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
    pages = list(_outdated(session))
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
        display.say(f"{left} too old for the next major version.")


def _outdated(session: Session) -> Iterator[IndexList]:
    """The pages of those that the next major version does not open."""
    after = None
    while True:
        page = session.client.ask(requests.outdated(after), IndexList)
        yield page
        after = page.next
        if after is None:
            return


def _send(session: Session, names: Sequence[str], *, wait: bool) -> None:
    """As many batches as the names need, queued one behind the other."""
    answers = _post(session, names)
    batches = [session.client.understood(answer, BatchAnswer) for answer in answers]
    firsts = [batch.enqueued[0].index_name for batch in batches if batch.enqueued]
    waits = wait and bool(firsts)
    for one in (error for batch in batches for error in batch.errors):
        tell(f"not queued: {printable(one.index_name)}: {printable(one.message)}")
    if not session.as_json:
        queued = sum(len(batch.enqueued) for batch in batches)
        display.say(f"{count(queued, 'index', 'indices')} queued.")
    elif not waits:
        session.print_json(_as_one(answers))
    well = not any(batch.errors for batch in batches)
    if waits:
        from app.cli import waiting

        well &= waiting.wait_for(session, firsts)
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


def _requests(names: Sequence[str]) -> list[requests.Call]:
    parts = range(0, len(names), MOST_NAMES)
    return [requests.batch(names[start : start + MOST_NAMES]) for start in parts]


def _as_one(answers: Sequence[Any]) -> Any:
    lists = ("enqueued", "errors")
    together = {key: [one for answer in answers for one in answer[key]] for key in lists}
    return {**answers[0], **together}
