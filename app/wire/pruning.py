"""The shapes of pruning: what of the history is removed, and how far that is."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from app.wire.notation import Sent, Time, Wire

MOST_DAYS = 36_500


class PruneBody(Sent):
    """How old history must be to be removed."""

    days: Annotated[float, Field(strict=True, ge=0, le=MOST_DAYS, allow_inf_nan=False)] | None = (
        None
    )
    """What ended longer ago is removed. null: as `REINDEX_HISTORY_DAYS` says."""


class RemovedReport(Wire):
    """How much was removed, in rows of the database."""

    batches: int
    """Batches of which no operation is left."""
    jobs: int
    """Operations, and small jobs such as a write block."""
    windows: int
    """Parts of copies."""
    events: int
    """Events, also those that the audit needed until now."""


class PruningReport(Wire):
    """One pass over the history."""

    by: str
    """Who asked for it; `service`: it began by itself."""
    asked_at: Time
    """When that was."""
    older_than: Time
    """What ended before is removed."""
    audit_older_than: Time
    """Events of the audit that happened before are removed, too."""
    removed: RemovedReport
    """So far."""
    ended_at: Time | None
    """null: it goes on, or waits for a worker."""


class HistoryAnswer(Wire):
    """How long history stays, and what was removed of it last."""

    history_days: float | None
    """`REINDEX_HISTORY_DAYS`: what ended longer ago is removed. null: nothing is by itself."""
    audit_days: float
    """`REINDEX_AUDIT_DAYS`: events of the audit stay for so long at least."""
    pruning: PruningReport | None
    """The one that goes on, or the last one. null: there was never one."""
