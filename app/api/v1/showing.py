"""From the read model to the shapes of `/api/v1`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any, cast

from pydantic.alias_generators import to_camel

from app.domain.brief import Brief
from app.domain.clock import from_milliseconds
from app.domain.job import Goal, Lane, Requested, Verdict
from app.domain.pace import Limit
from app.domain.progress import Progress
from app.sites.overview import OperationDetail, OperationView
from app.sites.steering import Steered
from app.store.events import Event
from app.wire.batches import SteeredBatch, SteeredOperation
from app.wire.events import LoggedEvent
from app.wire.operations import (
    CopyWindow,
    EventReport,
    FailureReport,
    Fault,
    Held,
    KeptCopy,
    LimitReport,
    OperationDetails,
    OperationSummary,
    ProgressReport,
    ProofReport,
    ProvingReport,
    StepName,
)


def summary_of(view: OperationView) -> OperationSummary:
    return OperationSummary(**_fields(view))


def details_of(whole: OperationDetail, *, may_read: bool) -> OperationDetails:
    """`may_read`: whoever asks may be told the ids of documents."""
    return OperationDetails(
        **_fields(whole.view),
        failure=_failure(whole, may_read=may_read),
        proving=_proving(whole),
        proof=ProofReport.model_validate(whole.proof.model_dump()) if whole.proof else None,
        windows=[
            CopyWindow.model_validate({**window.model_dump(), "batch": window.size})
            for window in whole.windows
        ],
        events=[EventReport.model_validate(event.model_dump()) for event in whole.events],
    )


def logged_event(event: Event) -> LoggedEvent:
    return LoggedEvent.model_validate({**event.model_dump(), "cluster": event.cluster_id})


def _proving(whole: OperationDetail) -> ProvingReport | None:
    if whole.proving is None:
        return None
    return ProvingReport(compared=whole.proving.compared, documents=whole.proving.documents)


def _fields(view: OperationView) -> dict[str, Any]:
    """What a summary and the details have in common, by the names of the fields."""
    brief = view.brief
    return {
        "id": brief.id,
        "index_name": brief.index_name,
        "new_index_name": brief.new_index_name,
        "state": brief.state,
        "step": cast(StepName, to_camel(brief.last_completed_step.name.lower())),
        "queued": brief.lane is Lane.QUEUE,
        "batch_id": brief.batch_id,
        "caller": brief.caller,
        "keeps_old_index": brief.keeps_source,
        "kept_copy": _kept_copy(brief),
        "proof_level": brief.proof_level,
        "mode": brief.mode,
        "cancel_requested": brief.requested is Requested.CANCEL and not brief.state.ended,
        "pending": brief.pending,
        "writes_blocked": brief.writes_blocked,
        "writes_blocked_since": brief.writes_blocked_since if brief.writes_blocked else None,
        "hold": _hold(brief),
        "error": _fault(brief),
        "progress": progress_report(view.progress) if view.progress else None,
        "pace": limit_of(view.limit) if view.limit else None,
        "queued_at": from_milliseconds(brief.queued_at),
        "created_at": brief.created_at,
        "started_at": None if brief.started_at is None else from_milliseconds(brief.started_at),
        "updated_at": brief.updated_at,
        "ended_at": brief.ended_at,
    }


def limit_of(limit: Limit) -> LimitReport:
    return LimitReport(
        requests_per_second=limit.requests_per_second,
        windows_in_flight=limit.windows_in_flight,
        closed=limit.closed is not None,
        until=limit.until,
        reason=limit.reason,
        limits=list(limit.limits),
    )


def _kept_copy(brief: Brief) -> KeptCopy | None:
    if brief.kept is None:
        return None
    state = "removed" if brief.state.ended else "planned"
    if brief.kept_until is not None:
        state = "kept"
    elif brief.goal is Goal.ROLL_BACK:
        state = "restored"
    return KeptCopy(index=brief.kept.name, state=state, until=brief.kept_until)


def _hold(brief: Brief) -> Held | None:
    if brief.hold_reason is None:
        return None
    return Held(
        reason=brief.hold_reason,
        since=brief.hold_since,
        attempts=brief.attempts,
        next_attempt_at=brief.next_attempt_at,
    )


def _fault(brief: Brief) -> Fault | None:
    if brief.error_message is None:
        return None
    return Fault(code=brief.error_code, message=brief.error_message)


def _failure(whole: OperationDetail, *, may_read: bool) -> FailureReport | None:
    failure = whole.failure
    if failure is None:
        return None
    shown = {
        **failure.model_dump(),
        "step": to_camel(failure.step),
        "message": whole.view.brief.error_message or "",
    }
    if not may_read:
        shown["documents"] = []
    return FailureReport.model_validate(shown)


def progress_report(progress: Progress) -> ProgressReport:
    low, high = progress.remaining or (None, None)
    return ProgressReport(
        fraction=progress.fraction,
        documents_done=progress.documents_done,
        documents_total=progress.documents_total,
        bytes_done=progress.bytes_done,
        bytes_total=progress.bytes_total,
        windows_done=progress.windows_done,
        windows_total=progress.windows_total,
        speed=_rounded(progress.speed),
        overall_speed=_rounded(progress.overall_speed),
        eta_seconds=_rounded(progress.remaining_seconds),
        eta_low_seconds=_rounded(low),
        eta_high_seconds=_rounded(high),
    )


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 1)


def steered(batch_id: str, found: Sequence[Steered], others: int | None) -> SteeredBatch:
    """The answer to a requested action for a whole batch. `others`: of it, beyond the caller's
    reach."""
    shown = [_steered(one) for one in found]
    counts = Counter(one.outcome for one in shown)
    return SteeredBatch(
        id=batch_id,
        counts={verdict: counts[verdict] for verdict in Verdict},
        operations=shown,
        others=others,
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
