"""The commands that change nothing: `status`, `queue`, `doctor`."""

from __future__ import annotations

import typer

from app.api.v1.schemas import (
    MOST_A_PAGE,
    CheckReport,
    DoctorAnswer,
    OperationDetails,
    OperationList,
    OperationSummary,
    WorkerAnswer,
)
from app.cli import requests, tables, views, watching
from app.cli.session import INTERRUPTED, Session, index_name, tell
from app.cli.troubles import ServiceAway, Trouble
from app.domain.state import ENDED, LIVE, State

RECENT = 5
MOST_ON_A_TERMINAL = 50


def overview(session: Session) -> None:
    """The worker, what is in hand, and what has ended last."""
    recent = requests.operations(ENDED, limit=RECENT, newest_first=True)
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
        views.details(operation)
    if operation.state.ended and operation.state is not State.COMPLETED:
        raise typer.Exit(1)


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


def watch(session: Session, name: str | None, seconds: float) -> None:
    """A line a refresh; 1 where something failed meanwhile."""
    if session.curl:
        asked = requests.worker() if name is None else requests.newest_of(index_name(name))
        session.print_curl(asked, then=f"again every {seconds:g} seconds")
        return
    client = session.client
    if name is None:
        look = watching.whole_queue(client)
    else:
        look = watching.newest_of(client, newest(session, name).index_name)
    try:
        lines = watching.Lines(as_json=session.as_json)
        view = watching.follow(watching.patient(look, tell), seconds, lines)
    except KeyboardInterrupt:
        raise typer.Exit(INTERRUPTED) from None
    if not sum(view.counts.values()) and not session.as_json:
        tables.say("The queue is empty.")
    if view.counts[State.FAILED] or (name is not None and not view.well):
        raise typer.Exit(1)


def queue(session: Session, *, everything: bool) -> None:
    """Live operations in order; on a terminal the first ones only, unless all are wanted."""
    console = tables.terminal()
    most = MOST_ON_A_TERMINAL if console and not everything and not session.as_json else None
    asked = requests.operations(LIVE, limit=most or MOST_A_PAGE, counts=True)
    if session.curl:
        session.print_curl(asked, then="where next is not null, again with &after= and its value")
        return
    raw = list(session.pages(LIVE, most=most))
    if session.as_json:
        session.print_json({"operations": [o for page in raw for o in page["operations"]]})
        return
    pages = [session.client.understood(page, OperationList) for page in raw]
    shown = [operation for page in pages for operation in page.operations]
    if not shown:
        tables.say("The queue is empty.")
        return
    views.operations(shown)
    total = sum((pages[0].counts or {}).get(state, 0) for state in LIVE)
    if most and total > len(shown):
        tables.say(f"and {total - len(shown):,} more; --all shows them", "dim")


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
