"""The API's document as a page: Swagger UI, served from here so that it needs no internet."""

from __future__ import annotations

from fastapi import FastAPI
from fastapi.openapi.docs import get_swagger_ui_html
from fastapi.staticfiles import StaticFiles
from starlette.responses import HTMLResponse, RedirectResponse

_FILES = "docs/files"
_NO_ICON = "data:,"
_NARROW = b"""<style>
@media (max-width: 700px) {
  .swagger-ui .opblock-tag { flex-wrap: wrap; }
  .swagger-ui .opblock-tag small { flex-basis: 100%; padding: 0; }
}
</style></head>"""
"""On a narrow screen Swagger UI leaves a letter or two a line to the words beside a heading."""


def install(app: FastAPI) -> None:
    """Serves `/docs`. Every address on the page is relative, so that it works below any path."""
    page = get_swagger_ui_html(
        openapi_url="openapi.json",
        title=f"{app.title} API",
        swagger_js_url=f"{_FILES}/swagger-ui-bundle.js",
        swagger_css_url=f"{_FILES}/swagger-ui.css",
        swagger_favicon_url=_NO_ICON,
        swagger_ui_parameters={"defaultModelsExpandDepth": 0, "displayRequestDuration": True},
    )

    body = bytes(page.body).replace(b"</head>", _NARROW)

    @app.get("/docs", include_in_schema=False)
    async def docs() -> HTMLResponse:  # pyright: ignore[reportUnusedFunction] - a route
        return HTMLResponse(body)

    @app.get("/", include_in_schema=False)
    async def start() -> RedirectResponse:  # pyright: ignore[reportUnusedFunction] - a route
        """For a person who opens the address that the service prints."""
        return RedirectResponse("docs")

    app.mount(f"/{_FILES}", StaticFiles(packages=[("fastapi_offline", "static")]))
