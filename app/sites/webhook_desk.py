"""The desk for webhooks: makes, changes, deletes and tests them."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from app.domain import clock
from app.domain.addresses import Endpoint
from app.domain.announcements import announced_test
from app.domain.events import EventKind
from app.domain.formatting import capped
from app.domain.webhook import (
    SealedWebhook,
    Webhook,
    WebhookPlace,
    WebhookWish,
    new_key,
    signed_headers,
)
from app.telemetry import logger
from app.webhooks.delivery import Outcome
from app.webhooks.post import Post
from app.webhooks.sealed import hide_url

log = logger(__name__)


@dataclass(frozen=True)
class ShownWebhook:
    """`places`: how far it is in the event log of each cluster."""

    webhook: Webhook
    places: Sequence[WebhookPlace] = ()


@dataclass(frozen=True)
class IssuedWebhook:
    """`key`: the new one, which is not shown again; None where none was made."""

    shown: ShownWebhook
    key: str | None = field(repr=False)


@dataclass(frozen=True)
class WebhookChange:
    """What is to be other than it is; `kinds` counts where `sets_kinds`."""

    url: str | None = field(default=None, repr=False)
    is_on: bool | None = None
    kinds: tuple[EventKind, ...] | None = None
    sets_kinds: bool = False
    rotate: bool = False

    @property
    def told(self) -> list[str]:
        """What is changed, in the words of an event."""
        asked = {
            "url": self.url is not None,
            "on": self.is_on is not None,
            "kinds": self.sets_kinds,
            "secret": self.rotate,
        }
        return [name for name, changed in asked.items() if changed]


class WebhookDesk:
    def __init__(self, post: Post) -> None:
        self._webhooks = post.webhooks
        self._secrets = post.secrets
        self.courier = post.courier

    async def create(self, wish: WebhookWish, url: str, by: str) -> IssuedWebhook:
        """Raises `InvalidAddress`, `AddressNotAllowed`, `HostUnknown`, `SecretUnusable`,
        `WebhookNameTaken`, `TooManyWebhooks`, `StoreTrouble`: then there is none."""
        endpoint = await self._judged(url)
        webhook_id, key = uuid.uuid4().hex, new_key()
        made = await self._webhooks.create(
            SealedWebhook(
                **wish.model_dump(),
                id=webhook_id,
                host=endpoint.authority,
                created_at=clock.now(),
                created_by=by,
                sealed_url=self._secrets.close_url(webhook_id, url),
                sealed_key=self._secrets.close_key(webhook_id, key),
            ),
            by,
        )
        log.info("webhook_created", webhook=made.id, host=made.host, by=by)
        return IssuedWebhook(await self.find(made.id), key)

    async def change(self, name: str, change: WebhookChange, by: str) -> IssuedWebhook:
        """Raises `UnknownWebhook`, and as `create` does: then nothing is changed."""
        webhook = await self._webhooks.find(name)
        if not change.told:
            return IssuedWebhook(await self.find(name), None)
        values: dict[str, Any] = {}
        if change.url is not None:
            endpoint = await self._judged(change.url)
            values["host"] = endpoint.authority
            values["sealed_url"] = self._secrets.close_url(webhook.id, change.url)
        if change.is_on is not None:
            values |= {"is_on": change.is_on, "off_reason": None}
        if change.sets_kinds:
            values["kinds"] = change.kinds
        key = new_key() if change.rotate else None
        sealed = self._secrets.close_key(webhook.id, key) if key else None

        def changed(before: SealedWebhook) -> dict[str, Any]:
            if not sealed:
                return values
            old = before.sealed_key
            rotated = {"sealed_old_key": old, "sealed_key": sealed, "rotated_at": clock.now()}
            return {**values, **rotated}

        await self._webhooks.change(webhook.id, changed, by, change.told)
        log.info("webhook_changed", webhook=webhook.id, changed=change.told, by=by)
        return IssuedWebhook(await self.find(webhook.id), key)

    async def delete(self, name: str, by: str) -> ShownWebhook:
        """As it was. Raises `UnknownWebhook`, `StoreTrouble`."""
        shown = await self.find(name)
        await self._webhooks.delete(shown.webhook.id, by)
        log.info("webhook_deleted", webhook=shown.webhook.id, by=by)
        return shown

    async def all(self) -> list[ShownWebhook]:
        """The oldest first. Raises `StoreTrouble`."""
        webhooks, places = await self._webhooks.all(), await self._webhooks.places()
        return [ShownWebhook(one, places.get(one.id, ())) for one in webhooks]

    async def find(self, name: str) -> ShownWebhook:
        """By its id or its name. Raises `UnknownWebhook`, `StoreTrouble`."""
        webhook = await self._webhooks.find(name)
        places = await self._webhooks.places()
        return ShownWebhook(webhook, places.get(webhook.id, ()))

    async def test(self, name: str) -> Outcome:
        """Sends something that is no event, once, also to one that is switched off. Raises
        `UnknownWebhook`, `SecretUnusable`, `StoreTrouble`."""
        webhook = await self._webhooks.find(name)
        opened = self._secrets.open(webhook)
        now = clock.now()
        body = announced_test(now).body
        message_id = f"{webhook.id}:test:{uuid.uuid4().hex}"
        headers = signed_headers(message_id, int(now.timestamp()), body, opened.keys)
        outcome = await self.courier.deliver(opened.url, body, headers)
        reason = capped(outcome.fault or "")
        log.info("webhook_tested", webhook=webhook.id, status=outcome.status, reason=reason)
        return outcome

    async def _judged(self, url: str) -> Endpoint:
        """Raises `InvalidAddress`, `AddressNotAllowed`, `HostUnknown`."""
        hide_url(url)
        endpoint = Endpoint.parse(url)
        await self.courier.judge(endpoint)
        return endpoint
