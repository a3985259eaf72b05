"""Every error leaves in Kibana's envelope, with one log line; nothing else decides a status."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any, cast

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, Response

from app.api.errors import (
    CRASH,
    MEDIA_TYPE,
    TOO_LARGE,
    answer,
    attributes_of,
    http_status_of,
    sentence,
)
from app.api.openapi import methods_at
from app.domain.errors import ReindexQueueError


def install_handlers(app: FastAPI) -> None:
    app.add_exception_handler(ReindexQueueError, _on_domain_error)
    app.add_exception_handler(RequestValidationError, _on_validation_error)
    app.add_exception_handler(HTTPException, _on_http_error)
    app.add_exception_handler(Exception, _on_crash)


async def _on_domain_error(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, ReindexQueueError)
    status = http_status_of(error, request.url.path)
    return answer(request, status, error.message, error.code, attributes_of(error))


async def _on_validation_error(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)
    first = cast(Sequence[Mapping[str, Any]], error.errors())[0]
    kind = request.headers.get("content-type", "").partition(";")[0].strip()
    if not kind.endswith("json") and first["loc"][0] == "body" and first["type"] != "missing":
        return answer(request, 415, MEDIA_TYPE, "media_type")
    return answer(request, 400, sentence(first), "bad_request")


async def _on_http_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    if request.method == "OPTIONS" and (allowed := _methods_for_options(request, error)):
        return Response(status_code=HTTPStatus.NO_CONTENT, headers={"allow": allowed})
    response = answer(request, error.status_code, _plainly(request, error), "http")
    response.headers.update(error.headers or {})
    if error.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
        response.headers["allow"] = _allowed(request, error)
    return response


def _methods_for_options(request: Request, error: HTTPException) -> str:
    """What is answered to a look by a load balancer or a browser; empty where no route is."""
    if request.url.path == "*":  # asked of the server as a whole
        return "GET, HEAD, POST, PUT, OPTIONS"
    if error.status_code != HTTPStatus.METHOD_NOT_ALLOWED:
        return ""
    return f"{_allowed(request, error)}, OPTIONS"


def _allowed(request: Request, error: HTTPException) -> str:
    """Starlette names the methods of the first route with this path only (1.10)."""
    found = methods_at(request.app.openapi(), request.url.path)
    return ", ".join(found) or (error.headers or {}).get("Allow", "GET, HEAD")


def _plainly(request: Request, error: HTTPException) -> str:
    """What Starlette and FastAPI leave unsaid: where the routes are, and what cannot be parsed."""
    asked = f"{request.method} {request.url.path}"
    if error.status_code in (HTTPStatus.NOT_FOUND, HTTPStatus.METHOD_NOT_ALLOWED):
        return f"There is no route {asked}. /docs lists the routes."
    if error.status_code == HTTPStatus.REQUEST_ENTITY_TOO_LARGE:
        return TOO_LARGE
    if error.detail == "There was an error parsing the body":
        return "[request body]: not valid JSON: it must be UTF-8 and reasonably nested"
    return str(error.detail)


async def _on_crash(request: Request, error: Exception) -> JSONResponse:
    return answer(request, 500, CRASH, "internal", cause=error)
