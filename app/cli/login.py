"""Logging in to a service: by the environment only, since arguments can be seen."""

from __future__ import annotations

import os
from base64 import b64encode
from dataclasses import dataclass, field
from pathlib import Path

from app.cli.troubles import Misuse

OWN = "REINDEX_QUEUE"
SERVER = "SERVER"
"""The service's own settings serve where it is looked for on this machine by its own settings."""


@dataclass(frozen=True)
class Login:
    """`header` is sent as `authorization`; `curl` are words for a shell, without the secret."""

    header: str | None = field(default=None, repr=False)
    curl: str = ""


def login(*, here: bool) -> Login:
    """`here`: the address is the default one, so the login may be the service's own settings.

    Raises `Misuse`.
    """
    for prefix in (OWN, SERVER) if here else (OWN,):
        if key := _secret(f"{prefix}_APIKEY"):
            return Login(
                f"ApiKey {_sendable(prefix, key[0])}", f'-H "authorization: ApiKey {key[1]}"'
            )
        name = os.environ.get(f"{prefix}_USERNAME")
        password = _secret(f"{prefix}_PASSWORD")
        if name and password:
            basic = b64encode(f"{name}:{password[0]}".encode(errors="surrogateescape")).decode()
            return Login(f"Basic {basic}", f'-u "${prefix}_USERNAME:{password[1]}"')
    return Login()


def _sendable(prefix: str, key: str) -> str:
    if not key.isprintable():
        raise Misuse(f"{prefix}_APIKEY: it has characters that cannot be sent, such as a new line.")
    return key


def _secret(variable: str) -> tuple[str, str] | None:
    """The secret, and how a shell writes it; also from the file that `NAME_FILE` names."""
    if value := os.environ.get(variable):
        return value, f"${variable}"
    if not (path := os.environ.get(f"{variable}_FILE")):
        return None
    try:
        return Path(path).read_text().rstrip("\r\n"), f"$(cat ${variable}_FILE)"
    except (OSError, UnicodeDecodeError) as error:
        raise Misuse(f"{variable}_FILE: cannot read {path}: {error}") from None
