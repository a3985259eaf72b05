"""Step 30: an empty target that is ours, and as the source in everything that matters."""

from __future__ import annotations

from app.domain import index_settings
from app.domain.errors import ClusterRefused, Failure
from app.domain.operation import Again, Done, Hold, Operation, Outcome, Step, Work
from app.elastic.answers import IndexState, Looked
from app.elastic.cluster import Cluster
from app.reindex.steps.guard import remove_target
from app.reindex.steps.identity import blocked_source_in

_SHOWN = 5


async def create_target(work: Work, cluster: Cluster) -> Outcome:
    """Creates the target with our stamp on it, or finds the one this operation made before."""
    operation = work.operation
    looked = await _look(operation, cluster)
    if operation.new_index_name not in looked:
        await _create(operation, looked, cluster)
        looked = await _look(operation, cluster)
    source = blocked_source_in(looked, operation)
    target = looked.get(operation.new_index_name)
    if target is None:
        return Hold(f"the target {operation.new_index_name} is not in the cluster state yet")
    if target.stamp != operation.id:
        return await _not_ours(operation, target, cluster)
    if target.aliases:  # a template gave it some: a search must not find a half-filled index
        await cluster.take_aliases(target.index_name, target.aliases)
        return Again()
    _compare(source, target)
    if len(await cluster.shard_stats(target.index_name)) < target.shards:
        return Hold(f"the primaries of {target.name} are not active", retry_after=0.1)
    return Done({"last_completed_step": Step.NEW_INDEX_CREATED, "target_uuid": target.uuid})


async def _look(operation: Operation, cluster: Cluster) -> Looked:
    return await cluster.look(operation.index_name, operation.new_index_name, mappings=True)


async def _create(operation: Operation, looked: Looked, cluster: Cluster) -> None:
    source = blocked_source_in(looked, operation)
    if holders := looked.holders(operation.new_index_name):
        raise Failure(
            "target_taken",
            f"The target's name {operation.new_index_name} is an alias of {', '.join(holders)}. "
            "Rename or remove that alias.",
        )
    settings = {
        **index_settings.WHILE_COPYING,
        index_settings.STAMP: operation.id,
        # _create_from does not copy it, and another number sends an _id to another shard
        "index.number_of_routing_shards": str(source.routing_shards),
    }
    try:
        await cluster.create_from(operation.index_name, operation.new_index_name, settings)
    except ClusterRefused as error:
        if error.kind != "resource_already_exists_exception":
            raise


async def _not_ours(operation: Operation, target: IndexState, cluster: Cluster) -> Outcome:
    """A target that an earlier failed operation left is removed; anybody else's stays."""
    if target.uuid == operation.leftover_uuid:
        return await remove_target(operation, target.uuid, cluster) or Again()
    raise Failure(
        "target_taken",
        f"The index {target.name} already exists. Please try again after it was removed or "
        "renamed; it was not made by this operation and was left alone.",
    )


def _compare(source: IndexState, target: IndexState) -> None:
    """Raises `Failure` that names what the target has otherwise: templates apply to it, too."""
    faults = [
        *index_settings.differing_settings(source.settings, target.settings),
        *(f"mapping {m} is missing" for m in _missing(source, target)),
        *(
            f"mapping {m} was added"
            for m in index_settings.added_mappings(source.mappings, target.mappings)
        ),
    ]
    if faults:
        more = f" and {len(faults) - _SHOWN} more" if len(faults) > _SHOWN else ""
        raise Failure(
            "target_differs",
            f"The new index {target.name} does not come out as {source.name}: "
            f"{'; '.join(faults[:_SHOWN])}{more}. An index template that matches {target.name} "
            "is the usual cause: narrow its pattern, then post the index again.",
        )


def _missing(source: IndexState, target: IndexState) -> list[str]:
    return index_settings.missing_mappings(source.mappings, target.mappings)
