"""`/api/v1/events`: the event log by the page, and as a stream."""

from __future__ import annotations

from functools import partial
from typing import Annotated

from fastapi import APIRouter, Depends, Header, Query, Request
from starlette.responses import Response

from app.api.access import VIEWER, Caller, may_stay
from app.api.event_stream import EventStreamResponse, wants_stream
from app.api.v1 import documented
from app.api.v1.showing import logged_event
from app.domain.cursor import cursor_text, parse_cursor
from app.sites.event_pages import WantedEvents
from app.sites.event_streams import EventStreams
from app.store.events import Event, EventFilter
from app.wire.events import EventList, EventQuery

router = APIRouter(prefix="/api/v1/events", tags=["Events"])

LastEventId = Annotated[
    str | None,
    Header(
        alias="Last-Event-ID",
        description="Of a stream: the id of the last event that was seen. It goes on behind it, "
        "whatever `after` says.",
    ),
]


async def streams_of(request: Request) -> EventStreams:
    streams = request.app.state.event_streams
    assert isinstance(streams, EventStreams)
    return streams


@router.get(
    "",
    summary="Read the events",
    dependencies=VIEWER,
    responses=documented.EVENTS,
    response_model=EventList,
)
async def read_events(
    request: Request,
    query: Annotated[EventQuery, Query()],
    streams: Annotated[EventStreams, Depends(streams_of)],
    caller: Caller,
    response: Response,
    last_event_id: LastEventId = None,
) -> EventList | Response:
    """What has happened, also what is about no operation, by the page or, with
    `Accept: text/event-stream`, as it happens.

    A stream begins with what happens from now on, or behind a cursor, and sends each event once,
    as `id` and `data`. Its `id` is a cursor: whoever comes back with it as `Last-Event-ID` misses
    nothing. A comment is sent every 15 seconds. `order` and `limit` are for pages.

    What is of no cluster, such as tokens, is under the cluster `_service`. Whoever is limited to
    some clusters or indices does not see that. Of the indices they see the events of operations on
    theirs, without `before` and `after`.
    """
    kinds = frozenset(kind.value for kind in query.kind)
    chosen = EventFilter(query.batch, query.job, kinds)
    wanted = streams.pages.wanted(query.cluster, chosen, caller)
    if wants_stream(request.headers.getlist("accept")):
        stream = await streams.open(wanted, last_event_id or query.after)
        return EventStreamResponse(stream, partial(may_stay, request))
    response.headers["vary"] = "accept"
    return await _page(streams, wanted, query)


async def _page(streams: EventStreams, wanted: WantedEvents, query: EventQuery) -> EventList:
    page = await streams.pages.page(
        wanted,
        None if query.after is None else parse_cursor(query.after),
        query.limit,
        newest_first=query.order == "desc",
    )
    return EventList(
        events=[logged_event(event) for event in page.events],
        next=None if page.next is None else cursor_text(page.next),
        newest=cursor_text(page.newest),
    )


def streamed(event: Event) -> str:
    """An event as a stream has it: in one line."""
    return logged_event(event).model_dump_json(by_alias=True)
