"""The desk for callers from a cluster: who comes with credentials, and what they may do here."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import secrets
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Collection
from dataclasses import dataclass
from functools import partial
from typing import Any

from app.domain.clock import boot_seconds
from app.domain.errors import LoginRefused, NoRole, Refused
from app.domain.formatting import printable
from app.domain.principal import Principal, Role
from app.elastic.callers import CallersView

REMEMBERED_SECONDS = 5.0
"""Counted from the question on: a key that was revoked lets nobody in after that."""
MOST_REMEMBERED = 1_000
MOST_SENT = 7_500
"""Characters of what is sent on. Elasticsearch takes 8 kB of a header (7.17) or 16 (8.19, 9.4), and
after a longer one it does not answer the next request of that connection."""
LONGEST_NAME = 255

MONITOR, MANAGE = "monitor", "manage"
ROLES = {MANAGE: Role.OPERATOR, MONITOR: Role.VIEWER}
"""By the cluster privilege that makes it. None makes an admin: what is of the whole service is not
for a cluster to give."""


@dataclass(frozen=True)
class _Answer:
    """`asked`: by the boot clock."""

    asked: float
    coming: asyncio.Task[Any]


class CallerDesk:
    """What the cluster has answered is remembered for a while, so that whoever asks this service
    often does not ask the cluster as often; that somebody is refused, too, but no trouble. Whoever
    asks meanwhile waits for the same answer. Of the credentials only a keyed digest is kept, and
    where they are in use; nothing is stored."""

    def __init__(self, cluster: str, callers: CallersView) -> None:
        self._cluster = cluster
        self._callers = callers
        self._answers: OrderedDict[str, _Answer] = OrderedDict()
        self._secret = secrets.token_bytes(32)

    def __len__(self) -> int:
        return len(self._answers)

    async def principal(self, credentials: str) -> Principal:
        """Who comes with them: the value of an `Authorization` header.

        Raises `LoginRefused`, `LoginForbidden`, `NoRole`, `NobodyToAsk`, `ClusterTrouble`.
        """
        if len(credentials) > MOST_SENT or not (
            credentials.isascii() and credentials.isprintable()
        ):
            raise LoginRefused(self._cluster)
        name, role = await self._recall("who", credentials, partial(self._identify, credentials))
        return Principal(name, role, frozenset({self._cluster}), credentials=credentials)

    async def readable(self, caller: Principal, names: Collection[str]) -> frozenset[str]:
        """The indices of which the caller may be told what is in their documents, ids included: for
        somebody from a cluster those that they may `read` there, for others those within reach of
        an operator. Raises as `principal`."""
        if caller.credentials is None:
            may = caller.role.includes(Role.OPERATOR)
            return frozenset(name for name in names if may and caller.reach.covers(name))
        ask = partial(self._callers.readable, caller.credentials, names)
        return await self._recall(" ".join(["read", *sorted(names)]), caller.credentials, ask)

    async def _identify(self, credentials: str) -> tuple[str, Role]:
        known = await self._callers.identify(credentials, [*ROLES])
        name = printable(f"{self._cluster}/{known.realm}/{known.username}")[:LONGEST_NAME]
        role = next((role for held, role in ROLES.items() if held in known.privileges), None)
        if role is None:
            raise NoRole(name, self._cluster)
        return name, role

    async def _recall(
        self, question: str, credentials: str, ask: Callable[[], Awaitable[Any]]
    ) -> Any:
        digest = hmac.new(self._secret, f"{question}\n{credentials}".encode(), hashlib.sha256)
        key, now = digest.hexdigest(), boot_seconds()
        known = self._answers.pop(key, None)
        if known is None or now - known.asked >= REMEMBERED_SECONDS:
            known = _Answer(now, asyncio.ensure_future(ask()))
            known.coming.add_done_callback(partial(self._forget_trouble, key))
        self._answers[key] = known
        while len(self._answers) > MOST_REMEMBERED:
            self._answers.popitem(last=False)
        return await asyncio.shield(known.coming)  # others wait for it, too

    def _forget_trouble(self, key: str, coming: asyncio.Task[Any]) -> None:
        if not coming.cancelled() and isinstance(coming.exception(), Refused | None):
            return
        known = self._answers.get(key)
        if known is not None and known.coming is coming:
            del self._answers[key]
