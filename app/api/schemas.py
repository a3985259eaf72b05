"""The wire models of Kibana: camelCase, the always-present keys null, the others absent."""

from __future__ import annotations

import operator
from collections.abc import Callable
from functools import partial
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StrictStr
from pydantic.alias_generators import to_camel
from pydantic_core import PydanticCustomError

from app.domain.operation import Operation, Status, Step

MOST_NAMES = 10_000

_is_none: Callable[[Any], bool] = partial(operator.is_, None)
"""Not a function of our own: it is called for every absent key of every operation."""


class Wire(BaseModel):
    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True)


def _whole_text(value: str) -> str:
    """JSON can spell half a surrogate pair, which no answer and no database can repeat."""
    try:
        value.encode()
    except UnicodeEncodeError as error:
        raise PydanticCustomError("unicode", "the string is not valid Unicode") from error
    return value


GivenName = Annotated[StrictStr, AfterValidator(_whole_text)]


class BatchBody(Wire):
    """The names to queue, in the order in which they are to be worked off."""

    model_config = ConfigDict(
        alias_generator=to_camel,
        extra="forbid",
        populate_by_name=False,
        json_schema_extra={"examples": [{"indexNames": ["logs-2019", "logs-2020"]}]},
    )

    index_names: Annotated[list[GivenName], Field(max_length=MOST_NAMES)]


class QueueSettings(Wire):
    """Milliseconds since 1970; `startedAt` once the worker has taken it."""

    queued_at: int
    started_at: int | None = Field(default=None, exclude_if=_is_none)


class ReindexOptions(Wire):
    open_and_close: bool | None = Field(default=None, exclude_if=_is_none)
    queue_settings: QueueSettings | None = Field(default=None, exclude_if=_is_none)


class ReindexOperation(Wire):
    """An operation as Kibana shows it.

    `status`: 0 in progress (also waiting), 1 completed, 2 failed, 3 paused, 4 cancelled.
    `lastCompletedStep`: 0 created, 20 read-only, 30 new index created, 40 reindex started,
    50 reindex completed, 55 settings restored, 60 alias created.
    `reindexTaskPercComplete`: 0 to 1. `locked`: set while the worker has it, null in the end.
    """

    index_name: str
    new_index_name: str
    status: int
    last_completed_step: int
    locked: str | None
    reindex_task_id: str | None
    reindex_task_perc_complete: float | None
    error_message: str | None
    running_reindex_count: int | None
    reindex_options: ReindexOptions | None = Field(default=None, exclude_if=_is_none)
    backup_settings: dict[str, str] | None = Field(default=None, exclude_if=_is_none)

    @classmethod
    def of(cls, operation: Operation) -> ReindexOperation:
        """Checked in one go with its parts, which takes half the time of making each by itself."""
        running = operation.status is Status.IN_PROGRESS and operation.started_at is not None
        return cls.model_validate(
            {
                "indexName": operation.index_name,
                "newIndexName": operation.new_index_name,
                "status": operation.status,
                "lastCompletedStep": operation.last_completed_step,
                "locked": operation.updated_at.isoformat(timespec="seconds") if running else None,
                "reindexTaskId": operation.reindex_task_id,
                "reindexTaskPercComplete": operation.reindex_task_perc_complete,
                "errorMessage": operation.error_message,
                "runningReindexCount": None,
                "reindexOptions": _options(operation),
                "backupSettings": _backup(operation),
            }
        )


def _options(operation: Operation) -> dict[str, Any] | None:
    queue = (
        None
        if operation.single
        else {"queuedAt": operation.queued_at, "startedAt": operation.started_at}
    )
    known = operation.source and operation.last_completed_step >= Step.REINDEX_STARTED
    closed = operation.source.closed if operation.source and known else None
    if queue is None and closed is None:
        return None
    return {"openAndClose": closed, "queueSettings": queue}


def _backup(operation: Operation) -> dict[str, str] | None:
    if operation.source is None or operation.last_completed_step < Step.NEW_INDEX_CREATED:
        return None
    keys = ("index.number_of_replicas", "index.refresh_interval")
    found = {key: operation.source.settings.get(key) for key in keys}
    return {key: value for key, value in found.items() if value is not None}


class BatchError(Wire):
    index_name: str
    message: str


class BatchAnswer(Wire):
    enqueued: list[ReindexOperation]
    errors: list[BatchError]


class QueueAnswer(Wire):
    queue: list[ReindexOperation]


class StatusAnswer(Wire):
    reindex_op: ReindexOperation | None = Field(default=None, exclude_if=_is_none)


class CancelAnswer(Wire):
    acknowledged: bool = True


class ErrorEnvelope(Wire):
    """Every error of this service."""

    status_code: int
    error: str
    message: str
