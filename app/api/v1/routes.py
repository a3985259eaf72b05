"""All of `/api/v1`."""

from __future__ import annotations

from app.api.v1 import (
    batches,
    control,
    events,
    history,
    indices,
    operations,
    pace,
    plan,
    tokens,
    webhooks,
    worker,
)

ROUTERS = (
    indices.router,
    plan.router,
    batches.router,
    operations.router,
    control.router,
    control.batches,
    pace.router,
    history.router,
    events.router,
    worker.router,
    tokens.router,
    webhooks.router,
)
