"""The shapes of webhooks: what is asked for, and what is told of those there are."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

from pydantic import Field, StrictBool, StrictStr

from app.domain.addresses import MOST_CHARACTERS
from app.domain.events import EventKind
from app.domain.token import NAME
from app.domain.webhook import Webhook, WebhookPlace, WebhookWish
from app.wire.notation import GivenName, Sent, Time, Wire

Url = Annotated[GivenName, Field(min_length=1, max_length=MOST_CHARACTERS)]
Kinds = Annotated[list[EventKind], Field(min_length=1, max_length=len(EventKind))]


class NewWebhook(Sent):
    """A webhook to be made."""

    name: Annotated[StrictStr, Field(pattern=NAME)]
    """Events have it. It is of `a-z`, `0-9`, `.`, `_` and `-`, 64 of them at most."""
    url: Url
    """Where it is sent, an `https` address that `REINDEX_WEBHOOK_ALLOW` allows. It is a secret:
    answers have its host alone."""
    kinds: Kinds | None = None
    """The kinds of events that it is told of (docs/events.md). Absent: all."""

    def wish(self) -> WebhookWish:
        kinds = None if self.kinds is None else tuple(self.kinds)
        return WebhookWish(name=self.name, kinds=kinds)


class ChangedWebhook(Sent):
    """What is to be other than it is; what is absent stays."""

    on: StrictBool | None = None
    """false: nothing is sent; true: it goes on with the event where it stopped."""
    url: Url | None = None
    """The new address."""
    kinds: Kinds | None = None
    """The kinds of events that it is told of. null: all."""
    rotate_secret: StrictBool = False
    """true: a new secret signs from now on, and the one before for 24 hours, too."""


class WebhookPlaceReport(Wire):
    """How far a webhook is in the event log of one cluster."""

    cluster: str
    """The name of the cluster."""
    number: int
    """The number of the last event that was sent, or passed over."""
    skipped: int
    """Events that were pruned before they could be sent."""
    trouble: str | None
    """Why nothing is sent now. null: nothing stands in the way."""
    failing_since: Time | None
    """Since when every try was in vain. null: the last one was not."""
    delivered_at: Time | None
    """When an event was delivered last. null: none was."""


class WebhookReport(Wire):
    """What is told of a webhook; its address and its secret are not."""

    id: str
    """Its id."""
    name: str
    """Its name."""
    host: str
    """The host of its address, with the port where that is not the usual one."""
    kinds: list[str] | None
    """The kinds of events that it is told of. null: all."""
    on: bool
    """False where nothing is sent."""
    off_reason: str | None
    """Why the service has switched it off. null: it has not."""
    created_at: Time
    """When it was made."""
    created_by: str
    """Who made it."""
    rotated_at: Time | None
    """When its secret was last replaced. null: it never was."""
    places: list[WebhookPlaceReport]
    """How far it is, by cluster."""

    @classmethod
    def of(cls, webhook: Webhook, places: Sequence[WebhookPlace]) -> WebhookReport:
        shown = webhook.model_dump(exclude={"is_on"})
        return cls(
            **{name: shown[name] for name in cls.model_fields if name in shown},
            on=webhook.is_on,
            places=[
                WebhookPlaceReport(cluster=place.cluster_id, **place.model_dump(exclude=_OWN))
                for place in places
            ],
        )


_OWN = {"cluster_id"}


class WebhookAnswer(Wire):
    """A webhook that was made or changed."""

    webhook: WebhookReport
    """As it is now."""
    secret: str | None
    """What its signatures are made with, where it is new. It is told now and never again."""


class WebhookList(Wire):
    """Webhooks, the oldest first."""

    webhooks: list[WebhookReport]
    """Also those that are off."""


class WebhookTest(Wire):
    """What came of a test."""

    delivered: bool
    """True where the answer was a 2xx."""
    status: int | None
    """The HTTP status of the answer. null: there was none."""
    reason: str | None
    """Why it was not delivered. null: it was."""
