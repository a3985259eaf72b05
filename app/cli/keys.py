"""`keys new`: a key as the service's setting takes it."""

from __future__ import annotations

import base64
import secrets

from app.cli import display

BYTES = 32
"""Half of them sign, half of them encrypt (Fernet)."""


def show_new() -> None:
    """Of the system's own source of chance."""
    display.say_lines([base64.urlsafe_b64encode(secrets.token_bytes(BYTES)).decode()])
