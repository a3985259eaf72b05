"""Webhooks: those of the whole service, and how far each is in the event log of a cluster."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

from sqlalchemy import delete, exists, insert, select
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlmodel import col, update

from app.domain import clock
from app.domain.errors import TooManyWebhooks, UnknownWebhook, WebhookNameTaken
from app.domain.events import EventKind, Note
from app.domain.token import SERVICE
from app.domain.webhook import (
    MOST_WEBHOOKS,
    SWITCHED_OFF_AFTER,
    SealedWebhook,
    Webhook,
    WebhookPlace,
)
from app.sealing import Seal
from app.store.tables import (
    ClusterStateRow,
    JobRow,
    WebhookPlaceRow,
    WebhookRow,
    plain_values,
    read_rows,
)
from app.store.transactions import Transaction, Transactions

Changed = Mapping[str, Any]
"""The new values of some fields of a webhook."""
TOLD = ("host", "kinds", "is_on")
"""What an event has of a webhook; its address and its keys are nowhere near."""

_COLUMNS: Any = tuple(getattr(WebhookRow, name) for name in SealedWebhook.model_fields)
_PLACE: Any = tuple(getattr(WebhookPlaceRow, name) for name in WebhookPlace.model_fields)


def url_seal(webhook_id: str) -> Seal:
    """What the address of a webhook is bound to."""
    return Seal("webhook", SERVICE, webhook_id)


def key_seal(webhook_id: str) -> Seal:
    """What the keys of a webhook are bound to."""
    return Seal("webhook key", SERVICE, webhook_id)


class Webhooks:
    def __init__(self, transactions: Transactions, reader: AsyncEngine) -> None:
        self._transactions = transactions
        self._reader = reader

    async def create(self, webhook: SealedWebhook, by: str) -> SealedWebhook:
        """It begins behind the newest event that each cluster has now.

        Raises `WebhookNameTaken`, `TooManyWebhooks`, `StoreTrouble`.
        """

        async def work(transaction: Transaction) -> SealedWebhook:
            # Writing transactions come one after the other, so nobody takes the name in between.
            names = [name for (name,) in await transaction.execute(select(col(WebhookRow.name)))]
            if webhook.name in names:
                raise WebhookNameTaken(webhook.name)
            if len(names) >= MOST_WEBHOOKS:
                raise TooManyWebhooks(MOST_WEBHOOKS)
            made = webhook.model_copy(update={"created_at": transaction.now, "created_by": by})
            row = {key: plain_values(value) for key, value in made}
            row["kinds"] = _plain_kinds(made.kinds)
            await transaction.bulk(insert(WebhookRow), [row])
            await transaction.bulk(insert(WebhookPlaceRow), await _at_the_newest(transaction, made))
            transaction.announce(by, [_note(EventKind.WEBHOOK_CREATED, made)])
            return made

        return await self._transactions.run(work)

    async def change(
        self,
        webhook_id: str,
        changed: Callable[[SealedWebhook], Changed],
        by: str,
        told: Sequence[str],
    ) -> SealedWebhook:
        """`changed` is asked about the webhook as it is now; `told`: what an event says of it. What
        kept it from sending is forgotten. Raises `UnknownWebhook`, and what `changed` raises."""

        async def work(transaction: Transaction) -> SealedWebhook:
            before = await _found(transaction, webhook_id)
            values = dict(changed(before))
            after = before.model_copy(update=values)
            if "kinds" in values:
                values["kinds"] = _plain_kinds(after.kinds)
            row = update(WebhookRow).where(col(WebhookRow.id) == before.id).values(**values)
            await transaction.execute(row)
            place = update(WebhookPlaceRow).where(col(WebhookPlaceRow.webhook_id) == before.id)
            await transaction.execute(place.values(trouble=None, failing_since=None))
            note = Note(
                what=EventKind.WEBHOOK_CHANGED,
                text=after.name,
                before=_told(before),
                after={**_told(after), "changed": list(told)},
            )
            transaction.announce(by, [note])
            return after

        return await self._transactions.run(work)

    async def delete(self, webhook_id: str, by: str) -> SealedWebhook:
        """Raises `UnknownWebhook`."""

        async def work(transaction: Transaction) -> SealedWebhook:
            webhook = await _found(transaction, webhook_id)
            await transaction.execute(
                delete(WebhookPlaceRow).where(col(WebhookPlaceRow.webhook_id) == webhook.id)
            )
            await transaction.execute(delete(WebhookRow).where(col(WebhookRow.id) == webhook.id))
            transaction.announce(by, [_note(EventKind.WEBHOOK_DELETED, webhook)])
            return webhook

        return await self._transactions.run(work)

    async def switch_off(self, webhook: SealedWebhook, reason: str, by: str) -> bool:
        """False where it was changed meanwhile, or another cluster's events still arrive there."""
        arrives = exists().where(
            col(WebhookPlaceRow.webhook_id) == webhook.id,
            col(WebhookPlaceRow.delivered_at) > clock.earliest() - SWITCHED_OFF_AFTER,
        )

        async def work(transaction: Transaction) -> bool:
            off: Any = (
                update(WebhookRow)
                .where(
                    col(WebhookRow.id) == webhook.id,
                    col(WebhookRow.is_on).is_(True),
                    col(WebhookRow.sealed_url) == webhook.sealed_url,
                    ~arrives,
                )
                .values(is_on=False, off_reason=reason)
            )
            if not (await transaction.execute(off)).rowcount:
                return False
            after = {**_told(webhook), "is_on": False, "reason": reason}
            note = Note(what=EventKind.WEBHOOK_SWITCHED_OFF, text=webhook.name, after=after)
            transaction.announce(by, [note])
            return True

        return await self._transactions.run(work)

    async def switch_all_off(self, reason: str, by: str) -> list[str]:
        """Each with an event; their names. Raises `StoreTrouble`."""

        async def work(transaction: Transaction) -> list[str]:
            on = col(WebhookRow.is_on).is_(True)
            rows = (await transaction.execute(select(*_COLUMNS).where(on))).mappings().all()
            found = [SealedWebhook.model_validate(dict(row)) for row in rows]
            off = update(WebhookRow).where(on).values(is_on=False, off_reason=reason)
            await transaction.execute(off)
            for one in found:
                after = {**_told(one), "is_on": False, "reason": reason}
                note = Note(what=EventKind.WEBHOOK_SWITCHED_OFF, text=one.name, after=after)
                transaction.announce(by, [note])
            return sorted(one.name for one in found)

        return await self._transactions.run(work)

    async def all(self) -> list[SealedWebhook]:
        """The oldest first."""
        query = select(*_COLUMNS).order_by(col(WebhookRow.created_at), col(WebhookRow.id))
        return [SealedWebhook.model_validate(row) for row in await read_rows(self._reader, query)]

    async def find(self, name: str) -> SealedWebhook:
        """By its id or its name. Raises `UnknownWebhook`."""
        found = [one for one in await self.all() if name in (one.id, one.name)]
        if not found:
            raise UnknownWebhook(name)
        return found[0]

    async def places(self) -> dict[str, list[WebhookPlace]]:
        """By the id of the webhook, its places in the order of the clusters' names."""
        row = WebhookPlaceRow
        query = select(col(row.webhook_id), *_PLACE).order_by(col(row.cluster_id))
        found: dict[str, list[WebhookPlace]] = {}
        for one in await read_rows(self._reader, query):
            found.setdefault(one["webhook_id"], []).append(WebhookPlace.model_validate(one))
        return found

    async def close(self) -> None:
        """Waits for what is being saved."""
        await self._transactions.drain()


