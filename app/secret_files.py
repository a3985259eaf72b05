"""`NAME_FILE` for a secret `NAME`: the content of the file it names, as containers are given it."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pydantic.fields import FieldInfo
from pydantic_settings import PydanticBaseSettingsSource

from app.domain.files import Stamp, stamp
from app.redaction import hide
from app.telemetry import logger

log = logger(__name__)

SUFFIX = "_FILE"
READ_LATER = frozenset({"reindex_secret_keys"})
"""Their files are read when they are asked for: the service does its work without them."""


def is_secret(field: FieldInfo) -> bool:
    return "SecretStr" in str(field.annotation)


def plain(secret: str) -> str:
    """A line break at the end of a secret is no part of it."""
    return secret.rstrip("\r\n")


class SecretFiles(PydanticBaseSettingsSource):
    """Reads every secret field's file; the variable itself wins. A last line break is left out.

    Raises `ValueError` naming the variable where both are set, or the file is empty or cannot be
    read.
    """

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:
        del field
        variable = field_name.upper()
        path = _path(variable)
        if not path:
            return None, field_name, False
        if os.environ.get(variable):
            raise ValueError(f"set {variable} or {variable}{SUFFIX}, not both")
        return _read(variable, path), field_name, False

    def __call__(self) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for name, field in self.settings_cls.model_fields.items():
            if not is_secret(field) or name in READ_LATER:
                continue
            value, key, _ = self.get_field_value(field, name)
            if value is not None:
                found[key] = value
        return found


class SecretFile:
    """The secret of such a file, whenever it is asked for; read again where the file has changed.

    What cannot be read, is empty, or is refused by `check` (with `ValueError`) leaves the secret as
    it was: a file may be in the middle of being replaced.
    """

    def __init__(
        self, variable: str, path: Path, secret: str, check: Callable[[str], None]
    ) -> None:
        self._variable = variable
        self._path = path
        self._check = check
        self._secret = secret
        self._seen: Stamp | None = None

    @classmethod
    def of(
        cls, variable: str, secret: str | None, check: Callable[[str], None]
    ) -> SecretFile | None:
        """None where the variable has no file."""
        path = _path(variable)
        return cls(variable, path, secret, check) if path and secret else None

    def __call__(self) -> str:
        found = stamp(self._path)
        if found != self._seen:
            self._seen = found
            try:
                secret = _read(self._variable, self._path)
                self._check(secret)
                hide([secret])
                self._secret = secret
            except ValueError as error:
                log.warning("secret_not_read", name=self._variable, why=str(error))
        return self._secret


class LateSecret:
    """A secret that may be missing or wrong: of the setting `given`, else of its file."""

    def __init__(self, variable: str, given: str | None) -> None:
        self._variable = variable
        self._given = given

    def __call__(self) -> str | None:
        """None where neither is set. Raises `ValueError` where the file is empty or cannot be read,
        or both are set."""
        path = _path(self._variable)
        if path and self._given:
            raise ValueError(f"set {self._variable} or {self._variable}{SUFFIX}, not both")
        return _read(self._variable, path) if path else self._given


def _path(variable: str) -> Path | None:
    name = os.environ.get(variable + SUFFIX)
    return Path(name) if name else None


def _read(variable: str, path: Path) -> str:
    """Raises `ValueError`."""
    try:
        secret = plain(path.read_bytes().decode("utf-8-sig"))
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is not text in UTF-8"
        raise ValueError(f"{variable}{SUFFIX}: cannot read {path}: {reason}") from None
    if not secret:  # as if nothing were set: the door would be open
        raise ValueError(f"{variable}{SUFFIX}: {path} is empty")
    return secret
