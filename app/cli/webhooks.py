"""The commands about webhooks: `webhook create`, `list`, `show`, `test`, `on`, `off`, `rotate`,
`delete`."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

import typer
from pydantic import ValidationError

from app.cli import display
from app.cli.client import Misuse
from app.cli.display import Row, TextTable
from app.cli.requests import Call
from app.cli.session import Session
from app.domain.events import EventKind
from app.domain.token import NAME_RULE
from app.wire.webhooks import (
    NewWebhook,
    WebhookAnswer,
    WebhookList,
    WebhookPlaceReport,
    WebhookReport,
    WebhookTest,
)

WEBHOOKS = "/api/v1/webhooks"
COLUMNS = ("webhook", "state", "host", "kinds", "delivered", "trouble")
FAILED = 1
"""The exit code where a test is not delivered."""


def create(session: Session, name: str, address: str, kinds: Sequence[str] | None) -> None:
    body: dict[str, Any] = {"name": name, "url": _address(address)}
    for kind in kinds or ():
        if kind not in set(EventKind):
            raise Misuse(f"--kind {kind!r}: there is no such kind; docs/events.md lists them.")
    if kinds:
        body["kinds"] = list(kinds)
    try:
        NewWebhook.model_validate(body)
    except ValidationError as error:
        fault = error.errors(include_input=False)[0]
        if fault["loc"] == ("name",):
            raise Misuse(f"{name!r}: a webhook's name must be {NAME_RULE}.") from None
        raise Misuse(f"{fault['loc'][0]}: {fault['msg']}") from None
    _answered(session, Call("POST", WEBHOOKS, body=body))


def list_all(session: Session) -> None:
    session.ask(Call("GET", WEBHOOKS), WebhookList, _show_all)


def _show_all(answer: WebhookList) -> None:
    if answer.webhooks:
        display.show(TextTable(COLUMNS, [_row(webhook) for webhook in answer.webhooks]))
    else:
        display.say("There is no webhook yet. Make one: reindex-queue webhook create NAME ADDRESS")


def show(session: Session, name: str) -> None:
    asked = Call("GET", _path(name))
    session.ask(asked, WebhookReport, lambda webhook: display.show_grid(_lines(webhook)))


def test(session: Session, name: str) -> None:
    def told(answer: WebhookTest) -> None:
        if answer.delivered:
            display.say(f"The test was delivered: {name} answered with {answer.status}.")
        else:
            display.say(f"The test was not delivered. {answer.reason}")

    answer = session.ask(Call("POST", f"{_path(name)}/test"), WebhookTest, told)
    if answer and not answer.delivered:
        raise typer.Exit(FAILED)


def switch(session: Session, name: str, *, on: bool) -> None:
    _answered(session, Call("PATCH", _path(name), body={"on": on}))


def rotate(session: Session, name: str) -> None:
    _answered(session, Call("PATCH", _path(name), body={"rotateSecret": True}))


def delete(session: Session, name: str) -> None:
    said = f"The webhook {name} is deleted: nothing is sent to it any more."
    session.ask(Call("DELETE", _path(name)), WebhookReport, lambda _: display.say(said))


def _answered(session: Session, asked: Call) -> None:
    """Sends a change, and shows the webhook as it is then, with a secret that is new."""
    session.ask(asked, WebhookAnswer, _show_answer)


def _show_answer(answer: WebhookAnswer) -> None:
    secret = [("secret", answer.secret)] if answer.secret else []
    display.show_grid([*_lines(answer.webhook), *secret])
    if secret:
        display.say("Keep the secret now: it is not shown again.")


def _address(given: str) -> str:
    return sys.stdin.readline().strip() if given == "-" else given


def _path(name: str) -> str:
    if not name:
        raise Misuse("The name is empty: write the name of a webhook, as webhook list shows it.")
    return f"{WEBHOOKS}/{quote(name, safe='')}"


def _row(webhook: WebhookReport) -> Row:
    delivered = [place.delivered_at for place in webhook.places if place.delivered_at]
    troubles = [place.trouble for place in webhook.places if place.trouble]
    return Row(
        (
            webhook.name,
            "on" if webhook.on else "off",
            webhook.host,
            _kinds(webhook),
            _time(max(delivered, default=None)),
            webhook.off_reason or "; ".join(dict.fromkeys(troubles)),
        )
    )


def _lines(webhook: WebhookReport) -> list[tuple[str, str]]:
    found = [
        ("webhook", webhook.name),
        ("id", webhook.id),
        ("host", webhook.host),
        ("state", "on" if webhook.on else "off"),
        ("kinds", _kinds(webhook)),
        ("made by", webhook.created_by),
    ]
    if webhook.off_reason:
        found.append(("switched off", webhook.off_reason))
    return [*found, *((place.cluster, _place(place)) for place in webhook.places)]


def _place(place: WebhookPlaceReport) -> str:
    said = [f"sent up to event {place.number}"]
    if place.skipped:
        said.append(f"{place.skipped} were pruned before they could be sent")
    if place.delivered_at:
        said.append(f"last delivered {_time(place.delivered_at)}")
    if place.trouble:
        said.append(place.trouble)
    return "; ".join(said)


def _kinds(webhook: WebhookReport) -> str:
    return "all" if webhook.kinds is None else ",".join(webhook.kinds)


def _time(at: datetime | None) -> str:
    return at.astimezone(UTC).strftime("%Y-%m-%d %H:%M UTC") if at else ""
