"""Errors on the wire: the HTTP status of each, Kibana's envelope around it, and its log line."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

from fastapi import Request
from starlette.responses import JSONResponse

from app.domain.errors import (
    AlreadyInProgress,
    CannotRollBack,
    ClusterForbids,
    ClusterRefused,
    ClusterTrouble,
    IndexNotFound,
    KeyReused,
    MissingPrivileges,
    MixedVersions,
    OperationNotFound,
    Refused,
    ReindexQueueError,
    RoleMissing,
    SmallJobFailed,
    StoreTrouble,
    TargetTaken,
    UnknownBatch,
    UnknownOperation,
    WrongState,
)
from app.domain.texts import printable
from app.telemetry import logger
from app.wire.kibana import ErrorEnvelope

log = logger(__name__)

STATUSES: dict[type[ReindexQueueError], int] = {
    ReindexQueueError: 500,
    Refused: 400,
    MissingPrivileges: 403,
    RoleMissing: 403,
    IndexNotFound: 404,
    OperationNotFound: 404,
    UnknownBatch: 404,
    UnknownOperation: 404,
    CannotRollBack: 409,
    KeyReused: 409,
    TargetTaken: 409,
    WrongState: 409,
    MixedVersions: 426,
    ClusterForbids: 403,
    ClusterRefused: 502,
    ClusterTrouble: 503,
    StoreTrouble: 503,
}
"""The HTTP status of an error: that of its class, or of the nearest above it that is named."""
STATUSES_BELOW: dict[str, dict[type[ReindexQueueError], int]] = {
    "/api/reindex_service/": {AlreadyInProgress: 409},
}
"""Where the routes below a path answer otherwise."""

MOST_BYTES = 8 * 2**20
"""Of a body: 10,000 names of 255 bytes fit in, however JSON spells them."""

TOO_LARGE = (
    f"[request body]: it is larger than {MOST_BYTES // 2**20} MiB. Send several batches: they are "
    "queued one behind the other."
)
MEDIA_TYPE = "The body must be sent as content-type application/json."
NO_XSRF = "Request must contain a kbn-xsrf header."
CRASH = "An internal server error occurred. Check the log of Reindex Queue for details."


def status_of(error: ReindexQueueError, path: str = "") -> int:
    """The HTTP status of `error` as the route at `path` answers it."""
    statuses = dict(STATUSES)
    for prefix, changed in STATUSES_BELOW.items():
        if path.startswith(prefix):
            statuses |= changed
    kind = error.kind if isinstance(error, SmallJobFailed) else type(error)
    return next(statuses[one] for one in kind.mro() if one in statuses)


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
