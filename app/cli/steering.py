"""The commands that steer what is queued: `cancel`, `pause`, `resume`, `retry`, `rollback`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import typer

from app.cli import asking, display, requests
from app.cli.client import Misuse
from app.cli.display import beyond, count
from app.cli.session import Session, batch_id, index_name
from app.domain.job import Action, Pending, State, Verdict
from app.wire.batches import SteeredBatch, SteeredOperation
from app.wire.operations import OperationSummary

_SOON = {
    Action.CANCEL: "is being cancelled; its index will be as it was found",
    Action.PAUSE: "is being paused",
    Action.RESUME: "goes on",
    Action.RETRY: "is tried again",
    Action.ROLL_BACK: "is being rolled back to its old index",
}
_DONE = {
    Action.CANCEL: (State.CANCELLED, "is cancelled; its index is as it was found"),
    Action.PAUSE: (State.PAUSED, "is paused"),
}


@dataclass(frozen=True)
class Aim:
    """What is to be steered: one index, or all of a batch. Raises `Misuse` unless it is one."""

    index: str | None
    batch: str | None

    def __post_init__(self) -> None:
        if (self.index is None) is (self.batch is None):
            raise Misuse("Name an index, or a batch with --batch.")


def steer(session: Session, action: Action, aim: Aim, body: Any = None) -> None:
    """1 where the service refuses, or where one of the batch was too late or was refused."""
    if aim.batch is not None:
        _batch(session, action, batch_id(aim.batch), body)
    elif aim.index is not None:
        _one(session, action, aim.index, body)


def _one(session: Session, action: Action, index: str, body: Any) -> None:
    if action is Action.CANCEL:  # as Kibana has it: by its name
        _cancel(session, index)
        return
    if session.curl:
        then = session.curl_of(requests.steer(action, "ID", body))
        session.print_curl(requests.newest_of(index_name(index)), then=f"then, with its id: {then}")
        return
    found = asking.newest(session, index)
    raw = session.client.send(requests.steer(action, found.id, body))
    if session.as_json:
        session.print_json(raw)
        return
    operation = session.client.understood(raw, OperationSummary)
    display.say(f"{index} {_became(action, operation)}. Look: reindex-queue status {index}")


def _cancel(session: Session, index: str) -> None:
    request = requests.cancel(index_name(index))
    if session.curl:
        session.print_curl(request)
        return
    answer = session.client.send(request)
    if session.as_json:
        session.print_json(answer)
        return
    became = _became(Action.CANCEL, asking.newest(session, index))
    display.say(f"{index} {became}. Look: reindex-queue status {index}")


def _became(action: Action, operation: OperationSummary | SteeredOperation) -> str:
    state, done = _DONE.get(action, (None, ""))
    words = done if operation.state is state else _SOON[action]
    return words + (f"; {blocked(operation)}" if action is Action.PAUSE else "")


def blocked(operation: OperationSummary | SteeredOperation) -> str:
    """Whether the index of one that is paused takes writes."""
    if operation.writes_blocked or operation.pending is Pending.PAUSING:
        return "writes to it stay blocked until it goes on or is cancelled"
    return "it was not begun, so its index takes writes"


def _batch(session: Session, action: Action, batch: str, body: Any) -> None:
    request = requests.steer_batch(action, batch, body)
    if session.curl:
        session.print_curl(request)
        return
    raw = session.client.send(request)
    answer = session.client.understood(raw, SteeredBatch)
    if session.as_json:
        session.print_json(raw)
    else:
        _show(action, answer)
    if answer.counts[Verdict.TOO_LATE] or answer.counts[Verdict.REFUSED]:
        raise typer.Exit(1)


def _show(action: Action, answer: SteeredBatch) -> None:
    rows = [
        display.Row(
            [one.index_name, one.state.value, _OUTCOMES[one.outcome]],
            one.reason or _became(action, one),
        )
        for one in answer.operations
    ]
    if rows:
        display.show(display.TextTable(("index", "state", "outcome"), rows))
    numbers = [f"{n:,} {_OUTCOMES[v]}" for v, n in answer.counts.items() if n]
    total = count(len(answer.operations), "operation")
    left = beyond(answer.others)
    display.say(f"{total}{left}: {', '.join(numbers)}." if numbers else _EMPTY)


_EMPTY = "The batch has no operations."
_OUTCOMES = {
    Verdict.CHANGED: "changed",
    Verdict.UNCHANGED: "unchanged",
    Verdict.TOO_LATE: "too late",
    Verdict.REFUSED: "refused",
}
