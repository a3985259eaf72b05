"""Webhooks: addresses that are told of events, each with a key that signs what it is sent."""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
from collections.abc import Sequence
from datetime import datetime, timedelta

from pydantic import BaseModel, ConfigDict

from app.domain.events import EventKind

KEY_PREFIX = "whsec_"
"""How every key begins: the bytes follow in base64, as libraries of Standard Webhooks take it."""
KEY_BYTES = 32
MOST_WEBHOOKS = 20
ROTATION = timedelta(hours=24)
"""So long after a rotation the key before it signs, too."""
SWITCHED_OFF_AFTER = timedelta(hours=24)
"""So long without a success; then nothing is sent any more."""
FIRST_PAUSE, LONGEST_PAUSE = 2.0, 300.0
"""Seconds between two tries of the same event."""


class WebhookWish(BaseModel):
    """What a webhook is to be. `kinds` None: events of every kind."""

    model_config = ConfigDict(frozen=True)

    name: str
    kinds: tuple[EventKind, ...] | None = None


class Webhook(WebhookWish):
    """A webhook as people are shown it: its address by the host alone. Times are UTC.

    `off_reason`: why the service has switched it off; None where a person has, or it is on.
    `rotated_at`: when its key was last replaced.
    """

    id: str
    host: str
    is_on: bool = True
    off_reason: str | None = None
    created_at: datetime
    created_by: str
    rotated_at: datetime | None = None


class SealedWebhook(Webhook):
    """With its secrets, sealed: the address, the key, and the key before it."""

    sealed_url: str
    sealed_key: str
    sealed_old_key: str | None = None


class WebhookPlace(BaseModel):
    """How far a webhook is in the event log of one cluster: `number` is the last event that was
    delivered, or passed over.

    `skipped`: events that a pruning had removed before it was their turn. `trouble`: why nothing is
    sent now; `failing_since`: when the first of the tries in vain was, None after a success.
    """

    model_config = ConfigDict(frozen=True)

    cluster_id: str
    number: int = 0
    skipped: int = 0
    trouble: str | None = None
    failing_since: datetime | None = None
    delivered_at: datetime | None = None


def new_key() -> str:
    """256 random bits, as text."""
    return KEY_PREFIX + base64.b64encode(secrets.token_bytes(KEY_BYTES)).decode()


def signed_headers(message_id: str, at: int, body: bytes, keys: Sequence[str]) -> dict[str, str]:
    """The headers of a delivery, as the Standard Webhooks convention names them.

    `at`: seconds since 1970. One signature for each key: HMAC-SHA256 of `id.time.body`.
    """
    signatures = " ".join(f"v1,{_signature(message_id, at, body, key)}" for key in keys)
    return {
        "webhook-id": message_id,
        "webhook-timestamp": str(at),
        "webhook-signature": signatures,
    }


def _signature(message_id: str, at: int, body: bytes, key: str) -> str:
    signed = f"{message_id}.{at}.".encode() + body
    raw = base64.b64decode(key.removeprefix(KEY_PREFIX))
    return base64.b64encode(hmac.new(raw, signed, hashlib.sha256).digest()).decode()


def pause_after(failures: int) -> float:
    """Seconds until the next try after so many in vain, one or more."""
    return min(LONGEST_PAUSE, FIRST_PAUSE * 2.0 ** min(failures - 1, 20))
