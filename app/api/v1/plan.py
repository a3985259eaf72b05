"""`/api/v1/plan`: what a batch would do, and what stands in its way."""

from __future__ import annotations

from typing import Annotated, Any, cast

from fastapi import APIRouter, Body

from app.api.access import VIEWER, Caller, Current
from app.api.documenting import BODIES
from app.api.v1 import documented
from app.domain.disk import Capacity
from app.domain.principal import Role
from app.domain.progress import Span
from app.upgrades.planning import Plan, PlannedIndex
from app.wire.indices import Blocker
from app.wire.plans import (
    DiskReport,
    NodeReport,
    PlannedIndexReport,
    PlanReport,
    ReferenceReport,
    ShardReport,
    SpanReport,
    TrialReport,
    WantedPlan,
)

router = APIRouter(prefix="/api/v1/plan", tags=["Planning"])


@router.post("", summary="Plan a batch", dependencies=VIEWER, responses=documented.PLAN)
async def make_plan(
    body: Annotated[WantedPlan, Body(openapi_examples=BODIES["v1_plan"])],
    service: Current,
    caller: Caller,
) -> PlanReport:
    """Says what `POST /api/v1/batches` with the same options would do, and does nothing of it.

    Each index is judged as it is when it is posted and again before it is begun.
    """
    if body.trial:
        caller.require(Role.OPERATOR)  # a trial makes indices
    if body.outdated:
        plan = await service.planner.plan_outdated(body.pattern(), caller.reach, caller.credentials)
    else:
        plan = await service.planner.plan(body.requests(), caller.reach, caller.credentials)
    if body.trial:
        plan = await service.planner.with_trials(plan, caller.name, caller.reach)
    return _report(plan)


def _report(plan: Plan) -> PlanReport:
    ready = plan.ready
    return PlanReport(
        indices=[_index(one) for one in plan.indices],
        ready=len(ready),
        blocked=len(plan.indices) - len(ready),
        documents=sum(one.size.documents for one in ready if one.size),
        primary_bytes=sum(one.size.primary_bytes for one in ready if one.size),
        duration=_span(plan.estimate.duration if plan.estimate else None),
        write_block=_span(plan.estimate.blocked if plan.estimate else None),
        disk=_disk(plan, plan.capacity) if plan.capacity else None,
        shards=_shards(plan, plan.capacity) if plan.capacity else None,
        not_looked_for=list(plan.unknown),
        measured=plan.measured,
    )


def _index(one: PlannedIndex) -> PlannedIndexReport:
    wanted, state, size, known = one.wanted, one.state, one.size, one.estimate
    return PlannedIndexReport(
        index=one.name,
        kind=one.kind,
        why=one.because,
        blockers=[Blocker(code=fault.code, message=fault.message) for fault in one.blockers],
        missing_privileges=one.missing_privileges,
        new_index_name=wanted.new_index_name if wanted else None,
        keep_old_index=wanted.keep if wanted else False,
        proof=one.proof,
        full_proof=_span(one.full_proof),
        mode=wanted.mode if wanted else None,
        references=[
            ReferenceReport(kind=cast(Any, ref.kind), name=ref.name, effect=ref.effect)
            for ref in one.references
        ],
        dropped_settings=one.dropped_settings,
        warnings=list(one.warnings),
        documents=size.documents if size else None,
        primary_bytes=size.primary_bytes if size else None,
        shards=state.shards if state else None,
        replicas=state.replicas if state else None,
        windows=one.windows,
        duration=_span(known.duration if known else None),
        write_block=_span(known.blocked if known else None),
        disk_bytes=one.disk_bytes,
        disk_shortage=one.shortage,
        missing_snapshot=one.missing_snapshot,
        trial=TrialReport(outcome=one.trial.outcome.value, text=one.trial.text)
        if one.trial
        else None,
    )


def _span(span: Span | None) -> SpanReport | None:
    if span is None:
        return None
    return SpanReport(low_seconds=round(span.low, 1), high_seconds=round(span.high, 1))


def _disk(plan: Plan, capacity: Capacity) -> DiskReport:
    return DiskReport(
        checked=capacity.checked,
        peak_bytes=plan.balance.peak,
        staying_bytes=plan.balance.now,
        room_bytes=capacity.room,
        shortage=plan.disk_shortage,
        nodes=[
            NodeReport(
                name=disk.name,
                total_bytes=disk.total,
                available_bytes=disk.available,
                room_bytes=disk.room(capacity.low),
            )
            for disk in capacity.disks
        ],
    )


def _shards(plan: Plan, capacity: Capacity) -> ShardReport:
    return ShardReport(
        peak=plan.balance.shards_peak,
        left=capacity.shards_left,
        shortage=plan.shard_shortage,
    )
