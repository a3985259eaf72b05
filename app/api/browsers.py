"""What a browser sends on behalf of a page: changes only from pages of this service's own address.

A login or a firewall does not help against a page of somebody else that is open in a browser which
may reach the service: it can send a POST without a body to any address, and one whose name is made
to lead here (DNS rebinding) even one with a body. Browsers name the page's address in `Origin`.
"""

from __future__ import annotations

import ipaddress
from urllib.parse import urlsplit

from fastapi import Request
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from app.api.errors import answer
from app.domain.texts import capped

SAFE = ("GET", "HEAD", "OPTIONS")
REFUSED = (
    "A page of {page} sent this, which is not the address of this service. If it is, behind a "
    "proxy or under a name of your own, set SERVER_PUBLICBASEURL to it."
)


class OwnPages:
    """Answers 403 to changes that pages of other addresses ask for. Programs send no `Origin`.

    `names`: hosts that this service is known by, beside addresses and `localhost`; `public`: the
    one that people see. Where callers log in (`guarded`), a page under any name has had to, too.
    """

    def __init__(self, app: ASGIApp, names: frozenset[str], public: str, *, guarded: bool) -> None:
        self._app = app
        self._names = names
        self._public = public
        self._guarded = guarded

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["method"] not in SAFE:
            headers = Headers(scope=scope)
            if not self._is_own(headers):
                page = capped(headers.get("origin") or "another site", 200)
                text = REFUSED.format(page=page)
                refusal = answer(Request(scope), 403, text, "another_site")
                await refusal(scope, receive, send)
                return
        await self._app(scope, receive, send)

    def _is_own(self, headers: Headers) -> bool:
        origin = headers.get("origin")
        if origin is None:
            return headers.get("sec-fetch-site", "none") in ("none", "same-origin")
        try:
            page = urlsplit(origin.lower())
            name = page.hostname or ""
        except ValueError:
            return False
        if f"{page.scheme}://{page.netloc}" == self._public:
            return True
        same = bool(name) and page.netloc == headers.get("host", "").lower()
        return same and (self._guarded or name in self._names or _is_here(name))


def _is_here(name: str) -> bool:
    """Nobody else can make such a name lead somewhere."""
    if name == "localhost" or name.endswith(".localhost"):
        return True
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
