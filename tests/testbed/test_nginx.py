"""The nginx of the testbed passes requests on, with its directives at work."""

from __future__ import annotations

import httpx
import pytest

from testbed.errors import StartError
from testbed.nginx import Nginx
from testbed.relay import Relay


async def test_nginx_passes_on_what_its_directives_leave(relay: Relay) -> None:
    relay.answer("GET", "^/anything", 200, {}, times=None)
    with Nginx(relay.url, 'proxy_set_header X-Opaque-Id "";') as nginx:
        async with httpx.AsyncClient(base_url=nginx.url, trust_env=False) as client:
            answer = await client.get("/anything?a=b", headers={"X-Opaque-Id": "1", "X-Other": "2"})
    assert answer.status_code == 200
    (seen,) = relay.seen
    assert seen.path == "/anything?a=b"
    assert "X-Opaque-Id" not in seen.headers
    assert seen.headers["X-Other"] == "2"


def test_nginx_that_cannot_start_says_why() -> None:
    with (
        pytest.raises(StartError, match="no_such_directive"),
        Nginx("http://a", "no_such_directive;"),
    ):
        pass
