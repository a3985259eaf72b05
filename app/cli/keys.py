"""`keys new`: a key as the service's setting takes it; `keys rotate`."""

from __future__ import annotations

import base64
import secrets

import typer

from app.cli import display, requests
from app.cli.display import count
from app.cli.session import Session, tell
from app.wire.keys import RotationAnswer

BYTES = 32
"""Half of them sign, half of them encrypt (Fernet)."""


def show_new() -> None:
    """Of the system's own source of chance."""
    display.say_lines([base64.urlsafe_b64encode(secrets.token_bytes(BYTES)).decode()])


def rotate(session: Session) -> None:
    """1 where a secret could not be opened."""

    def told(answer: RotationAnswer) -> None:
        display.say(f"Encrypted {count(answer.encrypted, 'secret')} with the first key.")

    answer = session.ask(requests.rotate_keys(), RotationAnswer, told)
    if answer and answer.not_opened:
        tell(
            f"{count(answer.not_opened, 'secret')} could not be opened, and stayed as before. Add "
            "the key that it was stored with to REINDEX_SECRET_KEYS, or enter the secret again."
        )
        raise typer.Exit(1)
