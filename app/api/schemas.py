"""The wire models of Kibana: camelCase, the always-present keys null, the others absent."""

from __future__ import annotations

import json
import operator
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    StrictBool,
    StrictStr,
    model_validator,
)
from pydantic.alias_generators import to_camel
from pydantic_core import PydanticCustomError, to_json

from app.domain.operation import Operation, Status, Step
from app.domain.queue_entry import QueueEntry
from app.domain.request import ReindexRequest
from app.reindex.reading import IndexReport, StatusReport, shown_aliases

MOST_NAMES = 10_000
MOST_CHARACTERS = 1_000

_is_none: Callable[[Any], bool] = partial(operator.is_, None)
"""Not a function of our own: it is called for every absent key of every operation."""


def _whole_text(value: str) -> str:
    """JSON can spell half a surrogate pair, which no answer and no database can repeat."""
    try:
        value.encode()
    except UnicodeEncodeError as error:
        raise PydanticCustomError("unicode", "the string is not valid Unicode") from error
    return value


def _said(sentence: str) -> PydanticCustomError:
    """A fault whose text is answered as it is."""
    return PydanticCustomError("said", "{sentence}", {"sentence": sentence})


GivenName = Annotated[StrictStr, AfterValidator(_whole_text)]


class Wire(BaseModel):
    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True)


class Body(Wire):
    model_config = ConfigDict(alias_generator=to_camel, extra="forbid", populate_by_name=False)


class IndexSettings(Body):
    mode: Literal["standard", "lookup", "logsdb", "time_series"] | None = None


class RequestOptions(Body):
    """`deleteOldIndex` absent: by the route (removed here, kept under `/api/reindex_service`)."""

    enqueue: StrictBool | None = None
    delete_old_index: StrictBool | None = None


class ReindexBody(Body):
    """One index, its new name, and how (the newer Kibana's body)."""

    index_name: Annotated[GivenName, Field(max_length=MOST_CHARACTERS)]
    new_index_name: Annotated[GivenName, Field(max_length=MOST_CHARACTERS)] | None = None
    reindex_options: RequestOptions = RequestOptions()
    settings: IndexSettings = IndexSettings()

    @model_validator(mode="after")
    def _named(self) -> ReindexBody:
        if self.new_index_name is not None and not self.new_index_name.strip():
            raise _said("New index name cannot be empty")
        return self

    def request(self, *, keeps_by_default: bool) -> ReindexRequest:
        asked = self.reindex_options.delete_old_index
        name = self.new_index_name
        return ReindexRequest(
            index_name=self.index_name,
            new_index_name=name.strip() if name is not None else None,
            delete_old_index=asked,
            keeps_source=keeps_by_default if asked is None else not asked,
            mode=self.settings.mode,
        )


class BatchBody(Body):
    """The indices to queue, in the order in which they are to be worked off.

    `indexNames` (names only) or `indices` (each with its own options), not both.
    """

    model_config = ConfigDict(
        alias_generator=to_camel,
        extra="forbid",
        populate_by_name=False,
        json_schema_extra={"examples": [{"indexNames": ["logs-2019", "logs-2020"]}]},
    )

    index_names: Annotated[list[GivenName], Field(max_length=MOST_NAMES)] | None = None
    indices: Annotated[list[ReindexBody], Field(max_length=MOST_NAMES)] | None = None

    @model_validator(mode="after")
    def _one_of_both(self) -> BatchBody:
        if self.index_names is None and self.indices is None:
            got = "null" if self.model_fields_set else "undefined"
            raise _said(
                f"[request body.indexNames]: expected value of type [array] but got [{got}]"
            )
        if self.index_names is not None and self.indices is not None:
            raise _said("[request body]: send indexNames or indices, not both")
        return self

    def requests(self, *, keeps_by_default: bool) -> list[ReindexRequest]:
        if self.indices is not None:
            return [body.request(keeps_by_default=keeps_by_default) for body in self.indices]
        return [
            ReindexRequest(name, keeps_source=keeps_by_default) for name in self.index_names or ()
        ]


class UpdateBody(Body):
    """What to do instead of a reindex."""

    operations: Annotated[list[Literal["blockWrite", "unfreeze"]], Field(min_length=1)]


class QueueSettings(Wire):
    """Milliseconds since 1970; `startedAt` once the worker has taken it."""

    queued_at: int
    started_at: int | None = Field(default=None, exclude_if=_is_none)


