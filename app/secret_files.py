"""`NAME_FILE` for a secret `NAME`: the content of the file it names, as containers are given it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from pydantic import SecretStr
from pydantic.fields import FieldInfo
from pydantic_settings import PydanticBaseSettingsSource

SUFFIX = "_FILE"


class SecretFiles(PydanticBaseSettingsSource):
    """Reads every secret field's file; the variable itself wins. A last line break is left out.

    Raises `ValueError` naming the variable where both are set, or the file is empty or cannot be
    read.
    """

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:
        del field
        variable = field_name.upper()
        name = os.environ.get(variable + SUFFIX)
        if not name:
            return None, field_name, False
        if os.environ.get(variable):
            raise ValueError(f"set {variable} or {variable}{SUFFIX}, not both")
        try:
            secret = Path(name).read_text().rstrip("\r\n")
        except (OSError, UnicodeDecodeError) as error:
            reason = getattr(error, "strerror", None) or "it is not text"
            raise ValueError(f"{variable}{SUFFIX}: cannot read {name}: {reason}") from None
        if not secret:  # as if nothing were set: the door would be open
            raise ValueError(f"{variable}{SUFFIX}: {name} is empty")
        return secret, field_name, False

    def __call__(self) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for name, field in self.settings_cls.model_fields.items():
            if "SecretStr" not in str(field.annotation):
                continue
            value, key, _ = self.get_field_value(field, name)
            if value is not None:
                found[key] = SecretStr(value)
        return found
