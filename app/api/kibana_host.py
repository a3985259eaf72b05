"""What Kibana's own server does around its routes: base path, spaces, xsrf, API version."""

from __future__ import annotations

import re

from fastapi import Request
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.api.browsers import SAFE
from app.api.errors import NO_XSRF, answer

VERSION_HEADER = "elastic-api-version"
_SPACE = re.compile(r"^/s/[a-z0-9_-]+(?=/api/)")


class KibanaHost:
    """Rewrites `{base}/s/{space}/api/…` to `/api/…`, so that every form reaches one route.

    The queue is not divided by spaces. `kbn-xsrf` is demanded of changing requests only where
    `xsrf` says so; `elastic-api-version` is echoed.
    """

    def __init__(self, app: ASGIApp, base_path: str, *, xsrf: bool) -> None:
        self._app = app
        self._base = base_path.rstrip("/")
        self._xsrf = xsrf

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        path = self._plain(scope["path"])
        if path != scope["path"]:
            scope = {**scope, "path": path, "raw_path": path.encode()}
        if self._xsrf and scope["method"] not in SAFE and "kbn-xsrf" not in headers:
            refusal = answer(Request(scope), 400, NO_XSRF, "no_xsrf")
            await refusal(scope, receive, send)
            return
        version = headers.get(VERSION_HEADER)

        async def echoing(message: Message) -> None:
            if version is not None and message["type"] == "http.response.start":
                MutableHeaders(scope=message)[VERSION_HEADER] = version
            await send(message)

        await self._app(scope, receive, echoing)

    def _plain(self, path: str) -> str:
        if self._base and (path == self._base or path.startswith(self._base + "/")):
            path = path[len(self._base) :] or "/"
        return _SPACE.sub("", path)
