"""The secrets of a webhook: sealed for its row, and opened for a delivery."""

from __future__ import annotations

from dataclasses import dataclass, field

from app.domain import clock
from app.domain.webhook import ROTATION, SealedWebhook
from app.redaction import hide
from app.sealing import Sealing
from app.store.webhooks import key_seal, url_seal

LEAST_HIDDEN = 8
"""Characters of a path; a shorter one is no secret, and would be hidden in many a line."""


@dataclass(frozen=True)
class Opened:
    """`keys`: those that sign now, the newest first."""

    url: str = field(repr=False)
    keys: tuple[str, ...] = field(repr=False)


class WebhookSecrets:
    """Every method raises `SecretUnusable`."""

    def __init__(self, sealing: Sealing) -> None:
        self._sealing = sealing

    def close_url(self, webhook_id: str, url: str) -> str:
        return self._sealing.close(url, url_seal(webhook_id))

    def close_key(self, webhook_id: str, key: str) -> str:
        hide([key])
        return self._sealing.close(key, key_seal(webhook_id))

    def open(self, webhook: SealedWebhook) -> Opened:
        url = self._sealing.open(webhook.sealed_url, url_seal(webhook.id))
        hide_url(url)
        sealed = [webhook.sealed_key]
        if webhook.sealed_old_key and _is_young(webhook):
            sealed.append(webhook.sealed_old_key)
        seal = key_seal(webhook.id)
        return Opened(url, tuple(self._sealing.open(one, seal) for one in sealed))


def hide_url(url: str) -> None:
    """Keeps the address out of the log, and its path, which is what makes it a secret."""
    hide([url])
    _, _, rest = url.partition("://")
    path = rest[rest.find("/") :] if "/" in rest else ""
    if len(path) >= LEAST_HIDDEN:
        hide([path])


def _is_young(webhook: SealedWebhook) -> bool:
    if webhook.rotated_at is None:
        return False
    return clock.elapsed(webhook.rotated_at) < ROTATION.total_seconds()
