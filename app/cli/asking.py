"""The commands that change nothing: `status`, `queue`, `doctor`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import typer

from app.cli import display, requests, views
from app.cli.client import ServiceAway, Trouble
from app.cli.session import Session, index_name
from app.domain.job import ENDED_STATES, LIVE_STATES, State
from app.wire.notation import MOST_A_PAGE
from app.wire.operations import OperationDetails, OperationList, OperationSummary
from app.wire.service import CheckReport, DoctorAnswer, WorkerAnswer

RECENT = 5
MOST_ON_A_TERMINAL = 50


def overview(session: Session) -> None:
    """The worker, what is in hand, and what has ended last."""
    recent = requests.operations(ENDED_STATES, limit=RECENT, newest_first=True)
    if session.curl:
        session.print_curl(requests.worker(), recent)
        return
    raw = session.client.send(requests.worker())
    ended = session.client.send(recent)
    if session.as_json:
        session.print_json({"worker": raw, "recent": ended["operations"]})
        return
    answer = session.client.understood(raw, WorkerAnswer)
    views.worker(answer)
    if answer.in_hand:
        views.operations(answer.in_hand)
    if found := session.client.understood(ended, OperationList).operations:
        views.ended(found)


def index(session: Session, name: str) -> None:
    """All about the newest operation; 1 where it ended otherwise than completed."""
    asked = requests.newest_of(index_name(name))
    if session.curl:
        session.print_curl(asked, then=f"then, with its id: {_example(session)}")
        return
    found = newest(session, name)
    raw = session.client.send(requests.operation(found.id))
    operation = session.client.understood(raw, OperationDetails)
    if session.as_json:
        session.print_json(raw)
    else:
        views.details(operation, _others(session, operation.batch_id))
    if operation.state.ended and operation.state is not State.COMPLETED:
        raise typer.Exit(1)


def _others(session: Session, batch_id: str | None) -> int | None:
    """Of its batch, how many the caller may not see."""
    if batch_id is None:
        return None
    asked = requests.operations(limit=1, batch_id=batch_id)
    return session.client.ask(asked, OperationList).others


def _example(session: Session) -> str:
    return session.curl_of(requests.operation("ID"))


def newest(session: Session, name: str) -> OperationSummary:
    """The newest operation of an index. Raises `Trouble` where there was never one."""
    found = session.client.ask(requests.newest_of(index_name(name)), OperationList).operations
    if not found:
        raise Trouble(
            f"There was never an operation on {name}. Queue it: reindex-queue submit {name}"
        )
    return found[0]


def queue(session: Session, *, everything: bool) -> None:
    """Live operations in order; on a terminal the first ones only, unless all are wanted."""
    console = display.terminal()
    most = MOST_ON_A_TERMINAL if console and not everything and not session.as_json else None
    asked = requests.operations(LIVE_STATES, limit=most or MOST_A_PAGE, counts=True)
    if session.curl:
        session.print_curl(asked, then="where next is not null, again with &after= and its value")
        return
    raw = list(pages(session, LIVE_STATES, most=most))
    if session.as_json:
        session.print_json({"operations": [o for page in raw for o in page["operations"]]})
        return
    answers = [session.client.understood(page, OperationList) for page in raw]
    shown = [operation for answer in answers for operation in answer.operations]
    if not shown:
        display.say("The queue is empty.")
        return
    views.operations(shown)
    total = sum((answers[0].counts or {}).get(state, 0) for state in LIVE_STATES)
    if most and total > len(shown):
        display.say(f"and {total - len(shown):,} more; --all shows them", "dim")


def pages(
    session: Session,
    states: Sequence[State] = (),
    *,
    batch_id: str | None = None,
    most: int | None = None,
) -> Iterator[Any]:
    """The pages of a list as they come; only the first, of `most`, where that is given."""
    after = None
    while True:
        page = session.client.send(
            requests.operations(
                states,
                limit=most or MOST_A_PAGE,
                batch_id=batch_id,
                after=after,
                counts=after is None,
            )
        )
        yield page
        after = page.get("next")
        if after is None or most:
            return


def doctor(session: Session) -> None:
    """1 where something is wrong; a service that does not answer is a finding like others."""
    if session.curl:
        session.print_curl(requests.doctor())
        return
    try:
        raw = session.client.send(requests.doctor())
        answer = session.client.understood(raw, DoctorAnswer)
        finding = f"{answer.version} answers at {session.client.shown}"
        service = CheckReport(name="service", verdict="ok", finding=finding, remedy=None)
    except ServiceAway as error:
        answer = DoctorAnswer(healthy=False, version="", checks=[])
        service = CheckReport(name="service", verdict="wrong", finding=error.message, remedy=None)
    answer = answer.model_copy(update={"checks": [service, *answer.checks]})
    if session.as_json:
        session.print_json(answer.model_dump(mode="json", by_alias=True))
    else:
        views.doctor(answer)
    if not answer.healthy:
        raise typer.Exit(1)
