"""An errand: one small change that a client waits for, done by the worker between operations."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Any

from pydantic import BaseModel, ConfigDict

from app.domain.errors import ClusterForbids, ClusterRefused, Failure, ReindexQueueError
from app.domain.names import IndexName


class ErrandKind(StrEnum):
    BLOCK_WRITE = "blockWrite"
    TRIAL = "trial"


class Errand(BaseModel):
    """`ended_at` None: not done yet. The error is what its client is answered, or the `result`.

    `error_status`: Elasticsearch's, where it refused. `request`: what a kind must know beside the
    index.
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

    @property
    def error(self) -> ErrandFailed | None:
        """What the worker met, if anything."""
        if self.error_message is None:
            return None
        return ErrandFailed(self.error_code or "error", self.error_message, self.error_status)


class ErrandFailed(ReindexQueueError):
    """An error that the worker has met and saved, for the client that waits for the errand.

    `kind`: the class it had there, as far as its code and Elasticsearch's `status` tell.
    """

    def __init__(self, code: str, message: str, status: int | None) -> None:
        super().__init__(message)
        self.code = code
        self.kind: type[ReindexQueueError] = _kind_of(code)
        if status is not None:
            self.kind = ClusterForbids if status == 403 else ClusterRefused


def _kind_of(code: str) -> type[ReindexQueueError]:
    """The class with that `code`; a failure has one of its own."""
    known = [ReindexQueueError]
    for kind in known:
        if kind.code == code:
            return kind
        known += kind.__subclasses__()
    return Failure
