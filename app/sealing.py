"""Sealing: a secret is stored encrypted, and opens only for what it was sealed for.

What is sealed says inside for which purpose, cluster and address it is. So a row that somebody has
copied to another place in the database opens nothing there.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from cryptography.fernet import Fernet, InvalidToken, MultiFernet

from app.domain.errors import SecretUnusable
from app.domain.remedies import Command, Setting
from app.redaction import hide

_BETWEEN = re.compile(r"[,\s]+")
_KEYS = Setting.SECRET_KEYS


@dataclass(frozen=True)
class Seal:
    """What a secret is bound to. `address`: where it is used, or the id of its row."""

    purpose: str
    cluster: str
    address: str


@dataclass(frozen=True)
class KeysReport:
    """`number` of keys that can be used; `fault`: why none can, in a sentence."""

    number: int
    fault: SecretUnusable | None = None


class Sealing:
    """`keys`: the setting whenever it is asked for (None: not set), as its file may change while
    the service runs; it raises `ValueError` with a sentence where the file cannot be read."""

    def __init__(self, keys: Callable[[], str | None]) -> None:
        self._keys = keys

    def close(self, secret: str, seal: Seal) -> str:
        """`secret` as it is stored: ASCII, about 200 characters longer. Raises `SecretUnusable`."""
        inside = json.dumps({**asdict(seal), "secret": secret}).encode()
        return self._ring().encrypt(inside).decode()

    def open(self, sealed: str, seal: Seal, *, hides: bool = True) -> str:
        """What was sealed; from then on the log does not show it, unless `hides` says otherwise:
        of many that are soon over. Raises `SecretUnusable`: also where it was sealed for something
        else."""
        secret = self._opened(self._ring(), sealed, seal)
        if hides:
            hide([secret])
        return secret

    def anew(self, sealed: str, seal: Seal) -> str:
        """The same secret, encrypted with the first key. Raises `SecretUnusable`."""
        ring = self._ring()
        self._opened(ring, sealed, seal)
        return ring.rotate(sealed.encode()).decode()

    def report(self) -> KeysReport:
        """Whether secrets can be stored and read."""
        try:
            return KeysReport(len(self._usable()))
        except SecretUnusable as error:
            return KeysReport(0, error)

    def _opened(self, ring: MultiFernet, sealed: str, seal: Seal) -> str:
        try:
            inside: dict[str, Any] = json.loads(ring.decrypt(sealed.encode()))
            secret = str(inside.pop("secret"))
        except (InvalidToken, ValueError, KeyError):
            raise SecretUnusable(
                "not_opened",
                f"A stored secret ({seal.purpose}) is opened by none of the keys of {_KEYS}. Add "
                "the key that it was stored with to them, or enter the secret again.",
            ) from None
        if inside != asdict(seal):
            raise SecretUnusable(
                "sealed_for_another",
                f"A stored secret ({seal.purpose}) was stored for something else, and is not used. "
                "Enter the secret again.",
            )
        return secret

    def _ring(self) -> MultiFernet:
        """The first key encrypts, all decrypt. Raises `SecretUnusable`."""
        return MultiFernet(self._usable())

    def _usable(self) -> list[Fernet]:
        try:
            text = self._keys()
        except ValueError as error:
            raise SecretUnusable("wrong_keys", f"{error}.") from None
        if text is None:
            raise SecretUnusable(
                "no_keys",
                f"No secret can be stored or read, since {_KEYS} is not set. Make a key with: "
                f"{Command.NEW_KEY}",
            )
        return _checked(written_keys(text))


def written_keys(text: str) -> list[str]:
    """The keys in the text of the setting, which are divided by commas, blanks or lines."""
    return [key for key in _BETWEEN.split(text) if key]


def _checked(keys: Sequence[str]) -> list[Fernet]:
    hide(keys)
    found: list[Fernet] = []
    for number, key in enumerate(keys, 1):
        try:
            found.append(Fernet(key))
        except ValueError:
            raise SecretUnusable(
                "wrong_keys",
                f"{_KEYS}: number {number} of {len(keys)} is no key. Write keys as "
                f"{Command.NEW_KEY} prints them.",
            ) from None
    if not found:
        raise SecretUnusable("wrong_keys", f"{_KEYS} has no key in it.")
    return found
