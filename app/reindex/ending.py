"""How a term of the worker ended: the one place that says what an exception means for it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from app.domain.errors import LeaseLost, ReindexQueueError, StoreFault, StoreTrouble
from app.domain.texts import capped


class EndKind(StrEnum):
    """`STOPPED`: on request. `ROLE_LOST`: another service has the role. `TROUBLE`: the database
    does not answer, or a row was changed meanwhile. `CRASH`: anything else, so a fault of this
    service, or a right or a table that somebody has taken from it."""

    STOPPED = "stopped"
    ROLE_LOST = "role_lost"
    TROUBLE = "trouble"
    CRASH = "crash"


@dataclass(frozen=True)
class Ending:
    """`crashes`: those that were not expected, for the log."""

    kind: EndKind
    reason: str = ""
    crashes: tuple[Exception, ...] = ()

    @classmethod
    def of(cls, met: Sequence[Exception]) -> Ending:
        """`met`: whatever the parts of the term ended with. The worst of it is how it ended."""
        if crashes := tuple(error for error in met if _is_crash(error)):
            return cls(EndKind.CRASH, _words(crashes[0]), crashes)
        if lost := [error for error in met if isinstance(error, LeaseLost)]:
            return cls(EndKind.ROLE_LOST, _words(lost[0]))
        return cls(EndKind.TROUBLE, _words(met[0])) if met else cls(EndKind.STOPPED)


def _is_crash(error: Exception) -> bool:
    return isinstance(error, StoreFault) or not isinstance(error, StoreTrouble)


def _words(error: Exception) -> str:
    if isinstance(error, ReindexQueueError):
        return capped(error.message)
    return capped(f"{type(error).__name__}: {error}")
