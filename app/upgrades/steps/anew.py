"""Beginning a copy anew, from the intact source."""

from __future__ import annotations

from app.copying.tasks import forget, look_for, may_write
from app.domain.events import EventKind, Note
from app.domain.holds import HoldCause
from app.domain.operation import Operation
from app.elastic.cluster import Cluster
from app.jobs.phases import Again, Hold, Outcome, Work
from app.upgrades.steps.guard import remove_target
from app.upgrades.steps.positions import TO_THE_BEGINNING


async def begin_anew(work: Work[Operation], reason: str, cluster: Cluster) -> Outcome:
    """Removes the target, guarded by the source, and starts over with another one.

    For a target that no longer is, or never again can be, the copy of what the source is now.
    """
    operation = work.job
    found = await look_for(operation, work.windows, cluster)
    if waits := await may_write(work, found, cluster):
        return Hold(HoldCause.TASK_RUNNING, waits, retry_after=0.5)
    if hold := await remove_target(operation.pair, operation.target_uuid, cluster):
        return hold
    return Again(
        {
            **TO_THE_BEGINNING,
            "target_uuid": None,
            "lost_since": None,
            "source_seq_nos": None,
            "proving": None,
            "proof": None,
            **forget(operation, found.away),
        },
        notes=[Note(what=EventKind.COPY_BEGINS_ANEW, index=operation.source_name, text=reason)],
        anew=True,
    )
