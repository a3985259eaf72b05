"""Errors on the wire: what is wrong with a request, the HTTP status, Kibana's envelope, one log
line."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, cast

from fastapi import Request
from starlette.responses import JSONResponse

from app.domain.errors import (
    AlreadyInProgress,
    CannotRollBack,
    ClusterForbids,
    ClusterOutOfReach,
    ClusterRefused,
    ClusterTrouble,
    IndexNotFound,
    KeyReused,
    LimitedCaller,
    LoginForbidden,
    LoginRefused,
    MissingPrivileges,
    MixedVersions,
    NobodyToAsk,
    NoRole,
    OperationNotFound,
    OutOfReach,
    PartOutOfReach,
    Refused,
    ReindexQueueError,
    RoleMissing,
    SmallJobFailed,
    StoreTrouble,
    TargetTaken,
    TokenNameTaken,
    TooManyStreams,
    TooManyWebhooks,
    UnknownBatch,
    UnknownOperation,
    UnknownToken,
    UnknownWebhook,
    WebhookNameTaken,
    WrongState,
)
from app.domain.formatting import printable
from app.domain.token import NAME, NAME_RULE
from app.telemetry import logger
from app.wire.kibana import ErrorEnvelope
from app.wire.notation import NOT_BLANK, PAGE, PRINTABLE, TIME_OF_DAY

log = logger(__name__)

_KINDS: dict[type[Any], str] = {
    dict: "object",
    list: "array",
    str: "string",
    bool: "boolean",
    type(None): "null",
}
_EXPECTED = {
    "list_type": "array",
    "string_type": "string",
    "model_type": "object",
    "model_attributes_type": "object",
    "dict_type": "object",
}
_BOOLEAN, _WHOLE, _NUMBER = "true or false", "a whole number", "a number"
_TIME = "a time with its zone, such as 2027-01-31T00:00:00Z"
_MUST_BE = {
    "bool_type": _BOOLEAN,
    "bool_parsing": _BOOLEAN,
    "int_type": _WHOLE,
    "int_parsing": _WHOLE,
    "int_parsing_size": _WHOLE,
    "int_from_float": _WHOLE,
    "float_type": _NUMBER,
    "float_parsing": _NUMBER,
    "finite_number": _NUMBER,
    "datetime_from_date_parsing": _TIME,
    "datetime_parsing": _TIME,
    "timezone_aware": _TIME,
    "literal_error": "{expected}",
    "enum": "{expected}",
    "greater_than_equal": "at least {ge:g}",
    "less_than_equal": "at most {le:,.0f}",
}
"""By pydantic's type of the fault; in braces what its context has."""
_PATTERNS = {
    NOT_BLANK: "it must not be blank",
    TIME_OF_DAY: "it must be a time of day, such as 22:00",
    PAGE: "it must be what the page before has as next",
    NAME: f"it must be {NAME_RULE}",
    PRINTABLE: "it must have printable characters of ASCII only",
}


def sentence(error: Mapping[str, Any]) -> str:
    """Of one of pydantic's faults, such as `[request query.limit]: it must be at most 500`.

    What Kibana refuses as well is worded as there.
    """
    where, *path = (str(part) for part in error["loc"])
    kind, given = error["type"], error.get("input")
    context: Mapping[str, Any] = error.get("ctx", {})
    if kind == "said":
        return str(error["msg"])
    if kind == "json_invalid":
        return f"[request body]: not valid JSON: {context['error']}"
    place = f"[request {'.'.join([where, *path])}]"
    if kind in _EXPECTED:
        got = _KINDS.get(cast(type[Any], type(given)), "number")
        return f"{place}: expected value of type [{_EXPECTED[kind]}] but got [{got}]"
    if kind == "missing" and not path:
        return f"{place}: expected value of type [object] but got [undefined]"
    return f"{place}: {_length(kind, given, context) or _words(kind, context) or error['msg']}"


def _length(kind: str, given: Any, context: Mapping[str, Any]) -> str:
    """Empty where the length is not the fault."""
    if kind == "too_long" and not isinstance(given, str):
        size, most = context["actual_length"], context["max_length"]
        return f"array size is [{size}], but cannot be greater than [{most}]"
    if kind in ("too_long", "string_too_long"):
        return f"it has {len(given):,} characters, but may have {context['max_length']:,} at most"
    if kind == "string_too_short":
        return "it must not be empty"
    return "it must have one entry at least" if kind == "too_short" else ""


def _words(kind: str, context: Mapping[str, Any]) -> str:
    """Empty for a fault that has no words of its own."""
    if kind == "missing":
        return "it is missing, and must be sent"
    if kind == "extra_forbidden":
        return "definition for this key is missing. /docs lists the keys."
    if kind == "string_pattern_mismatch":
        return _PATTERNS.get(context["pattern"], "")
    return f"it must be {_MUST_BE[kind]}".format(**context) if kind in _MUST_BE else ""


STATUSES: dict[type[ReindexQueueError], int] = {
    ReindexQueueError: 500,
    Refused: 400,
    MissingPrivileges: 403,
    LoginRefused: 401,
    LoginForbidden: 403,
    NoRole: 403,
    NobodyToAsk: 503,
    RoleMissing: 403,
    OutOfReach: 403,
    PartOutOfReach: 403,
    ClusterOutOfReach: 403,
    LimitedCaller: 403,
    IndexNotFound: 404,
    OperationNotFound: 404,
    UnknownBatch: 404,
    UnknownOperation: 404,
    UnknownToken: 404,
    UnknownWebhook: 404,
    CannotRollBack: 409,
    KeyReused: 409,
    TokenNameTaken: 409,
    WebhookNameTaken: 409,
    TargetTaken: 409,
    TooManyWebhooks: 409,
    WrongState: 409,
    MixedVersions: 426,
    ClusterForbids: 403,
    ClusterRefused: 502,
    ClusterTrouble: 503,
    StoreTrouble: 503,
    TooManyStreams: 503,
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


def http_status_of(error: ReindexQueueError, path: str = "") -> int:
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
