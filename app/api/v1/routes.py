"""All of `/api/v1`."""

from __future__ import annotations

from app.api.v1 import batches, control, operations, worker

ROUTERS = (batches.router, operations.router, control.router, worker.router)
