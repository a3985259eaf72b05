"""What the reindex routes can answer, for the API's document."""

from __future__ import annotations

from app.api.documenting import BAD_NAME, Answers, Shown, answers, error_answers
from app.domain.errors import (
    AlreadyInProgress,
    AlreadyReindexed,
    NotAnIndex,
    NotCopying,
    NotInProgress,
    OperationNotFound,
)

_ALIASES = (NotAnIndex("logs", ["logs-2019"]), AlreadyReindexed("logs", "reindexed-v8-logs"))
_BAD_BODY = Shown(
    400,
    "bad_request",
    "[request body.indexNames]: expected value of type [array] but got [string]",
)
_BAD_OPTION = Shown(
    400, "bad_request", "[request body.indexName]: expected value of type [string] but got [number]"
)
_TOO_LATE = Shown(400, "too_late", NotCopying().message)

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
    NotInProgress(),
    _TOO_LATE,
    BAD_NAME,
    OperationNotFound("logs-2020"),
    503,
)


def started(base: str) -> Answers:
    """`base`: of the family of routes, since not every one answers the same."""
    return answers("The operation, started or resumed", "started", "resumed") | error_answers(
        _in_progress(base), BAD_NAME, *_ALIASES, 403, 404, 409, 426, 502, 503
    )


def started_with(base: str) -> Answers:
    described = "The operation, started, queued or resumed"
    return answers(described, "started_renamed", "started_mode") | error_answers(
        _BAD_OPTION, _in_progress(base), BAD_NAME, *_ALIASES, 403, 404, 409, 415, 426, 502, 503
    )


def _in_progress(base: str) -> Shown:
    return Shown.of(AlreadyInProgress("logs-2019"), base)
