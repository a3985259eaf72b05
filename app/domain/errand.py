"""An errand: one small change that a client waits for, done by the worker between operations."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Any

from pydantic import BaseModel, ConfigDict

from app.domain.names import IndexName


class ErrandKind(StrEnum):
    BLOCK_WRITE = "blockWrite"
    TRIAL = "trial"


class Errand(BaseModel):
    """`ended_at` None: not done yet. The error is what its client is answered, or the `result`.

    `request`: what a kind must know beside the index.
    """

    model_config = ConfigDict(frozen=True)

    id: str
    kind: ErrandKind
    index_name: IndexName
    caller: str
    created_at: datetime
    ended_at: datetime | None
    error_code: str | None
    error_status: int | None
    error_message: str | None
    request: dict[str, Any] | None = None
    result: dict[str, Any] | None = None
