"""The wire models of Kibana: camelCase, the always-present keys null, the others absent."""

from __future__ import annotations

import json
import operator
from collections.abc import Callable, Iterable
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

from app.api.patterns import NOT_BLANK
from app.domain.job import Status
from app.domain.operation import Operation, Step
from app.domain.queue_entry import QueueEntry
from app.domain.request import ReindexRequest

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


def without_nul(value: str) -> str:
    """A text for the database: PostgreSQL does not take NUL, and finds nothing with it."""
    return value.replace("\0", "\N{REPLACEMENT CHARACTER}")


def _said(sentence: str) -> PydanticCustomError:
    """A fault whose text is answered as it is."""
    return PydanticCustomError("said", "{sentence}", {"sentence": sentence})


def _without_default(schema: dict[str, Any]) -> None:
    """An absent list is not an empty one."""
    schema.pop("default", None)


GivenName = Annotated[StrictStr, AfterValidator(_whole_text)]
_Names = Field(max_length=MOST_NAMES, json_schema_extra=_without_default)


class Wire(BaseModel):
    """The line below an attribute is its description in the API's document."""

    model_config = ConfigDict(
        alias_generator=to_camel, populate_by_name=True, use_attribute_docstrings=True
    )


class Body(Wire):
    model_config = ConfigDict(extra="forbid", populate_by_name=False)


class IndexSettings(Body):
    """Settings that the new index has differently from the old one."""

    mode: Literal["standard", "lookup", "logsdb", "time_series"] | None = None
    """`lookup` needs an index of one shard, `time_series` one with `index.routing_path`."""


class RequestOptions(Body):
    """How one index is to be reindexed."""

    enqueue: StrictBool | None = None
    """True: to the end of the queue, instead of beside it. A batch always queues."""
    delete_old_index: StrictBool | None = None
    """Is the old index removed in the end, its name becoming an alias? Absent: by the route.

    It is removed under `/api/upgrade_assistant` and kept under `/api/reindex_service`.
    """


class ReindexBody(Body):
    """One index, its new name, and how (the newer Kibana's body)."""

    index_name: Annotated[GivenName, Field(max_length=MOST_CHARACTERS)]
    """A concrete index; no alias, no pattern."""
    new_index_name: (
        Annotated[
            GivenName, Field(max_length=MOST_CHARACTERS, json_schema_extra={"pattern": NOT_BLANK})
        ]
        | None
    ) = None
    """Where to. Nothing may have this name yet. Absent: `reindexed-v8-` and the old name."""
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
        json_schema_extra={"oneOf": [{"required": ["indexNames"]}, {"required": ["indices"]}]}
    )

    index_names: Annotated[list[GivenName], _Names] = []
    """Concrete indices, by name only."""
    indices: Annotated[list[ReindexBody], _Names] = []
    """Concrete indices, each with its new name and options."""

    @model_validator(mode="after")
    def _one_of_both(self) -> BatchBody:
        if not self.model_fields_set:
            raise _said(
                "[request body.indexNames]: expected value of type [array] but got [undefined]"
            )
        if len(self.model_fields_set) > 1:
            raise _said("[request body]: send indexNames or indices, not both")
        return self

    def requests(self, *, keeps_by_default: bool) -> list[ReindexRequest]:
        if self.indices:
            return [body.request(keeps_by_default=keeps_by_default) for body in self.indices]
        return [ReindexRequest(name, keeps_source=keeps_by_default) for name in self.index_names]


class UpdateBody(Body):
    """What to do instead of a reindex."""

    operations: Annotated[list[Literal["blockWrite", "unfreeze"]], Field(min_length=1)]
    """Only `blockWrite` is done here; `unfreeze` is refused."""


class QueueSettings(Wire):
    """The place in the queue; times in milliseconds since 1970."""

    queued_at: int
    """The order of the queue: strictly increasing."""
    started_at: int | None = Field(default=None, exclude_if=_is_none)
    """When the worker took it; absent while it waits."""


class ReindexOptions(Wire):
    open_and_close: bool | None = Field(default=None, exclude_if=_is_none)
    """Was the index closed? It is opened for the copy and closed in the end. From step 40 on."""
    queue_settings: QueueSettings | None = Field(default=None, exclude_if=_is_none)
    """Absent for an operation that was started by name, beside the queue."""
    delete_old_index: bool | None = Field(default=None, exclude_if=_is_none)
    """Only there where the request said true."""


class ReindexOperation(Wire):
    """An operation as Kibana shows it: one index on its way."""

    index_name: str
    new_index_name: str
    status: int
    """0 in progress (also waiting), 1 completed, 2 failed, 3 paused, 4 cancelled."""
    last_completed_step: int
    """0 created, 20 read-only, 30 new index created, 40 reindex started, 50 reindex completed,
    55 settings restored, 60 alias created."""
    locked: str | None
    """When the worker last saved it, while it has it in hand; null in the end."""
    reindex_task_id: str | None
    """The newest copy task in Elasticsearch; null where a copy was too small to need one."""
    reindex_task_perc_complete: float | None
    """How much is copied: 0 to 1, null before the copy."""
    error_message: str | None
    """Why it failed, in a sentence."""
    running_reindex_count: int | None
    """Always null; Kibana has it."""
    reindex_options: ReindexOptions | None = Field(default=None, exclude_if=_is_none)
    backup_settings: dict[str, str] | None = Field(default=None, exclude_if=_is_none)
    """What the copy changes for its time and puts back at step 55. From step 30 on."""
    settings: str | None = Field(default=None, exclude_if=_is_none)
    """The settings that were asked for, as JSON text."""

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
    """What a person should know before the reindex."""

    warning_type: str
    flow: str
    """`reindex`, or `readonly` for what `update_index` would do instead."""
    meta: dict[str, Any] | None = Field(default=None, exclude_if=_is_none)


class Meta(Wire):
    """What the cluster says of the index."""

    index_name: str
    reindex_name: str
    """Where it is copied to, or would be."""
    aliases: list[str]
    is_readonly: bool
    """True where the write block is there that lets it boot on the next major as it is."""
    is_frozen: bool
    is_in_data_stream: bool
    is_follower_index: bool


class StatusAnswer(Wire):
    """While Elasticsearch is away only `reindexOp` is there."""

    reindex_op: ReindexOperation | None = Field(default=None, exclude_if=_is_none)
    """The newest operation of the index; absent where there never was one."""
    warnings: list[Warning] | None = Field(default=None, exclude_if=_is_none)
    """Absent where the index does not exist: after the swap its name is an alias."""
    has_required_privileges: bool | None = Field(default=None, exclude_if=_is_none)
    """May the service's own user do it? True where the cluster has no security."""
    meta: Meta | None = Field(default=None, exclude_if=_is_none)


class CancelAnswer(Wire):
    acknowledged: bool = True


class ErrorEnvelope(Wire):
    """Every error of this service, as Kibana's are."""

    status_code: int
    """The status of the answer."""
    error: str
    """The name of that status."""
    message: str
    """What is wrong, and what to do about it."""
    attributes: dict[str, Any] | None = Field(default=None, exclude_if=_is_none)
    """Beside a 426: `allNodesUpgraded`."""
