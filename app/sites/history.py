"""The history: how long it stays, and the request that older parts of it be removed."""

from __future__ import annotations

from dataclasses import dataclass

from app.domain.errors import NoAge
from app.domain.pruning import Pruning, Retention
from app.store.pruning import Prunings


@dataclass(frozen=True)
class History:
    retention: Retention
    prunings: Prunings

    async def last(self) -> Pruning | None:
        """The pruning that goes on, or the last one. Raises `StoreTrouble`."""
        return await self.prunings.last()

    async def prune(self, by: str, days: float | None) -> Pruning:
        """Asks the worker to remove what is older; it does so by and by.

        Raises `NoAge` where neither `days` nor the setting says how old, `WrongState` where one
        goes on already, `StoreTrouble`.
        """
        age = self.retention.history if days is None else days
        if age is None:
            raise NoAge
        return await self.prunings.request(self.retention.pruning(by, age))
