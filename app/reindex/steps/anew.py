"""Beginning a copy anew, from the intact source."""

from __future__ import annotations

from app.domain.operation import Again, Note, Operation, Outcome, Step
from app.elastic.cluster import Cluster
from app.reindex.steps.guard import remove_target


async def begin_anew(operation: Operation, reason: str, cluster: Cluster) -> Outcome:
    """Removes the target, guarded by the source, and starts over with another one.

    For a target that no longer is, or never again can be, the copy of what the source is now.
    """
    if hold := await remove_target(operation, operation.target_uuid, cluster):
        return hold
    return Again(
        {
            "last_completed_step": Step.CREATED,
            "target_uuid": None,
            "lost_since": None,
            "source_seq_nos": None,
            "proving": None,
            "proof": None,
        },
        notes=[Note(what="copy begins anew", index=operation.source_name, text=reason)],
        anew=True,
    )
