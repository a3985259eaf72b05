"""Sends the events of one cluster to the webhooks, beside the jobs of the worker's term.

Each webhook is sent its events in order, and at least once: its place is saved after a delivery,
never before. What one of them meets delays and ends nothing but itself.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Protocol
from urllib.parse import quote

from app.domain import clock
from app.domain.announcements import Announcement, class_and_sentence
from app.domain.clock import boot_seconds
from app.domain.errors import LeaseLost, SecretUnusable, StoreTrouble
from app.domain.formatting import capped, duration_text
from app.domain.webhook import (
    SWITCHED_OFF_AFTER,
    SealedWebhook,
    WebhookPlace,
    pause_after,
    signed_headers,
)
from app.store.events import Event, EventFilter, EventLog
from app.store.role import Lease
from app.store.webhooks import WebhookPlaces, Webhooks
from app.telemetry import logger
from app.webhooks.delivery import Courier
from app.webhooks.sealed import Opened, WebhookSecrets

log = logger(__name__)

LOOK_SECONDS = 1.0
"""How often it is looked whether there is something to send."""
TROUBLE_SECONDS = 10.0
"""Until the next look after trouble of our own: with the database, or with a stored secret."""
MOST_SEARCHED = 5_000
"""Numbers of the log that one turn looks through."""
LEAST_TRIES = 5
"""In one term, before a webhook is switched off."""
MOST_SENT = 100
"""Events of one turn."""
SAVED_EVERY = 1.0
"""Seconds between two saves while much is sent: each of them is a write of the cluster's row."""
SAVED_BEHIND = 1_000
"""So many events that the webhook does not want are passed over before that is saved."""
LONGEST_REST = 1.0
"""A delivery is followed by a rest as long as itself, so that many of them leave room; seconds."""


class Turn(Protocol):
    """A term of the worker, as far as it matters here."""

    @property
    def lease(self) -> Lease: ...
    async def over_within(self, seconds: float) -> bool: ...


@dataclass
class _Hook:
    """What is remembered of a webhook during a term. `saved`: its place as it is stored."""

    place: WebhookPlace
    saved: WebhookPlace
    failures: int = 0
    rests_until: float = 0.0
    saved_at: float = field(default_factory=time.monotonic)
    task: asyncio.Task[None] | None = None

    def rest(self, seconds: float) -> None:
        self.rests_until = boot_seconds() + seconds

    @property
    def ready(self) -> bool:
        return (self.task is None or self.task.done()) and boot_seconds() >= self.rests_until


