"""Errors on the wire: Kibana's envelope, and what the API's document says of them."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

from fastapi import Request
from fastapi.openapi.models import Example
from starlette.responses import JSONResponse

from app.domain.errors import (
    ClusterRefused,
    ClusterUnreachable,
    IndexNotFound,
    MissingPrivileges,
    MixedVersions,
    Refused,
    ReindexQueueError,
    StoreUnavailable,
    TargetTaken,
)
from app.domain.texts import printable
from app.telemetry import logger
from app.wire.kibana import ErrorEnvelope

log = logger(__name__)

Answers = dict[int | str, dict[str, Any]]
"""By status, as FastAPI's `responses` takes it."""

MOST_BYTES = 8 * 2**20
"""Of a body: 10,000 names of 255 bytes fit in, however JSON spells them."""

TOO_LARGE = (
    f"[request body]: it is larger than {MOST_BYTES // 2**20} MiB. Send several batches: they are "
    "queued one behind the other."
)
MEDIA_TYPE = "The body must be sent as content-type application/json."
NO_XSRF = "Request must contain a kbn-xsrf header."
CRASH = "An internal server error occurred. Check the log of Reindex Queue for details."

_TEXTS = {
    400: "The request cannot be done as asked",
    401: "Nobody has logged in",
    403: "The service's own user lacks privileges, or a page of another address asks",
    404: "There is no such index or operation",
    409: "The target exists, or another operation is in the way",
    413: "The body is too large",
    415: "The body is not sent as application/json",
    426: "The nodes have different major versions",
    500: "A fault of this service; its log says more",
    502: "Elasticsearch refused a question or a change",
    503: "It cannot be done now: Elasticsearch or the database is away, or no worker took it",
}


def answer(
    request: Request,
    status: int,
    message: str,
    code: str,
    attributes: dict[str, Any] | None = None,
    cause: Exception | None = None,
) -> JSONResponse:
    """The envelope, and the one log line that says what was refused and why."""
    say = log.error if status >= HTTPStatus.INTERNAL_SERVER_ERROR else log.info
    say(
        "request_refused",
        method=request.method,
        path=printable(request.url.path),
        status=status,
        code=code,
        reason=message[:500],
        **({"exc_info": cause} if cause else {}),
    )
    return JSONResponse(envelope(status, message, attributes), status)


def envelope(status: int, message: str, attributes: dict[str, Any] | None = None) -> dict[str, Any]:
    made = ErrorEnvelope(
        status_code=status,
        error=HTTPStatus(status).phrase,
        message=message,
        attributes=attributes,
    )
    return made.model_dump(by_alias=True)


def attributes_of(error: ReindexQueueError) -> dict[str, Any] | None:
    """What Kibana adds to an error of this kind, and which privileges are missing."""
    if isinstance(error, MixedVersions):
        return {"allNodesUpgraded": False}
    if isinstance(error, MissingPrivileges):
        return {"missingPrivileges": list(error.missing)}
    return None


def error_answers(*answers: int | ReindexQueueError) -> Answers:
    """What a route documents for the errors it can answer: each status with examples.

    A number stands for the usual error of that status.
    """
    documented: Answers = {}
    for given in answers:
        for error in _USUAL[given] if isinstance(given, int) else [given]:
            if error.status not in documented:
                documented[error.status] = _documented(error.status)
            examples = documented[error.status]["content"]["application/json"]["examples"]
            examples[error.code] = _example(error)
    return documented


def _documented(status: int) -> dict[str, Any]:
    return {
        "model": ErrorEnvelope,
        "description": _TEXTS[status],
        "content": {"application/json": {"examples": {}}},
    }


def _example(error: ReindexQueueError) -> Example:
    value = envelope(error.status, error.message, attributes_of(error))
    return {"summary": error.code.replace("_", " ").capitalize(), "value": value}


def refused(status: int, code: str, message: str) -> Refused:
    """An error that has no class of its own."""
    error = Refused(message)
    error.status, error.code = status, code
    return error


BAD_NAME = refused(
    400, "invalid_index_name", "[logs-*] is not the name of an index: it must not contain *."
)
_USUAL: dict[int, list[ReindexQueueError]] = {
    400: [BAD_NAME],
    403: [MissingPrivileges("logs-2019", None, ())],
    404: [IndexNotFound("logs-2020")],
    409: [TargetTaken("The index reindexed-v8-logs-2019 already exists. Please try again.")],
    413: [refused(413, "too_large", TOO_LARGE)],
    415: [refused(415, "media_type", MEDIA_TYPE)],
    426: [MixedVersions()],
    500: [refused(500, "internal", CRASH)],
    502: [ClusterRefused("illegal_argument_exception", "Failed to parse value [seven]", 400)],
    503: [
        ClusterUnreachable(
            "Elasticsearch cannot be reached: http://localhost:9200: no connection "
            "within 5 s. Check that it runs and that ELASTICSEARCH_HOSTS names it."
        ),
        StoreUnavailable("The database does not answer: connection refused"),
    ],
}
"""The examples of a status where a route names none of its own."""