class ReindexOptions(Wire):
    open_and_close: bool | None = Field(default=None, exclude_if=_is_none)
    queue_settings: QueueSettings | None = Field(default=None, exclude_if=_is_none)
    delete_old_index: bool | None = Field(default=None, exclude_if=_is_none)


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
    settings: str | None = Field(default=None, exclude_if=_is_none)

    @classmethod
    def of(cls, operation: Operation | QueueEntry) -> ReindexOperation:
        """Checked in one go with its parts, which takes half the time of making each by itself."""
        return cls.model_validate(wire_of(operation))


def wire_of(operation: Operation | QueueEntry) -> dict[str, Any]:
    """The JSON object of `ReindexOperation`, key by key in its order, without the model.

    Ten thousand models take longer than all the rest of the queue's answer.
    """
    running = operation.status == Status.IN_PROGRESS and operation.started_at is not None
    at = operation.updated_at if running else None
    wire: dict[str, Any] = {
        "indexName": operation.index_name,
        "newIndexName": operation.new_index_name,
        "status": operation.status,
        "lastCompletedStep": operation.last_completed_step,
        "locked": at.isoformat(timespec="seconds") if at else None,
        "reindexTaskId": operation.reindex_task_id,
        "reindexTaskPercComplete": operation.reindex_task_perc_complete,
        "errorMessage": operation.error_message,
        "runningReindexCount": None,
    }
    if options := _options(operation):
        wire["reindexOptions"] = options
    backup = _backup(operation)
    if backup is not None:
        wire["backupSettings"] = backup
    if operation.mode:
        wire["settings"] = json.dumps({"mode": operation.mode})
    return wire


def _options(operation: Operation | QueueEntry) -> dict[str, Any]:
    options: dict[str, Any] = {}
    if operation.source and operation.last_completed_step >= Step.REINDEX_STARTED:
        options["openAndClose"] = operation.source.closed
    if not operation.single:
        options["queueSettings"] = {"queuedAt": operation.queued_at}
        if operation.started_at is not None:
            options["queueSettings"]["startedAt"] = operation.started_at
    if operation.delete_old_index:
        options["deleteOldIndex"] = True
    return options


def _backup(operation: Operation | QueueEntry) -> dict[str, str] | None:
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

    @staticmethod
    def body(entries: Iterable[QueueEntry]) -> bytes:
        """The whole answer as the model would write it."""
        return to_json({"queue": [wire_of(entry) for entry in entries]})


class Warning(Wire):
    warning_type: str
    flow: str
    meta: dict[str, Any] | None = Field(default=None, exclude_if=_is_none)


class Meta(Wire):
    index_name: str
    reindex_name: str
    aliases: list[str]
    is_readonly: bool
    is_frozen: bool
    is_in_data_stream: bool
    is_follower_index: bool

    @classmethod
    def of(cls, name: str, report: IndexReport) -> Meta:
        settings: Mapping[str, Any] = report.index.settings if report.index else {}
        return cls(
            index_name=name,
            reindex_name=report.new_index_name,
            aliases=shown_aliases(report.index),
            is_readonly=bool(report.index and report.index.verified_read_only),
            is_frozen=str(settings.get("index.frozen")) == "true",
            is_in_data_stream=report.data_stream,
            is_follower_index=str(settings.get("index.xpack.ccr.following_index")) == "true",
        )


class StatusAnswer(Wire):
    """`warnings` is absent where the index does not exist (after the swap it is an alias).

    While Elasticsearch is away only `reindexOp` is there.
    """

    reindex_op: ReindexOperation | None = Field(default=None, exclude_if=_is_none)
    warnings: list[Warning] | None = Field(default=None, exclude_if=_is_none)
    has_required_privileges: bool | None = Field(default=None, exclude_if=_is_none)
    meta: Meta | None = Field(default=None, exclude_if=_is_none)

    @classmethod
    def of(cls, name: str, report: StatusReport) -> StatusAnswer:
        operation = ReindexOperation.of(report.operation) if report.operation else None
        cluster = report.cluster
        if cluster is None:
            return cls(reindex_op=operation)
        found = cluster.warnings
        return cls(
            reindex_op=operation,
            warnings=None if found is None else [Warning.model_validate(w) for w in found],
            has_required_privileges=cluster.privileged,
            meta=Meta.of(name, cluster),
        )


class CancelAnswer(Wire):
    acknowledged: bool = True


class ErrorEnvelope(Wire):
    """Every error of this service."""

    status_code: int
    error: str
    message: str
    attributes: dict[str, Any] | None = Field(default=None, exclude_if=_is_none)
