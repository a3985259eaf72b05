"""The shapes of Kibana's API: some keys are null where they say nothing, others are absent."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field, StrictBool, model_validator

from app.domain.request import ReindexRequest
from app.wire.notation import (
    MOST_CHARACTERS,
    MOST_NAMES,
    NOT_BLANK,
    GivenName,
    IndexMode,
    Sent,
    Wire,
    is_none,
    said,
)


def _without_default(schema: dict[str, Any]) -> None:
    """An absent list is not an empty one."""
    schema.pop("default", None)


_Names = Field(max_length=MOST_NAMES, json_schema_extra=_without_default)


class IndexSettings(Sent):
    """Settings that the new index has differently from the old one."""

    mode: IndexMode | None = None
    """`lookup` needs an index of one shard, `time_series` one with `index.routing_path`."""


class RequestOptions(Sent):
    """How one index is to be reindexed."""

    enqueue: StrictBool | None = None
    """True: to the end of the queue, instead of beside it. A batch always queues."""
    delete_old_index: StrictBool | None = None
    """Is the old index removed in the end, its name becoming an alias? Absent: by the route.

    It is removed under `/api/upgrade_assistant` and kept under `/api/reindex_service`.
    """


class ReindexBody(Sent):
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
    """How it is reindexed."""
    settings: IndexSettings = IndexSettings()
    """What the new index has differently."""

    @model_validator(mode="after")
    def _named(self) -> ReindexBody:
        if self.new_index_name is not None and not self.new_index_name.strip():
            raise said("New index name cannot be empty")
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


class BatchBody(Sent):
    """The indices to queue, in the order in which they are to be worked off.

    `indexNames` (names only) or `indices` (each with its own options), not both.
    """

    model_config = ConfigDict(
        json_schema_extra={"oneOf": [{"required": ["indexNames"]}, {"required": ["indices"]}]}
    )

    index_names: Annotated[list[GivenName], _Names] = Field(default=[])
    """Concrete indices, by name only."""
    indices: Annotated[list[ReindexBody], _Names] = Field(default=[])
    """Concrete indices, each with its new name and options."""

    @model_validator(mode="after")
    def _one_of_both(self) -> BatchBody:
        if not self.model_fields_set:
            raise said(
                "[request body.indexNames]: expected value of type [array] but got [undefined]"
            )
        if len(self.model_fields_set) > 1:
            raise said("[request body]: send indexNames or indices, not both")
        return self

    def requests(self, *, keeps_by_default: bool) -> list[ReindexRequest]:
        if self.indices:
            return [body.request(keeps_by_default=keeps_by_default) for body in self.indices]
        return [ReindexRequest(name, keeps_source=keeps_by_default) for name in self.index_names]


class UpdateBody(Sent):
    """What to do instead of a reindex."""

    operations: Annotated[list[Literal["blockWrite", "unfreeze"]], Field(min_length=1)]
    """Only `blockWrite` is done here; `unfreeze` is refused."""


class QueueSettings(Wire):
    """The place in the queue; times in milliseconds since 1970."""

    queued_at: int
    """The order of the queue: strictly increasing."""
    started_at: int | None = Field(default=None, exclude_if=is_none)
    """When the worker took it; absent while it waits."""


class ReindexOptions(Wire):
    """Options of an operation, and what follows from them."""

    open_and_close: bool | None = Field(default=None, exclude_if=is_none)
    """Was the index closed? It is opened for the copy and closed in the end. From step 40 on."""
    queue_settings: QueueSettings | None = Field(default=None, exclude_if=is_none)
    """Absent for an operation that was started by name, beside the queue."""
    delete_old_index: bool | None = Field(default=None, exclude_if=is_none)
    """Only there where the request said true."""


class ReindexOperation(Wire):
    """An operation as Kibana shows it: one index on its way."""

    index_name: str
    """The index that is reindexed."""
    new_index_name: str
    """The index it is copied to."""
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
    reindex_options: ReindexOptions | None = Field(default=None, exclude_if=is_none)
    """Absent where there is nothing to say."""
    backup_settings: dict[str, str] | None = Field(default=None, exclude_if=is_none)
    """What the copy changes for its time and puts back at step 55. From step 30 on."""
    settings: str | None = Field(default=None, exclude_if=is_none)
    """The settings that were asked for, as JSON text."""


class BatchError(Wire):
    """A name that was not queued."""

    index_name: str
    """As it was sent."""
    message: str
    """Why it was not queued, and what to do about it."""


class BatchAnswer(Wire):
    """What became of the names of a batch."""

    enqueued: list[ReindexOperation]
    """What was queued, in the order in which it is worked off."""
    errors: list[BatchError]
    """What was not queued. The others are queued all the same."""


class QueueAnswer(Wire):
    """The queue."""

    queue: list[ReindexOperation]
    """What has not ended, in order, the running operation first."""


class Warning(Wire):
    """What a person should know before the reindex."""

    warning_type: str
    """Kibana's name for the kind of warning."""
    flow: str
    """`reindex`, or `readonly` for what `update_index` would do instead."""
    meta: dict[str, Any] | None = Field(default=None, exclude_if=is_none)
    """Details of this kind of warning. Absent where it has none."""


class Meta(Wire):
    """What the cluster says of the index."""

    index_name: str
    """The name that was asked for."""
    reindex_name: str
    """Where it is copied to, or would be."""
    aliases: list[str]
    """The aliases that the index has now."""
    is_readonly: bool
    """True where the write block is there that lets it boot on the next major as it is."""
    is_frozen: bool
    """True where the index is frozen."""
    is_in_data_stream: bool
    """True where it is a backing index of a data stream."""
    is_follower_index: bool
    """True where it follows an index of another cluster (CCR)."""


class StatusAnswer(Wire):
    """While Elasticsearch is away only `reindexOp` is there."""

    reindex_op: ReindexOperation | None = Field(default=None, exclude_if=is_none)
    """The newest operation of the index; absent where there never was one."""
    warnings: list[Warning] | None = Field(default=None, exclude_if=is_none)
    """Absent where the index does not exist: after the swap its name is an alias."""
    has_required_privileges: bool | None = Field(default=None, exclude_if=is_none)
    """May the service's own user do it? True where the cluster has no security."""
    meta: Meta | None = Field(default=None, exclude_if=is_none)
    """What the cluster says of the index."""


class CancelAnswer(Wire):
    """The cancel is recorded; the operation's status says when it is done."""

    acknowledged: bool = True
    """Always true: a cancel that is refused is an error."""


class ErrorEnvelope(Wire):
    """Every error of this service, as Kibana's are."""

    status_code: int
    """The status of the answer."""
    error: str
    """The name of that status."""
    message: str
    """What is wrong, and what to do about it."""
    attributes: dict[str, Any] | None = Field(default=None, exclude_if=is_none)
    """Beside a 426: `allNodesUpgraded`."""
