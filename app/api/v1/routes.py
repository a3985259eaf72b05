"""All of `/api/v1`."""

from __future__ import annotations

from app.api.v1 import batches, control, operations, pace, worker

ROUTERS = (batches.router, operations.router, control.router, pace.router, worker.router)
