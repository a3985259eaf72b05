"""The wire models of a failure."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from app.api.v1.wire import Wire
from app.domain.failure import FailureClass

FailedStep = Literal[
    "prepare", "writeBlock", "createTarget", "planCopy", "copy", "restoreSettings", "swap"
]


class FailedDocumentReport(Wire):
    """A document that Elasticsearch refused, by its error `type`; `id` null: a search failed."""

    id: str | None
    type: str
    reason: str


class FailureReport(Wire):
    """Why it failed, for programs, and what to do about it.

    `class`: what kind of trouble it is. `step`: what was being done. `remedy`: what to do next.
    `documents`: the first ten that were refused; `counts`: how many by error type, in the batch at
    which the copy stopped.
    """

    kind: FailureClass = Field(alias="class")
    step: FailedStep
    message: str
    remedy: str
    documents: list[FailedDocumentReport]
    counts: dict[str, int]
