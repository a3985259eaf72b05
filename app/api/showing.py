"""What is known of an index and its operations, in the shapes of Kibana's API."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from pydantic_core import to_json

from app.domain.job import Lane
from app.domain.operation import Operation, Step
from app.domain.queue_entry import QueueEntry
from app.domain.state import Status
from app.sites.reading import IndexReport, StatusReport, shown_aliases
from app.wire.kibana import Meta, ReindexOperation, StatusAnswer, Warning


def status_of(name: str, report: StatusReport) -> StatusAnswer:
    operation = operation_of(report.operation) if report.operation else None
    cluster = report.cluster
    if cluster is None:
        return StatusAnswer(reindex_op=operation)
    found = cluster.warnings
    return StatusAnswer(
        reindex_op=operation,
        warnings=None if found is None else [Warning.model_validate(w) for w in found],
        has_required_privileges=cluster.privileged,
        meta=_meta(name, cluster),
    )


def _meta(name: str, report: IndexReport) -> Meta:
    settings: Mapping[str, Any] = report.index.settings if report.index else {}
    return Meta(
        index_name=name,
        reindex_name=report.new_index_name,
        aliases=shown_aliases(report.index),
        is_readonly=bool(report.index and report.index.verified_read_only),
        is_frozen=str(settings.get("index.frozen")) == "true",
        is_in_data_stream=report.data_stream,
        is_follower_index=str(settings.get("index.xpack.ccr.following_index")) == "true",
    )


def operation_of(operation: Operation | QueueEntry) -> ReindexOperation:
    """Checked in one go with its parts, which takes half the time of making each by itself."""
    return ReindexOperation.model_validate(wire_of(operation))


def queue_body(entries: Iterable[QueueEntry]) -> bytes:
    """The answer that shows the queue, byte for byte as `QueueAnswer` would write it."""
    return to_json({"queue": [wire_of(entry) for entry in entries]})


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
    if operation.lane == Lane.QUEUE:
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
