"""The worker's part of pruning: piece by piece, with rests between, beside its jobs."""

from __future__ import annotations

import time
from dataclasses import dataclass

from app.domain.clock import boot_seconds
from app.domain.errors import LeaseLost, StoreTrouble
from app.domain.pruning import Retention
from app.store.pruning import Prunings
from app.telemetry import logger

log = logger(__name__)

LOOK_SECONDS = 2.0
"""How often it is looked whether somebody has asked for a pruning."""
EVERY_SECONDS = 3_600.0
"""How often one begins by itself, where a time is set."""
REST = 3.0
"""So many times as long as a piece took is rested after it: a save seldom meets one."""
LEAST_REST, LONG_REST = 0.01, 60.0
SERVICE = "service"
"""Who asks for one that begins by itself."""


@dataclass
class Pruner:
    """Trouble of its own ends nothing else: it is logged, and rested after."""

    prunings: Prunings
    retention: Retention
    who: str
    _began: float | None = None

    async def step(self, token: str) -> float:
        """Removes one piece, if there is something to be removed; the seconds until the next call.

        `token`: of the lease in hand."""
        began = time.monotonic()
        try:
            await self._begin_by_itself(token)
            if not await self._is_wanted():
                return LOOK_SECONDS
            more = await self.prunings.go_on(token, self.who)
            if not more:
                await self._tell()
        except LeaseLost:
            return LONG_REST  # the renewal of the lease finds it, too, and ends the term
        except StoreTrouble as error:
            log.warning("pruning_rests", reason=error.message, seconds=LONG_REST)
            return LONG_REST
        except Exception:
            log.exception("pruning_crashed")
            return LONG_REST
        return max(LEAST_REST, REST * (time.monotonic() - began))

    async def _is_wanted(self) -> bool:
        """Says nothing of a database that does not answer: the worker's own look does."""
        try:
            last = await self.prunings.last()
        except StoreTrouble:
            return False
        return last is not None and last.ended_at is None

    async def _begin_by_itself(self, token: str) -> None:
        """At the start of a process, and every hour after that."""
        now = boot_seconds()
        if self.retention.history is None:
            return
        if self._began is None or now - self._began >= EVERY_SECONDS:
            pruning = self.retention.pruning(SERVICE, self.retention.history)
            await self.prunings.begin(token, pruning)
            self._began = now

    async def _tell(self) -> None:
        done = await self.prunings.last()
        if done and done.removed.rows:
            log.info("pruned", by=done.by, **done.removed.model_dump())
