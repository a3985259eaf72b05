"""Before the write block: whatever can be known to fail is found out while writes still work."""

from __future__ import annotations

import asyncio
from dataclasses import replace

from app.domain import clock, index_settings
from app.domain.compatibility import type_lost
from app.domain.errors import Failure, OutOfReach
from app.domain.events import EventKind, Note
from app.domain.holds import HoldCause
from app.domain.names import IndexName
from app.domain.operation import Changes, Operation, Source
from app.elastic.answers import MOST_SLICES, USUAL_SLICES, IndexState, Looked
from app.elastic.cluster import Cluster
from app.elastic.connection import REMEMBERED_SECONDS
from app.jobs.phases import Again, Done, Hold, Outcome, Work
from app.upgrades.before_block import Case, before_block, has_nodes
from app.upgrades.budget import no_room_for, shards_that_tell
from app.upgrades.classifier import Facts, faults
from app.upgrades.privileges import Need, missing, refuse_restriction
from app.upgrades.steps.foresee import is_worth_it, refuse_documents, refuse_filters
from app.upgrades.steps.identity import name_in_place, observe, source_in
from app.upgrades.steps.target import ensure_target, make_again, target_differences


async def prepare(work: Work[Operation], cluster: Cluster) -> Outcome:
    """Checks the surroundings, records the source, and makes the empty target as a trial.

    A mapping or setting that the cluster refuses for a new index fails here by name, with the
    source untouched (Kibana fails after it has blocked writes).
    """
    operation = work.job
    looked = await observe(operation.pair, cluster, mappings=True)
    if operation.source is None:
        return await _take(operation, looked, cluster)
    if full := flooded(source_in(looked, operation.pair)):
        return full
    ensured = await ensure_target(operation.pair, looked, cluster)
    if not isinstance(ensured, Looked):
        return ensured
    source, target = source_in(ensured, operation.pair), ensured[operation.new_index_name]
    if faults := target_differences(source, target, operation.mode):
        return await make_again(operation.pair, source, target, faults, cluster)
    if await cluster.security.is_on(REMEMBERED_SECONDS):
        await refuse_restriction(operation.new_index_name, cluster)
    case = Case(work, source, target, cluster)
    if operation.source_writable and (hold := await has_nodes(case)):
        return replace(hold, changes={"target_uuid": target.uuid})
    await refuse_filters(source, target, cluster)
    if operation.source and is_worth_it(operation.source.primary_bytes):
        await refuse_documents(source, target, cluster)
    return await _ready(case)


async def _ready(case: Case) -> Done:
    """The end of the preparation, with the block to come next where nothing is waited for."""
    operation = case.work.job
    made: Changes = {"target_uuid": case.target.uuid}
    if not operation.source_writable:  # the copy begins anew
        return Done(made)
    waits = await before_block(case)
    if isinstance(waits, Hold):  # for `wait_to_block`
        return Done(made)
    if not (blocked := _to_be_blocked(case.source, operation)):  # the same
        return Done(made, notes=waits)
    return Done({**made, **blocked}, notes=waits, uses=used_indices(operation), made=made)


def _to_be_blocked(source: IndexState, operation: Operation) -> Changes:
    """From here on its blocks are ours to lift; one that was changed in a hold is recorded anew."""
    recorded = operation.source
    assert recorded is not None
    if (source.set_blocks, source.closed) != (recorded.blocks, recorded.closed):
        return {}
    return {"source_writable": False, "writes_blocked_since": clock.now()}


def used_indices(operation: Operation) -> list[IndexName]:
    """Those that nobody else may use from the write block on."""
    names = [operation.source_name, operation.index_name, operation.new_index_name]
    return [*names, *([operation.kept.name] if operation.kept else [])]


def flooded(state: IndexState) -> Hold | None:
    """What is waited for while a disk is full, or None."""
    if index_settings.FLOOD_STAGE not in state.blocks:
        return None
    return Hold(
        HoldCause.DISK_SPACE,
        f"{state.name} is read-only because a disk of the cluster is nearly full; "
        "Elasticsearch lifts that by itself once there is room",
        retry_after=10,
    )


