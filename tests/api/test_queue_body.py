"""The queue's answer is written without the models, byte for byte as they would write it."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from app.api.upgrade_assistant import queue_body, reindex_operation_of
from app.domain.brief import QueueEntry
from app.domain.index_settings import RESTORED
from app.domain.job import Lane, Status
from app.domain.operation import Source, Step
from app.wire.kibana import QueueAnswer, QueueSettings, ReindexOperation, ReindexOptions

texts = st.text(max_size=30) | st.sampled_from(
    ['"\\/\b\f\n\r\t\x00\x1f\x7f', "ü&x=1", "\U0001d518\U0001f600\u2028"]
)
sources = st.builds(
    Source,
    uuid=st.just("u"),
    shards=st.just(1),
    routing_shards=st.just(1),
    closed=st.booleans(),
    blocks=st.just({}),
    verified_read_only=st.booleans(),
    aliases=st.just([]),
    settings=st.dictionaries(
        st.sampled_from(["index.number_of_replicas", "index.refresh_interval", *RESTORED]),
        st.none() | texts,
    ),
    lifecycle=st.just({}),
    active_copies=st.just(1),
)
times = st.datetimes(datetime(1970, 1, 2), datetime(2100, 1, 1), timezones=st.just(UTC))
milliseconds = st.integers(0, 2**53)


def optional(values: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.none() | values


entries = st.builds(
    QueueEntry,
    index_name=texts,
    new_index_name=texts,
    status=st.sampled_from([int(status) for status in Status]),
    last_completed_step=st.sampled_from([int(step) for step in Step]),
    lane=st.sampled_from([Lane.QUEUE.value, Lane.BESIDE.value]),
    queued_at=milliseconds,
    started_at=optional(milliseconds),
    updated_at=times,
    reindex_task_id=optional(texts),
    reindex_task_perc_complete=optional(st.floats(0, 1) | st.just(1e-07)),
    error_message=optional(texts),
    delete_old_index=optional(st.booleans()),
    mode=optional(st.sampled_from(["standard", "lookup", "logsdb"])),
    source=optional(sources),
)


def modelled(entry: QueueEntry) -> ReindexOperation:
    """The wire model, made field by field."""
    running = entry.status == 0 and entry.started_at is not None
    at = entry.updated_at if running else None
    closed = entry.source.closed if entry.source and entry.last_completed_step >= 40 else None
    options = ReindexOptions(
        open_and_close=closed,
        queue_settings=None
        if entry.lane == Lane.BESIDE
        else QueueSettings(queued_at=entry.queued_at, started_at=entry.started_at),
        delete_old_index=entry.delete_old_index or None,
    )
    kept = ("index.number_of_replicas", "index.refresh_interval")
    return ReindexOperation(
        index_name=entry.index_name,
        new_index_name=entry.new_index_name,
        status=entry.status,
        last_completed_step=entry.last_completed_step,
        locked=at.isoformat(timespec="seconds") if at else None,
        reindex_task_id=entry.reindex_task_id,
        reindex_task_perc_complete=entry.reindex_task_perc_complete,
        error_message=entry.error_message,
        running_reindex_count=None,
        reindex_options=options if options.model_dump() else None,
        backup_settings={
            key: value for key in kept if (value := entry.source.settings.get(key)) is not None
        }
        if entry.source and entry.last_completed_step >= 30
        else None,
        settings=json.dumps({"mode": entry.mode}) if entry.mode else None,
    )


@given(st.lists(entries, max_size=3))
def test_the_body_is_the_models_own_dump(queue: list[QueueEntry]) -> None:
    model = QueueAnswer(queue=[modelled(entry) for entry in queue])
    assert queue_body(queue) == model.model_dump_json(by_alias=True).encode()
    single = [reindex_operation_of(entry) for entry in queue]
    assert single == model.queue
