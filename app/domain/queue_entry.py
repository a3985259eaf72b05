"""What Kibana's answers show of a waiting or running operation, and nothing else."""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple

from app.domain.operation import Source


class QueueEntry(NamedTuple):
    """The fields of `Operation` by the same names, as bare numbers and texts where it has an enum.

    There can be ten thousand in one answer: a plain tuple is made in a tenth of the time.
    `updated_at` and `source` are None for one that was not started.
    """

    index_name: str
    new_index_name: str
    status: int
    last_completed_step: int
    lane: str
    queued_at: int
    started_at: int | None
    updated_at: datetime | None
    reindex_task_id: str | None
    reindex_task_perc_complete: float | None
    error_message: str | None
    delete_old_index: bool | None
    mode: str | None
    source: Source | None
