"""Indices as they are found, and the operation that they belong to, made without a server."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from app.domain.names import IndexName
from app.domain.operation import Operation, Source
from app.elastic.answers import IndexState, Looked

SOURCE_UUID, TARGET_UUID, OTHER_UUID = "uuid-of-source", "uuid-of-target", "uuid-of-another"
TARGET = "reindexed-v8-old"
ID = "0123456789abcdef0123456789abcdef"


def source(**changed: Any) -> Source:
    fields: dict[str, Any] = {
        "uuid": SOURCE_UUID,
        "shards": 2,
        "routing_shards": 1024,
        "closed": False,
        "blocks": {},
        "verified_read_only": False,
        "aliases": [],
        "settings": {},
        "lifecycle": {},
        "active_copies": 2,
    }
    return Source.model_validate({**fields, **changed})


def operation(**changed: Any) -> Operation:
    """One that has made its target; its index is `old`."""
    now = datetime(2026, 11, 25, tzinfo=UTC)
    fields: dict[str, Any] = {
        "id": ID,
        "cluster_id": "default",
        "caller": "test",
        "index_name": IndexName("old"),
        "new_index_name": IndexName(TARGET),
        "queued_at": 1,
        "created_at": now,
        "updated_at": now,
        "source": source(),
        "target_uuid": TARGET_UUID,
    }
    return Operation.model_validate({**fields, **changed})


def index(name: str, uuid: str, *aliases: str, closed: bool = False, **settings: str) -> IndexState:
    """`settings` without `index.`, with `__` for a dot."""
    flat = {f"index.{key.replace('__', '.')}": value for key, value in settings.items()}
    return IndexState(
        name=name,
        uuid=uuid,
        closed=closed,
        settings={"index.number_of_shards": "2", **flat},
        aliases=aliases,
        routing_shards=1024,
        mappings={},
    )


def looked(*states: IndexState) -> Looked:
    return Looked({state.name: state for state in states})
