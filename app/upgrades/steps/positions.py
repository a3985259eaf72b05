"""The phases of a rewrite by the names that are stored, and the places that it can be sent back to.

A name is never changed: a row of an earlier release goes on by it.
"""

from __future__ import annotations

from enum import StrEnum

from app.domain.operation import Changes, Step


class PhaseName(StrEnum):
    PREPARE = "prepare"
    WAIT_TO_BLOCK = "wait_to_block"
    WRITE_BLOCK = "write_block"
    CREATE_TARGET = "create_target"
    PLAN_COPY = "plan_copy"
    COPY = "copy"
    PROVE = "prove"
    RESTORE_SETTINGS = "restore_settings"
    KEEP = "keep"
    SWAP = "swap"
    FINISH = "finish"
    # before the swap, back or aside
    END_TASKS = "end_tasks"
    DROP_TARGET = "drop_target"
    DROP_KEPT = "drop_kept"
    TAKE_MARKER = "take_marker"
    RESTORE_SOURCE = "restore_source"
    # after it, back to the kept copy
    READY_KEPT = "ready_kept"
    SWAP_BACK = "swap_back"
    RESTORE_KEPT = "restore_kept"


TO_THE_BEGINNING: Changes = {"position": "", "last_completed_step": Step.CREATED}
TO_THE_PROOF: Changes = {
    "position": PhaseName.COPY,
    "last_completed_step": Step.REINDEX_STARTED,
}
"""Everything is copied, and has to be proven anew."""
TO_THE_CLONE: Changes = {"position": PhaseName.RESTORE_SETTINGS}
"""The kept copy has to be made, or made anew."""
AFTER_THE_SWAP: Changes = {
    "position": PhaseName.SWAP,
    "last_completed_step": Step.ALIAS_CREATED,
    "past_return": True,
}
