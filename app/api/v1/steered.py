"""The answer to a wish for a whole batch: what became of it for each operation."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from app.api.v1.steered_schemas import SteeredBatch, SteeredOperation
from app.domain.brief import Brief
from app.domain.wishes import Verdict
from app.reindex.control import Steered


def steered(batch_id: str, found: Sequence[Steered]) -> SteeredBatch:
    """The answer to a wish for a whole batch."""
    shown = [_steered(one) for one in found]
    counts = Counter(one.outcome for one in shown)
    return SteeredBatch(
        id=batch_id, counts={verdict: counts[verdict] for verdict in Verdict}, operations=shown
    )


def _steered(one: Steered) -> SteeredOperation:
    brief = Brief.of(one.operation)
    return SteeredOperation(
        id=brief.id,
        index_name=brief.index_name,
        state=brief.state,
        pending=brief.pending,
        writes_blocked=brief.writes_blocked,
        outcome=one.objection.verdict if one.objection else Verdict.CHANGED,
        reason=one.objection.message if one.objection else None,
        followed_by=one.followed_by,
    )
