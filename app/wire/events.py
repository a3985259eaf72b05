"""The shapes of the event log."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from app.domain.events import EventKind
from app.wire.notation import MOST_A_PAGE, Sent, Sought, Wire
from app.wire.operations import EventReport

MOST_CURSOR = 20_000
"""Characters of a cursor."""


class EventQuery(Sent):
    """The parameters of the list, and of a stream."""

    cluster: list[Sought] = Field(default=[])
    """Only events of this cluster; may be repeated. `_service`: of none, such as of tokens"""
    batch: Sought | None = None
    """Only events of this batch"""
    job: Sought | None = None
    """Only events of this operation, by its id"""
    kind: list[EventKind] = Field(default=[])
    """Only events of this kind, as they have it as `what`; may be repeated"""
    order: Literal["asc", "desc"] = "asc"
    """Of a page. asc: the oldest first; desc: the newest first"""
    limit: int = Field(default=100, ge=1, le=MOST_A_PAGE)
    """Events a page"""
    after: str | None = Field(default=None, min_length=1, max_length=MOST_CURSOR)
    """A cursor: `next` or `newest` of a page, or the id of a streamed event"""


class LoggedEvent(EventReport):
    """An event with what it is about."""

    cluster: str
    """The cluster that it is about, `_service` where it is about none; `number` counts its
    events."""
    job_id: str | None
    """The operation, or the small job, that it is about. null: it is about none."""
    batch_id: str | None
    """The batch that it is about, or that of the operation. null: it is about none."""


class EventList(Wire):
    """A page of events."""

    events: list[LoggedEvent]
    """Those of a cluster in the order of their numbers, those of several by their times. They may
    be fewer than `limit`, or none, though there are more: one page looks only through a part of a
    long log."""
    next: str | None
    """The `after` of the page that follows. null: this is the last one."""
    newest: str
    """The cursor behind the newest events that there were: a stream goes on from there."""
