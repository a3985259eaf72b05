"""What the service says of an operation afterwards."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from tests.e2e.process import ServiceProcess


async def told(service: ServiceProcess, index: str) -> dict[str, Any]:
    """The newest operation of `index` with its windows and events."""
    listed = await service.client.get(
        "/api/v1/operations", params={"index": index, "limit": 1, "order": "desc"}
    )
    operation_id = listed.json()["operations"][0]["id"]
    return (await service.client.get(f"/api/v1/operations/{operation_id}")).json()


async def copy_seconds(service: ServiceProcess, index: str) -> float:
    """From the first window's start to the last one's end, as the service has noted them."""
    began, ended = copied(await told(service, index))
    return ended - began


def copied(operation: dict[str, Any]) -> tuple[float, float]:
    """When the first window began and the last one ended, in seconds of the epoch."""
    windows = operation["windows"]
    started = [seconds(window["startedAt"]) for window in windows]
    ended = [seconds(window["endedAt"]) for window in windows]
    return min(started), max(ended)


def seconds(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()
