"""What all webhooks of the service are sent with."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from app.store.store import Store
from app.store.webhooks import Webhooks
from app.webhooks.delivery import Courier
from app.webhooks.sealed import WebhookSecrets
from app.webhooks.sender import Sender


@dataclass(frozen=True)
class Post:
    webhooks: Webhooks
    secrets: WebhookSecrets
    courier: Courier

    def sender(
        self, cluster: str, store: Store, who: str, is_ours: Callable[[], Awaitable[bool]]
    ) -> Sender:
        """For the events of one cluster; `who`: as the event log names its worker; `is_ours`: see
        `Sender`."""
        return Sender(
            cluster=cluster,
            webhooks=self.webhooks,
            places=store.webhook_places,
            log=store.event_log([cluster]),
            secrets=self.secrets,
            courier=self.courier,
            who=who,
            is_ours=is_ours,
        )
