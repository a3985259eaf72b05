"""All of `/api/v1`."""

from __future__ import annotations

from app.api.v1 import control, operations, worker

ROUTERS = (operations.router, control.router, worker.router)
