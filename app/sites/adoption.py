"""A person says that this database goes on: after it was restored, or where another was at work."""

from __future__ import annotations

from dataclasses import dataclass

from app.domain.errors import ClusterRefused, ClusterTrouble, WrongState
from app.domain.ownership import Conflict
from app.jobs.ownership import ClusterOwnership
from app.jobs.term import WakeUps
from app.store.ownership import Ownerships
from app.store.tokens import Tokens
from app.store.webhooks import Webhooks
from app.telemetry import logger

log = logger(__name__)

WHY_OFF = "the database was adopted, and this webhook is from before"


@dataclass(frozen=True)
class Adopted:
    """`conflict`: what had kept the database. `revoked`: the names of the tokens that are now.
    `switched_off`: those of the webhooks that are."""

    conflict: Conflict
    revoked: list[str]
    switched_off: list[str]


class Adoption:
    def __init__(
        self,
        ownerships: Ownerships,
        tokens: Tokens,
        webhooks: Webhooks,
        ownership: ClusterOwnership | None = None,
        wake_ups: WakeUps | None = None,
    ) -> None:
        """`ownership`, `wake_ups`: where a service is at work."""
        self._ownerships = ownerships
        self._tokens = tokens
        self._webhooks = webhooks
        self._ownership = ownership
        self._wake_ups = wake_ups

    async def adopt(self, by: str, *, keep_tokens: bool) -> Adopted:
        """The worker goes on as soon as it has looked again, unless the other one is still at work.

        Whoever restores a database restores what was revoked and switched off, too: so all tokens
        are revoked, sessions ended and webhooks switched off, unless a person vouches for them.

        Raises `WrongState` where nothing keeps this database, `StoreTrouble`.
        """
        if (await self._ownerships.known()).conflict is None:
            await self._look()
        if (await self._ownerships.known()).conflict is None:
            raise WrongState("Nothing keeps this database from its work: it goes on already.")
        # First: if what follows fails, it is asked for again, and no token has come alive.
        revoked = [] if keep_tokens else await self._tokens.revoke_all(by)
        off = [] if keep_tokens else await self._webhooks.switch_all_off(WHY_OFF, by)
        conflict = await self._ownerships.adopt(by)
        log.warning("database_adopted", by=by, kind=conflict.kind.value, revoked=len(revoked))
        if self._wake_ups:
            self._wake_ups.wake()
        return Adopted(conflict, revoked, off)

    async def _look(self) -> None:
        """The other one may have come since the last look."""
        if self._ownership:
            try:
                await self._ownership.look()
            except (ClusterTrouble, ClusterRefused):
                return
