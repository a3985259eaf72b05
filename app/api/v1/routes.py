"""All of `/api/v1`."""

from __future__ import annotations

from app.api.v1 import (
    adoption,
    batches,
    control,
    events,
    history,
    indices,
    keys,
    operations,
    pace,
    plan,
    session,
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
    adoption.router,
    session.router,
    tokens.router,
    keys.router,
    webhooks.router,
)
