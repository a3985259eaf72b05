"""`/api/v1/webhooks`: what is told of events: made, changed, tested and deleted."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Body, Depends, Path, Request
from pydantic import AfterValidator

from app.api.access import Caller
from app.api.documenting import BODIES
from app.api.v1 import documented
from app.api.v1.tokens import UNLIMITED_ADMIN
from app.sites.site import Sites
from app.sites.webhook_desk import IssuedWebhook, ShownWebhook, WebhookChange, WebhookDesk
from app.wire.notation import without_nul
from app.wire.webhooks import (
    ChangedWebhook,
    NewWebhook,
    WebhookAnswer,
    WebhookList,
    WebhookReport,
    WebhookTest,
)

router = APIRouter(prefix="/api/v1/webhooks", tags=["Webhooks"])


async def _desk(request: Request) -> WebhookDesk:
    sites = request.app.state.sites
    assert isinstance(sites, Sites)
    return sites.webhooks


Desk = Annotated[WebhookDesk, Depends(_desk)]
WebhookPath = Annotated[
    str,
    AfterValidator(without_nul),
    Path(title="Webhook", description="Its id or its name", examples=["chat"]),
]


@router.get(
    "", summary="List webhooks", dependencies=UNLIMITED_ADMIN, responses=documented.WEBHOOKS
)
async def list_webhooks(desk: Desk) -> WebhookList:
    """All webhooks, each with its host, how far it is, and what keeps it from sending."""
    return WebhookList(webhooks=[_report(shown) for shown in await desk.all()])


@router.post(
    "", summary="Make a webhook", dependencies=UNLIMITED_ADMIN, responses=documented.NEW_WEBHOOK
)
async def create_webhook(
    body: Annotated[NewWebhook, Body(openapi_examples=BODIES["v1_new_webhook"])],
    desk: Desk,
    caller: Caller,
) -> WebhookAnswer:
    """It is sent what happens from now on. The answer has the secret that signs (docs/webhooks.md),
    which is not shown again.

    Its address must be allowed by `REINDEX_WEBHOOK_ALLOW`, also by what its name leads to.
    """
    return _answer(await desk.create(body.wish(), body.url, caller.name))


@router.get(
    "/{webhookId}",
    summary="Look at a webhook",
    dependencies=UNLIMITED_ADMIN,
    responses=documented.WEBHOOK,
)
async def show_webhook(webhookId: WebhookPath, desk: Desk) -> WebhookReport:
    """One of them, by its id or its name."""
    return _report(await desk.find(webhookId))


@router.patch(
    "/{webhookId}",
    summary="Change a webhook",
    dependencies=UNLIMITED_ADMIN,
    responses=documented.CHANGED_WEBHOOK,
)
async def change_webhook(
    webhookId: WebhookPath,
    body: Annotated[ChangedWebhook, Body(openapi_examples=BODIES["v1_changed_webhook"])],
    desk: Desk,
    caller: Caller,
) -> WebhookAnswer:
    """Switches it on or off, gives it another address or other kinds, or replaces its secret, which
    the answer then has. What has kept it from sending is forgotten, so it is tried at once."""
    change = WebhookChange(
        url=body.url,
        is_on=body.on,
        kinds=None if body.kinds is None else tuple(body.kinds),
        sets_kinds="kinds" in body.model_fields_set,
        rotate=body.rotate_secret,
    )
    return _answer(await desk.change(webhookId, change, caller.name))


@router.delete(
    "/{webhookId}",
    summary="Delete a webhook",
    dependencies=UNLIMITED_ADMIN,
    responses=documented.WEBHOOK,
)
async def delete_webhook(webhookId: WebhookPath, desk: Desk, caller: Caller) -> WebhookReport:
    """Nothing is sent to it any more, and its secrets are removed. The answer is how it was."""
    return _report(await desk.delete(webhookId, caller.name))


@router.post(
    "/{webhookId}/test",
    summary="Test a webhook",
    dependencies=UNLIMITED_ADMIN,
    responses=documented.TESTED_WEBHOOK,
)
async def test_webhook(webhookId: WebhookPath, desk: Desk) -> WebhookTest:
    """Sends it something of the kind `test` now, once, and says what came of it. Events wait for
    nothing because of it, and it counts for nothing."""
    outcome = await desk.test(webhookId)
    return WebhookTest(delivered=outcome.fault is None, status=outcome.status, reason=outcome.fault)


def _report(shown: ShownWebhook) -> WebhookReport:
    return WebhookReport.of(shown.webhook, shown.places)


def _answer(issued: IssuedWebhook) -> WebhookAnswer:
    return WebhookAnswer(webhook=_report(issued.shown), secret=issued.key)
