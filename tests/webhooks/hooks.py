"""The service without Elasticsearch, and what a test asks of it about webhooks."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import httpx
from cryptography.fernet import Fernet
from fastapi import FastAPI

from app.main import create_app
from app.settings import Settings
from app.webhooks.delivery import Courier
from tests.conditions import eventually

NOWHERE = "http://127.0.0.1:9"
WEBHOOKS = "/api/v1/webhooks"
Json = dict[str, Any]


@asynccontextmanager
async def running(database_url: str, **settings: Any) -> AsyncGenerator[Hooks]:
    """The service without Elasticsearch, whose webhooks may go to loopback."""
    made: Json = {
        "elasticsearch_hosts": [NOWHERE],
        "database_url": database_url,
        "reindex_secret_keys": Fernet.generate_key().decode(),
        "reindex_webhook_allow": "127.0.0.1",
        **settings,
    }
    app = create_app(Settings(**{key: value for key, value in made.items() if value is not None}))
    async with app.router.lifespan_context(app):
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://service") as client:
            yield Hooks(client, app)


class Hooks:
    """What a test asks of a service about webhooks."""

    def __init__(self, client: httpx.AsyncClient, app: FastAPI) -> None:
        self.client = client
        self.app = app
        self.courier: Courier = app.state.sites.webhooks.courier

    async def create(self, url: str, name: str = "chat", **more: Any) -> httpx.Response:
        return await self.client.post(WEBHOOKS, json={"name": name, "url": url, **more})

    async def made(self, url: str, name: str = "chat", **more: Any) -> Json:
        answer = await self.create(url, name, **more)
        assert answer.status_code == 200, answer.text
        return answer.json()

    async def change(self, name: str = "chat", **body: Any) -> Json:
        answer = await self.client.patch(f"{WEBHOOKS}/{name}", json=body)
        assert answer.status_code == 200, answer.text
        return answer.json()

    async def shown(self, name: str = "chat") -> Json:
        answer = await self.client.get(f"{WEBHOOKS}/{name}")
        assert answer.status_code == 200, answer.text
        return answer.json()

    async def place(self, name: str = "chat") -> Json:
        return (await self.shown(name))["places"][0]

    async def test(self, name: str = "chat") -> Json:
        answer = await self.client.post(f"{WEBHOOKS}/{name}/test")
        assert answer.status_code == 200, answer.text
        return answer.json()

    async def events(self, times: int) -> None:
        """So many changes of the pace, each of which is an event."""
        for rate in range(1, times + 1):
            answer = await self.client.put("/api/v1/pace", json={"requestsPerSecond": rate})
            assert answer.status_code == 200

    async def troubled(self, why: str, name: str = "chat", seconds: float = 30) -> Json:
        """Waits until its row says that; its place."""
        found: Json = {}

        async def said() -> bool:
            found.update(await self.place(name))
            return why in (found["trouble"] or "")

        await eventually(said, lambda: f"“{why}” is its trouble: {found}", seconds)
        return found

    async def fine(self, name: str = "chat") -> None:
        async def there() -> bool:
            return (await self.place(name))["trouble"] is None

        await eventually(there, "it has no trouble any more")
