"""Every error leaves in Kibana's envelope, with one log line; nothing else decides a status."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any, cast

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse

from app.api.schemas import ErrorEnvelope
from app.domain.errors import MissingPrivileges, MixedVersions, ReindexQueueError
from app.telemetry import logger

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


_TEXTS = {
    400: "The request cannot be done as asked",
    403: "The service's own user lacks privileges",
    404: "There is no such index or operation",
    409: "The target exists, or another operation fills it",
    415: "The body is not sent as application/json",
    426: "The nodes have different major versions",
    502: "Elasticsearch refused",
    503: "Elasticsearch or the database is away",
}


def error_answers(*codes: int) -> dict[int | str, dict[str, Any]]:
    """What a route documents for the errors it can answer."""
    return {code: {"model": ErrorEnvelope, "description": _TEXTS[code]} for code in codes}


def install(app: FastAPI) -> None:
    app.add_exception_handler(ReindexQueueError, _on_domain_error)
    app.add_exception_handler(RequestValidationError, _on_validation_error)
    app.add_exception_handler(HTTPException, _on_http_error)
    app.add_exception_handler(Exception, _on_crash)


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
        path=request.url.path,
        status=status,
        code=code,
        reason=message[:500],
        **({"exc_info": cause} if cause else {}),
    )
    envelope = ErrorEnvelope(
        status_code=status,
        error=HTTPStatus(status).phrase,
        message=message,
        attributes=attributes,
    )
    return JSONResponse(envelope.model_dump(by_alias=True), status)


async def _on_domain_error(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, ReindexQueueError)
    return answer(request, error.status, error.message, error.code, _attributes(error))


def _attributes(error: ReindexQueueError) -> dict[str, Any] | None:
    if isinstance(error, MixedVersions):
        return {"allNodesUpgraded": False}
    if isinstance(error, MissingPrivileges):
        return {"missingPrivileges": list(error.missing)}
    return None


async def _on_validation_error(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)
    first = cast(Sequence[Mapping[str, Any]], error.errors())[0]
    kind = request.headers.get("content-type", "").partition(";")[0].strip()
    if not kind.endswith("json") and first["loc"][0] == "body" and first["type"] != "missing":
        return answer(
            request, 415, "The body must be sent as content-type application/json.", "media_type"
        )
    return answer(request, 400, _sentence(first), "bad_request")


def _sentence(error: Mapping[str, Any]) -> str:
    """As Kibana words it: `[request body.indexNames]: expected value of type [array] but …`."""
    where, *path = (str(part) for part in error["loc"])
    kind, given = error["type"], error.get("input")
    if kind == "said":
        return str(error["msg"])
    if kind == "json_invalid":
        return f"[request body]: not valid JSON: {error['ctx']['error']}"
    place = f"[request {'.'.join([where, *path])}]"
    if kind == "missing":
        expected = "array" if path == ["indexNames"] else "object"
        return f"{place}: expected value of type [{expected}] but got [undefined]"
    if kind == "too_long":
        size, most = error["ctx"]["actual_length"], error["ctx"]["max_length"]
        return f"{place}: array size is [{size}], but cannot be greater than [{most}]"
    if kind == "extra_forbidden":
        return f"{place}: definition for this key is missing"
    if kind in _EXPECTED:
        got = _KINDS.get(cast(type[Any], type(given)), "number")
        return f"{place}: expected value of type [{_EXPECTED[kind]}] but got [{got}]"
    return f"{place}: {error['msg']}"


async def _on_http_error(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)
    response = answer(request, error.status_code, _plainly(request, error), "http")
    response.headers.update(error.headers or {})
    return response


def _plainly(request: Request, error: HTTPException) -> str:
    """What Starlette and FastAPI leave unsaid: where the routes are, and what cannot be parsed."""
    asked = f"{request.method} {request.url.path}"
    if error.status_code in (HTTPStatus.NOT_FOUND, HTTPStatus.METHOD_NOT_ALLOWED):
        return f"There is no route {asked}. /docs lists the routes."
    if error.detail == "There was an error parsing the body":
        return "[request body]: not valid JSON: it must be UTF-8 and reasonably nested"
    return str(error.detail)


async def _on_crash(request: Request, error: Exception) -> JSONResponse:
    return answer(
        request,
        500,
        "An internal server error occurred. Check the log of Reindex Queue for details.",
        "internal",
        cause=error,
    )
