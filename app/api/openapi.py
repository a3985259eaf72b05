"""The OpenAPI document without FastAPI's 422, which this service never answers."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI


def install(app: FastAPI) -> None:
    made = app.openapi

    def without_422() -> dict[str, Any]:
        document = made()
        for operations in document.get("paths", {}).values():
            for operation in operations.values():
                operation.get("responses", {}).pop("422", None)
        schemas = document.get("components", {}).get("schemas", {})
        for name in ("HTTPValidationError", "ValidationError"):
            schemas.pop(name, None)
        return document

    app.openapi = without_422  # pyright: ignore[reportAttributeAccessIssue]