async def _take(operation: Operation, looked: Looked, cluster: Cluster) -> Outcome:
    """Looks at everything once more: hours may lie between the POST and the head of the queue."""
    _refuse_reach(operation, looked)
    versions, streams, secured, shards = await asyncio.gather(
        cluster.nodes.versions(),
        cluster.indices.data_streams(),
        cluster.security.is_on(),
        shards_that_tell(looked.get(operation.source_name), cluster),
    )
    if len({version.major for version in versions}) > 1:
        shown = ", ".join(version.number for version in versions)
        return Hold(
            HoldCause.MIXED_VERSIONS, f"the nodes have different major versions ({shown})", 10
        )
    if operation.concrete_name:
        name_in_place(looked, operation)
    source = _right_kind(
        operation,
        Facts(
            looked,
            streams,
            versions[0].major,
            version=versions[0].parts,
            leaders=[operation.source_name] if any(s.followed for s in shards.values()) else (),
            reach=operation.reach,
        ),
    )
    if hold := flooded(source):
        return hold
    if secured:
        await _refuse_rights(operation, source, versions[0].major, cluster)
    if reason := await no_room_for(source, shards, cluster):
        return Hold(HoldCause.DISK_SPACE, reason, retry_after=10)
    size = sum(shard.size for shard in shards.values())
    notes, found = await asyncio.gather(
        _warnings(source, versions[0].major, cluster), record(source, cluster, size)
    )
    return Again({"source": found, "source_writable": True}, notes=notes)


def _right_kind(operation: Operation, facts: Facts) -> IndexState:
    """The source, if it is (still) an index that can be reindexed. Raises `Failure`."""
    for fault in faults(operation, facts, with_target=False):
        raise Failure(fault.code, fault.message)
    return facts.looked[operation.source_name]


def _refuse_reach(operation: Operation, looked: Looked) -> None:
    """The limits of whoever posted it, which it has kept, against what its names stand for now."""
    reach = operation.reach
    behind = [
        *looked.holders(operation.index_name),
        *looked.holders(operation.new_index_name),
    ]
    if reach.covers_pair(operation) and reach.covers(*behind):
        return
    limits = ", ".join(operation.allowed or ())
    raise Failure(
        OutOfReach.code,
        f"{operation.caller} may not copy {operation.index_name} to {operation.new_index_name}, or "
        f"what has one of these names now: the limits are {limits}.",
    )


async def _refuse_rights(
    operation: Operation, source: IndexState, major: int, cluster: Cluster
) -> None:
    """Missing privileges by name, and document- or field-level security of our own user."""
    kept = operation.kept.name if operation.kept else None
    need = Need(operation.source_name, operation.new_index_name, source.aliases, kept)
    if lacking := await missing(cluster, [need], major):
        raise Failure(
            "missing_privileges",
            f"The service's user may not reindex {operation.source_name}: it lacks "
            f"{'; '.join(lacking[operation.source_name])}. Grant these and post the index again.",
        )
    await refuse_restriction(operation.source_name, cluster)


async def _warnings(source: IndexState, major: int, cluster: Cluster) -> list[Note]:
    """What a person should know of it, though nothing stands in the way."""
    texts = type_lost(source.name, source.mapping_type, major), await _written(source, cluster)
    return [Note(what=EventKind.WARNING, index=source.name, text=text) for text in texts if text]


async def _written(source: IndexState, cluster: Cluster) -> str | None:
    """For the write index of an alias: ingestion stops for the whole copy."""
    if not source.aliases or "index.blocks.metadata" in source.blocks:
        return None
    aliases = await cluster.aliases.properties(source.index_name)
    written = sorted(name for name, value in aliases.items() if value.get("is_write_index"))
    if not written:
        return None
    return (
        f"{source.name} is the write index of {', '.join(written)}: writes stop for the whole "
        "copy. A rollover before the reindex avoids that"
    )


async def record(state: IndexState, cluster: Cluster, primary_bytes: int = 0) -> Source:
    """The source as it is now, to be put back later. Taken before the first change to it."""
    return Source(
        uuid=state.uuid,
        shards=state.shards,
        routing_shards=state.routing_shards,
        closed=state.closed,
        blocks=state.set_blocks,
        verified_read_only=state.verified_read_only,
        aliases=list(state.aliases),
        settings=index_settings.to_restore(state.settings),
        lifecycle=index_settings.lifecycle_settings(state.settings, state.rollovers),
        active_copies=await cluster.shards.active_copies(state.index_name),
        result_window=int(state.settings.get("index.max_result_window", 10_000)),
        sliced=state.shards <= int(state.settings.get(MOST_SLICES, USUAL_SLICES)),
        time_series=state.settings.get("index.mode") == "time_series",
        searchable_seq_nos=not index_settings.hides_seq_nos(state.settings),
        primary_bytes=primary_bytes,
    )
