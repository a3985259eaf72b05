"""What the reindex routes can answer, for the API's document."""

from __future__ import annotations

from app.api.errors import BAD_NAME, Answers, error_answers, refused
from app.api.examples import answers
from app.domain.errors import (
    AlreadyInProgress,
    AlreadyReindexed,
    CannotCancel,
    NotAnIndex,
    OperationNotFound,
)

_ALIASES = (NotAnIndex("logs", ["logs-2019"]), AlreadyReindexed("logs", "reindexed-v8-logs"))
_BAD_BODY = refused(
    400,
    "bad_request",
    "[request body.indexNames]: expected value of type [array] but got [string]",
)
_BAD_OPTION = refused(
    400, "bad_request", "[request body.indexName]: expected value of type [string] but got [number]"
)
_TOO_LATE = refused(
    400, "too_late", "Reindex operation is not currently waiting for reindex task to complete"
)

BATCH = answers("What was queued, in order, and what was not and why", "batch") | error_answers(
    _BAD_BODY, 403, 415, 426, 502, 503
)
QUEUE = answers("The queue in order", "queue", "queue_empty") | error_answers(503)
STATUS = answers(
    "The newest operation of the index, and what the cluster says of the index",
    *("status_running", "status_completed", "status_failed", "status_none", "status_away"),
) | error_answers(400, 403, 404, 426, 502, 503)
CANCELLED = answers(
    "Taken: the status is 4 as soon as the index is as it was found", "cancelled"
) | error_answers(
    CannotCancel("Reindex operation is not in progress"),
    _TOO_LATE,
    BAD_NAME,
    OperationNotFound("logs-2020"),
    503,
)


def started(in_progress: AlreadyInProgress) -> Answers:
    """`in_progress`: as the family of routes answers it."""
    return answers("The operation, started or resumed", "started", "resumed") | error_answers(
        in_progress, BAD_NAME, *_ALIASES, 403, 404, 409, 426, 502, 503
    )


def started_with(in_progress: AlreadyInProgress) -> Answers:
    described = "The operation, started, queued or resumed"
    return answers(described, "started_renamed", "started_mode") | error_answers(
        _BAD_OPTION, in_progress, BAD_NAME, *_ALIASES, 403, 404, 409, 415, 426, 502, 503
    )
