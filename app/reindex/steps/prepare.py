"""Before the write block: whatever can be known to fail is found out while writes still work."""

from __future__ import annotations

from app.domain import index_settings, lifecycle
from app.domain.errors import Failure
from app.domain.operation import Again, Hold, Note, Operation, Outcome, Source, Work
from app.elastic.answers import IndexState, Looked
from app.elastic.cluster import Cluster
from app.reindex.classifier import mode_refusal, refusal
from app.reindex.privileges import Need, missing, refuse_restriction
from app.reindex.steps.identity import source_in
from app.reindex.steps.target import differences, ensure_target, look, refuse

NO_SEQ_NOS = "index.disable_sequence_numbers"


async def prepare(work: Work, cluster: Cluster) -> Outcome:
    """Checks the surroundings, records the source, and makes the empty target as a trial.

    A mapping or setting that the cluster refuses for a new index fails here by name, with the
    source untouched (Kibana fails after it has blocked writes).
    """
    operation = work.operation
    looked = await look(operation, cluster)
    source = source_in(looked, operation)
    if operation.source is None:
        return await _take(operation, looked, source, cluster)
    target = await ensure_target(operation, cluster)
    if not isinstance(target, IndexState):
        return target
    source = source_in(await look(operation, cluster), operation)
    if faults := differences(source, target, operation.mode):
        refuse(source, target, faults)
    if await cluster.security_on():
        await refuse_restriction(operation.new_index_name, cluster)
    return Again({"target_uuid": target.uuid})


async def _take(
    operation: Operation, looked: Looked, source: IndexState, cluster: Cluster
) -> Outcome:
    versions = await cluster.node_versions()
    if len({version.major for version in versions}) > 1:
        shown = ", ".join(version.number for version in versions)
        return Hold(f"the nodes have different major versions ({shown})", retry_after=10)
    await _refuse_kind(operation, looked, source, cluster)
    if await cluster.security_on():
        await _refuse_rights(operation, source, versions[0].major, cluster)
    notes = await _warnings(source, cluster)
    return Again({"source": await _record(source, cluster)}, notes=notes)


async def _refuse_kind(
    operation: Operation, looked: Looked, source: IndexState, cluster: Cluster
) -> None:
    """The classifier once more: hours may lie between the POST and the head of the queue."""
    streams = await cluster.data_streams()
    fault = refusal(operation.index_name, looked, streams, {})
    if fault := fault or mode_refusal(operation.mode, source):
        raise Failure(fault.code, fault.message)


async def _refuse_rights(
    operation: Operation, source: IndexState, major: int, cluster: Cluster
) -> None:
    """Missing privileges by name, and document- or field-level security of our own user."""
    need = Need(operation.index_name, operation.new_index_name, source.aliases)
    if lacking := await missing(cluster, [need], major):
        raise Failure(
            "missing_privileges",
            f"The service's user may not reindex {operation.index_name}: it lacks "
            f"{'; '.join(lacking[operation.index_name])}. Grant these and post the index again.",
        )
    await refuse_restriction(operation.index_name, cluster)


async def _warnings(source: IndexState, cluster: Cluster) -> list[Note]:
    """For the write index of an alias: ingestion stops for the whole copy."""
    if not source.aliases or "index.blocks.metadata" in source.blocks:
        return []
    aliases = await cluster.alias_properties(source.index_name)
    written = sorted(name for name, value in aliases.items() if value.get("is_write_index"))
    if not written:
        return []
    text = (
        f"{source.name} is the write index of {', '.join(written)}: writes stop for the whole "
        "copy. A rollover before the reindex avoids that"
    )
    return [Note(what="warning", index=source.name, text=text)]


async def _record(state: IndexState, cluster: Cluster) -> Source:
    return Source(
        uuid=state.uuid,
        shards=state.shards,
        routing_shards=state.routing_shards,
        closed=state.closed,
        blocks=state.set_blocks,
        verified_read_only=state.verified_read_only,
        aliases=list(state.aliases),
        settings=index_settings.to_restore(state.settings),
        lifecycle=lifecycle.after_swap(state.settings, state.rollovers),
        active_copies=await cluster.active_copies(state.index_name),
        time_series=state.settings.get("index.mode") == "time_series",
        searchable_seq_nos=str(state.settings.get(NO_SEQ_NOS)) != "true",
    )