class WebhookPlaces:
    """The webhooks as the worker of one cluster sees them."""

    def __init__(self, transactions: Transactions, reader: AsyncEngine, cluster_id: str) -> None:
        self._transactions = transactions
        self._reader = reader
        self._cluster_id = cluster_id

    async def on(self) -> tuple[int, list[tuple[SealedWebhook, WebhookPlace]]]:
        """The number of the newest event, and the webhooks that are switched on. One that was made
        before this cluster was known has its place before the first event."""
        # In one statement: no event is sent that came after a webhook was switched off.
        state = ClusterStateRow
        head: Any = select(col(state.last_event)).where(col(state.cluster_id) == self._cluster_id)
        query = select(head.scalar_subquery().label("head"), *_COLUMNS)
        query = query.where(col(WebhookRow.is_on).is_(True))
        rows = await read_rows(self._reader, query.order_by(col(WebhookRow.created_at)))
        if not rows:
            return 0, []
        place = WebhookPlaceRow
        own = select(col(place.webhook_id), *_PLACE).where(
            col(place.cluster_id) == self._cluster_id
        )
        found = {row["webhook_id"]: row for row in await read_rows(self._reader, own)}
        nothing = {"cluster_id": self._cluster_id}
        webhooks = [SealedWebhook.model_validate(row) for row in rows]
        places = [WebhookPlace.model_validate(found.get(one.id, nothing)) for one in webhooks]
        return int(rows[0]["head"]), [*zip(webhooks, places, strict=True)]

    async def save(self, token: str, webhook_id: str, place: WebhookPlace) -> None:
        """Raises `LeaseLost`; nothing is saved of a webhook that is gone."""

        async def work(transaction: Transaction) -> None:
            row, values = WebhookPlaceRow, dict(place)
            own = (
                col(row.webhook_id) == webhook_id,
                col(row.cluster_id) == transaction.cluster_id,
            )
            saved = await transaction.execute(update(row).where(*own).values(**values))
            there = select(col(WebhookRow.id)).where(col(WebhookRow.id) == webhook_id)
            if not saved.rowcount and (await transaction.execute(there)).first():
                await transaction.bulk(insert(row), [{"webhook_id": webhook_id, **values}])

        await self._transactions.run(work, token)

    async def kinds_of_jobs(self, job_ids: Collection[str]) -> dict[str, str]:
        """Of those that are still there."""
        if not job_ids:
            return {}
        query = select(col(JobRow.id), col(JobRow.kind)).where(col(JobRow.id).in_(job_ids))
        return {row["id"]: row["kind"] for row in await read_rows(self._reader, query)}


async def _found(transaction: Transaction, webhook_id: str) -> SealedWebhook:
    found = await transaction.execute(select(*_COLUMNS).where(col(WebhookRow.id) == webhook_id))
    row = found.mappings().one_or_none()
    if row is None:
        raise UnknownWebhook(webhook_id)
    return SealedWebhook.model_validate(dict(row))


async def _at_the_newest(transaction: Transaction, webhook: Webhook) -> list[dict[str, Any]]:
    """Its place in the log of every cluster, each behind the newest event."""
    state = ClusterStateRow
    heads = await transaction.execute(
        select(col(state.cluster_id), col(state.last_event)).where(col(state.cluster_id) != SERVICE)
    )
    return [
        {"webhook_id": webhook.id, **dict(WebhookPlace(cluster_id=cluster, number=number))}
        for cluster, number in heads
    ]


def _plain_kinds(kinds: Sequence[EventKind] | None) -> list[str] | None:
    return None if kinds is None else [kind.value for kind in kinds]


def _note(kind: EventKind, webhook: Webhook) -> Note:
    return Note(what=kind, text=webhook.name, after=_told(webhook))


def _told(webhook: Webhook) -> dict[str, Any]:
    return webhook.model_dump(mode="json", include=set(TOLD))
