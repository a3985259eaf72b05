"""`adopt`: a person says that this database goes on."""

from __future__ import annotations

from collections.abc import Sequence

from app.cli import display, requests
from app.cli.display import count
from app.cli.session import Session
from app.wire.adoption import AdoptAnswer


def adopt(session: Session, *, keep_tokens: bool) -> None:
    def told(answer: AdoptAnswer) -> None:
        show_adopted(answer.revoked_tokens, answer.switched_off_webhooks)

    session.ask(requests.adopt(keep_tokens=keep_tokens), AdoptAnswer, told)


def show_adopted(revoked: Sequence[str], switched_off: Sequence[str]) -> None:
    """Also where it was done here, without a service."""
    display.say("This database goes on. The worker leaves its mark in the cluster first.")
    if revoked:
        display.say(f"Revoked {count(len(revoked), 'token')}: {', '.join(revoked)}")
    if switched_off:
        display.say(
            f"Switched off {count(len(switched_off), 'webhook')}: {', '.join(switched_off)}"
        )