@dataclass(kw_only=True)
class Sender:
    """`who`: as the event log names the worker. `is_ours`: no other database works on the cluster,
    which would send the same; raises `StoreTrouble`."""

    cluster: str
    webhooks: Webhooks
    places: WebhookPlaces
    log: EventLog
    secrets: WebhookSecrets
    courier: Courier
    who: str
    is_ours: Callable[[], Awaitable[bool]]

    async def run(self, term: Turn) -> None:
        """Until the term is over; then no delivery is waited for."""
        hooks: dict[str, _Hook] = {}
        try:
            rest = 0.0
            while not await term.over_within(rest):
                rest = await self._look(term, hooks)
        finally:
            tasks = [hook.task for hook in hooks.values() if hook.task]
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            saves = [self._save_at_the_end(term, *one) for one in hooks.items()]
            await asyncio.gather(*saves)

    async def _look(self, term: Turn, hooks: dict[str, _Hook]) -> float:
        """Begins a turn of every webhook that has something to send; seconds until the next."""
        try:
            head, found = await self.places.on()
            if found and not await self.is_ours():
                return LOOK_SECONDS
        except StoreTrouble:
            return LOOK_SECONDS  # the worker's own look says so
        wanted = {webhook.id for webhook, _ in found}
        for webhook_id in hooks.keys() - wanted:
            if task := hooks.pop(webhook_id).task:
                task.cancel()
        for webhook, stored in found:
            hook = hooks.setdefault(webhook.id, _Hook(stored, stored))
            if hook.task and not hook.task.done():
                continue
            if hook.failures and stored.failing_since is None:  # a person has changed it
                hook.failures, hook.rests_until = 0, 0.0
            hook.saved = stored
            hook.place = stored.model_copy(
                update={
                    "number": max(stored.number, hook.place.number),
                    "skipped": max(stored.skipped, hook.place.skipped),
                }
            )
            if hook.ready and (head > hook.place.number or hook.place.trouble):
                hook.task = asyncio.create_task(self._guarded(term, webhook, hook, head))
        return LOOK_SECONDS

    async def _guarded(self, term: Turn, webhook: SealedWebhook, hook: _Hook, head: int) -> None:
        """A turn; whatever it meets is rested after."""
        try:
            await self._turn(term, webhook, hook, head)
        except LeaseLost:
            hook.rest(TROUBLE_SECONDS)  # the renewal of the lease finds it, too
        except StoreTrouble as error:
            log.warning("webhook_place_not_saved", webhook=webhook.id, reason=error.message)
            hook.rest(TROUBLE_SECONDS)
        except Exception:
            log.exception("webhook_crashed", webhook=webhook.id)
            hook.rest(TROUBLE_SECONDS)

    async def _turn(self, term: Turn, webhook: SealedWebhook, hook: _Hook, head: int) -> None:
        try:
            opened = self.secrets.open(webhook)
        except SecretUnusable as error:
            await self._hold(term, webhook, hook, error.message)
            return
        begin, end = hook.place.number, min(head, hook.place.number + MOST_SEARCHED)
        kinds = frozenset(kind.value for kind in webhook.kinds or ())
        wanted = EventFilter(kinds=kinds)
        events = await self.log.between(self.cluster, begin, end, wanted=wanted, limit=MOST_SENT)
        if len(events) == MOST_SENT:
            end = events[-1].number
        jobs = await self.places.kinds_of_jobs({event.job_id for event in events if event.job_id})
        for event in events:
            body = _announcement(event, jobs).body
            if not await self._send(term, webhook, hook, opened, event, body):
                return
        await self._advance(webhook, hook, max(end, hook.place.number))
        hook.failures = 0
        if events or hook.place.trouble != hook.saved.trouble or _is_far(hook):
            await self._save(term, webhook.id, hook)

    async def _advance(self, webhook: SealedWebhook, hook: _Hook, number: int) -> None:
        """To that event. Those before it that a pruning has removed are counted."""
        begin, gone = hook.place.number, 0
        if number - begin > 1:
            gone = number - begin - await self.log.count(self.cluster, begin, number)
        if gone > 0:
            log.warning("webhook_events_pruned", webhook=webhook.id, events=gone)
        skipped = hook.place.skipped + max(gone, 0)
        changed = {"number": number, "skipped": skipped, "trouble": None, "failing_since": None}
        hook.place = hook.place.model_copy(update=changed)

    async def _send(
        self,
        term: Turn,
        webhook: SealedWebhook,
        hook: _Hook,
        opened: Opened,
        event: Event,
        body: bytes,
    ) -> bool:
        """False where it was not taken: then the same event is sent again later."""
        began = time.monotonic()
        message_id = message_id_of(webhook.id, self.cluster, event)
        headers = signed_headers(message_id, int(clock.now().timestamp()), body, opened.keys)
        outcome = await self.courier.deliver(opened.url, body, headers)
        if outcome.fault is not None:
            await self._fail(term, webhook, hook, outcome.fault)
            return False
        hook.failures = 0
        await self._advance(webhook, hook, event.number)
        hook.place = hook.place.model_copy(update={"delivered_at": clock.now()})
        if time.monotonic() - hook.saved_at >= SAVED_EVERY:
            await self._save(term, webhook.id, hook)
        await asyncio.sleep(min(LONGEST_REST, time.monotonic() - began))
        return True

    async def _hold(self, term: Turn, webhook: SealedWebhook, hook: _Hook, reason: str) -> None:
        """Trouble of our own: it is shown, and does not count against the other side."""
        hook.rest(TROUBLE_SECONDS)
        if hook.place.trouble != reason:
            log.warning("webhook_holds", webhook=webhook.id, host=webhook.host, reason=reason)
        await self._put(term, webhook.id, hook, trouble=reason, failing_since=None)

    async def _fail(self, term: Turn, webhook: SealedWebhook, hook: _Hook, fault: str) -> None:
        hook.failures += 1
        pause = pause_after(hook.failures)
        hook.rest(pause)
        since = hook.place.failing_since or clock.now()
        if hook.failures == 1:
            log.warning("webhook_fails", webhook=webhook.id, host=webhook.host, reason=fault)
        await self._put(term, webhook.id, hook, trouble=capped(fault), failing_since=since)
        lasting = clock.elapsed(since) >= SWITCHED_OFF_AFTER.total_seconds()
        if lasting and hook.failures >= LEAST_TRIES:  # the service may have been away meanwhile
            lasted = duration_text(SWITCHED_OFF_AFTER.total_seconds())
            reason = capped(f"Nothing was delivered for {lasted}. The last try: {fault}")
            if await self.webhooks.switch_off(webhook, reason, self.who):
                log.warning("webhook_switched_off", webhook=webhook.id, reason=reason)

    async def _put(self, term: Turn, webhook_id: str, hook: _Hook, **values: object) -> None:
        hook.place = hook.place.model_copy(update=values)
        if hook.place != hook.saved:
            await self._save(term, webhook_id, hook)

    async def _save(self, term: Turn, webhook_id: str, hook: _Hook) -> None:
        place = hook.place
        await self.places.save(term.lease.token, webhook_id, place)
        hook.saved, hook.saved_at = place, time.monotonic()

    async def _save_at_the_end(self, term: Turn, webhook_id: str, hook: _Hook) -> None:
        """What was delivered and not saved yet would be sent once more by the next term."""
        if hook.place.number == hook.saved.number:
            return
        try:
            await self._save(term, webhook_id, hook)
        except StoreTrouble as error:
            log.warning("webhook_place_not_saved", webhook=webhook_id, reason=error.message)


def message_id_of(webhook_id: str, cluster: str, event: Event) -> str:
    """The same at every try of an event, and no other's; with its time, for after a restore numbers
    are given again. It has no dot, for dots divide what is signed."""
    place = f"{quote(cluster, safe='').replace('.', '%2E')}:{event.number}"
    return f"{webhook_id}:{place}:{int(event.at.timestamp() * 1000)}"


def _announcement(event: Event, kinds_of_jobs: dict[str, str]) -> Announcement:
    class_, sentence = class_and_sentence(event.after)
    return Announcement(
        number=event.number,
        kind=event.what,
        at=event.at,
        cluster=event.cluster_id,
        job_id=event.job_id,
        job_kind=kinds_of_jobs.get(event.job_id or ""),
        class_=class_,
        sentence=sentence,
    )


def _is_far(hook: _Hook) -> bool:
    return hook.place.number - hook.saved.number >= SAVED_BEHIND
