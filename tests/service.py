"""The service in the test's own process, spoken to over ASGI."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import quote

import httpx

from app.domain.job import ENDED_STATES
from app.main import create_app
from app.settings import Settings
from app.sites.site import Site as Parts
from app.store.events import Event
from tests.conditions import eventually
from tests.secrets_used import used

BASE = "/api/upgrade_assistant/reindex"


class Api:
    """What HTTP shows of a service, wherever it runs."""

    def __init__(self, client: httpx.AsyncClient) -> None:
        self.client = client

    async def post_batch(self, *names: str) -> dict[str, Any]:
        """Posts a batch that must be accepted as a whole request."""
        answer = await self.client.post(f"{BASE}/batch", json={"indexNames": list(names)})
        assert answer.status_code == 200, answer.text
        return answer.json()

    async def post_options(self, *indices: dict[str, Any], **options: Any) -> dict[str, Any]:
        """Posts a batch of `/api/v1`, every index of which must be taken."""
        body = {"indices": list(indices), **options}
        answer = await self.client.post("/api/v1/batches", json=body)
        assert answer.status_code == 200, answer.text
        assert answer.json()["refused"] == []
        return answer.json()

    async def shown(self, operation_id: str) -> dict[str, Any]:
        """The operation as `/api/v1` has it."""
        answer = await self.client.get(f"/api/v1/operations/{operation_id}")
        assert answer.status_code == 200, answer.text
        return answer.json()

    async def newest(self, name: str) -> dict[str, Any] | None:
        """The newest operation of that index as `/api/v1` lists it; asks Elasticsearch nothing."""
        answer = await self.client.get(f"/api/v1/operations?index={name}&order=desc&limit=1")
        assert answer.status_code == 200, answer.text
        return next(iter(answer.json()["operations"]), None)

    async def newest_ended(self, name: str, seconds: float = 60) -> dict[str, Any]:
        """Waits until that one has ended, and answers it."""
        found: list[dict[str, Any]] = []

        async def over() -> bool:
            found[:] = [o for o in [await self.newest(name)] if o and o["state"] in ENDED_STATES]
            return bool(found)

        await eventually(over, f"the operation of {name} ends", seconds, pause=0.05)
        return found[0]

    async def roll_back(self, operation_id: str, *, force: bool = False) -> httpx.Response:
        return await self.client.post(
            f"/api/v1/operations/{operation_id}/rollback", json={"force": force}
        )

    async def state_of(self, operation_id: str, *states: str, seconds: float = 60) -> str:
        """Waits until the operation is in one of these states, and answers which."""

        async def there() -> bool:
            return (await self.shown(operation_id))["state"] in states

        await eventually(there, f"{operation_id} is {' or '.join(states)}", seconds)
        return (await self.shown(operation_id))["state"]

    async def operation(self, name: str) -> dict[str, Any]:
        """The `reindexOp` of an index."""
        answer = await self.client.get(f"{BASE}/{quote(name, safe='')}")
        assert answer.status_code == 200, answer.text
        return answer.json()["reindexOp"]

    async def cancel(self, name: str) -> int:
        """Asks for the cancellation; the status of the answer."""
        return (await self.client.post(f"{BASE}/{quote(name, safe='')}/cancel")).status_code

    async def queue(self) -> list[dict[str, Any]]:
        return (await self.client.get(f"{BASE}/batch/queue")).json()["queue"]

    async def ended(self, name: str, seconds: float = 60) -> dict[str, Any]:
        """Waits until the operation of that index has ended, and answers it."""

        async def over() -> bool:
            return (await self.operation(name))["status"] != 0

        await eventually(over, f"the operation of {name} ends", seconds)
        return await self.operation(name)

    async def completed(self, *names: str, seconds: float = 60) -> None:
        """Waits until the operations of these indices have ended well."""
        for name in names:
            operation = await self.ended(name, seconds)
            assert operation["status"] == 1, operation


class Service(Api):
    """A service in this process: `parts` are its insides, for what HTTP does not show."""

    def __init__(self, client: httpx.AsyncClient, parts: Parts) -> None:
        super().__init__(client)
        self.parts = parts

    async def events(self, name: str) -> list[Event]:
        """The events of the newest operation of that index."""
        operation = await self.parts.reading.operation(name)
        return await self.parts.store.events.of_operation(operation.id)

    async def holds(self, name: str, why: str, seconds: float = 30) -> None:
        """Waits until the operation of that index holds for a reason that contains `why`."""

        async def held() -> bool:
            operation = await self.parts.reading.operation(name)
            return why in (operation.hold_reason or "")

        await eventually(held, f"{name} holds because of “{why}”", seconds)


@asynccontextmanager
async def running_service(
    elasticsearch_url: str, database_url: str, **settings: Any
) -> AsyncGenerator[Service]:
    """Starts the service and its worker, and stops both like a SIGTERM would."""
    made: dict[str, Any] = {
        "elasticsearch_hosts": [elasticsearch_url],
        "database_url": database_url,
        **settings,
    }
    used.of_settings(made)
    app = create_app(Settings(**made))
    async with app.router.lifespan_context(app):
        transport = httpx.ASGITransport(app=app, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://service") as client:
            yield Service(client, app.state.sites.of())
