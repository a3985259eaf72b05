"""The OpenAPI document says what the service does, and nothing that it never does."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from app.main import create_app
from app.settings import Settings
from tests.service import BASE, Service


@pytest.fixture
def document() -> dict[str, Any]:
    return create_app(Settings()).openapi()


def operations(document: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            yield f"{method.upper()} {path}", operation


def test_all_routes_are_documented_with_a_summary(document: dict[str, Any]) -> None:
    found = dict(operations(document))
    reindexing = {
        f"{method} {base}{path}"
        for base in (BASE, "/api/reindex_service/reindex")
        for method, path in (
            ("POST", ""),
            ("POST", "/batch"),
            ("GET", "/batch/queue"),
            ("POST", "/{indexName}"),
            ("GET", "/{indexName}"),
            ("POST", "/{indexName}/cancel"),
        )
    }
    update = "POST /api/upgrade_assistant/update_index/{indexName}"
    own = {
        "GET /api/v1/operations",
        "GET /api/v1/operations/{operationId}",
        "GET /api/v1/worker",
        "GET /api/v1/doctor",
    }
    assert set(found) == {*reindexing, update, *own, "GET /healthz", "GET /readyz"}
    assert all(operation["summary"] for operation in found.values())


def test_422_is_nowhere(document: dict[str, Any]) -> None:
    assert all("422" not in operation["responses"] for _, operation in operations(document))
    assert not {"HTTPValidationError", "ValidationError"} & set(document["components"]["schemas"])


def test_every_documented_error_of_the_api_is_the_envelope(document: dict[str, Any]) -> None:
    checked = 0
    for name, operation in operations(document):
        errors = {code: body for code, body in operation["responses"].items() if code >= "400"}
        for body in errors.values():
            schema = body["content"]["application/json"]["schema"]["$ref"]
            assert schema.rpartition("/")[2] == (
                "Readiness" if name == "GET /readyz" else "ErrorEnvelope"
            )
            checked += 1
    assert checked
    envelope = document["components"]["schemas"]["ErrorEnvelope"]
    assert set(envelope["required"]) == {"statusCode", "error", "message"}


def test_names_on_the_wire_are_camel_case(document: dict[str, Any]) -> None:
    for schema in document["components"]["schemas"].values():
        assert not [name for name in schema.get("properties", {}) if "_" in name]


async def test_the_document_and_its_page_are_served(service: Service) -> None:
    assert (await service.client.get("/docs")).status_code == 200
    answer = await service.client.get("/openapi.json")
    assert answer.status_code == 200
    assert answer.json()["info"]["title"] == "Reindex Queue"
