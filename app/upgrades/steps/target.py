"""Making a target: empty, stamped ours, as the source in everything that matters; or anew."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from app.copying.tasks import forget, look_for, may_write
from app.domain import filling, index_settings
from app.domain.compatibility import UNTYPED
from app.domain.errors import ClusterRefused, ClusterUnreachable, Failure
from app.domain.events import EventKind, Note
from app.domain.holds import HoldCause
from app.domain.index_settings import FIELD_NAMES, retired, says_field_names, without_defaults
from app.domain.operation import Operation
from app.domain.pair import Leftover, Pair
from app.elastic.answers import IndexState, Looked
from app.elastic.cluster import Cluster
from app.elastic.connection import REMEMBERED_SECONDS
from app.jobs.phases import Again, Done, Hold, Outcome, Work
from app.upgrades.steps.foresee import refuse_filters
from app.upgrades.steps.guard import remove_target
from app.upgrades.steps.identity import blocked_source_in, named, observe, source_in
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


_LIMITED = re.compile(r"Limit of [\w ]+\[\d+\]|is longer than the limit of \[\d+\]")
"""How a mapping is refused for its size (7.17, 8.19, 9.4)."""

_STREAMS_ONLY = "creates data streams only"
"""How a name is refused that a template with a data stream matches (7.17, 8.19, 9.4)."""

VECTORS = "index.mapping.exclude_source_vectors"
DEEPEST = 800
"""Objects of a mapping inside of each other, two a field: 1,000 are read by 7.17, 2,000 end it."""
SEALED = {"index.blocks.write": "true"}
_SHOWN = 5


async def ensure_target(
    pair: Pair, looked: Looked, cluster: Cluster, *, sealed: bool = False
) -> Looked | Outcome:
    """Source and target as they are once the target is there, or what has to be waited for first.

    `looked` is how both were just now; the target is the operation's own, made now or found.
    `sealed`: it is made with the write block, since nothing is to be copied into it.

    Raises `Failure` where the name is taken by somebody else, where the cluster refuses mappings
    or settings for a new index, and where the index does not come out as the source.
    """
    if pair.target_name not in looked:
        await _create(pair, looked, cluster, SEALED if sealed else {})
        looked = await observe(pair, cluster, mappings=True)
    target = looked.get(pair.target_name)
    if target is None:
        name = pair.target_name
        return Hold(
            HoldCause.NOT_SEEN, f"the target {name} was made, and is not in the cluster state yet"
        )
    if pair.job_id != target.stamp and pair.target_uuid != target.uuid:
        return await _not_ours(pair, looked, cluster)
    if target.aliases:  # a template gave it some: a search must not find a half-filled index
        await cluster.aliases.take(target.index_name, target.aliases)
        return Again()
    if target.stamp and (closing := _closing(source_in(looked, pair), target)):
        await cluster.indices.put_dynamic(target.index_name, closing)
        return Again()
    return looked


def _closing(source: IndexState, target: IndexState) -> dict[str, Any]:
    """What closes the target to new fields; empty where it is closed."""
    wanted = filling.dynamic_closed(source.mappings)
    if not index_settings.missing_mappings(wanted, target.mappings):
        return {}
    return filling.dynamic_request(source.mappings, filling.UNMAPPED_IS_LEFT_OUT)


async def _create(pair: Pair, looked: Looked, cluster: Cluster, more: Mapping[str, str]) -> None:
    source = source_in(looked, pair)
    _name_is_free(looked, pair)
    try:
        await _make(pair, source, cluster, more)
    except ClusterUnreachable:  # or no node may have its shards: then it is there
        if pair.target_name not in await observe(pair, cluster):
            raise
    except ClusterRefused as error:
        if error.kind == "resource_already_exists_exception":
            return
        looked = await observe(pair, cluster)  # somebody may have been quicker
        source_in(looked, pair)
        _name_is_free(looked, pair)
        if _STREAMS_ONLY in error.reason:
            raise Failure(
                "target_of_streams",
                f"{pair.target_name} cannot be an index: {error.reason}. Nothing was "
                "changed. Narrow the pattern of that template, or name another new index "
                "(newIndexName), then post the index again.",
            ) from error
        raise Failure(
            "target_refused",
            f"The cluster refuses to make a new index with the mappings and settings of "
            f"{source.name}: {error.reason} Nothing was changed; {_remedy(source, error.reason)}.",
        ) from error


async def _make(pair: Pair, source: IndexState, cluster: Cluster, more: Mapping[str, str]) -> None:
    """Asks once more where it is refused for what can be done without."""
    more = {**filling.limits_for_documents(source.mappings), **more}
    try:
        await _send_creation(pair, source, cluster, more)
    except ClusterRefused as error:
        if _LIMITED.search(error.reason):
            more = {**filling.limits_raised(source.settings), **more}
            await _send_creation(pair, source, cluster, more)
        elif FIELD_NAMES in error.reason and says_field_names(source.mappings):
            await _send_whole(pair, source, cluster, {**_own(pair, source), **more})
        else:
            raise


def _remedy(source: IndexState, reason: str) -> str:
    if "total fields" in reason:
        return f"raise that limit by PUT {source.name}/_settings, then post the index again"
    by_hand = "an index that needs this must be filled anew by hand"
    if becomes := retired(source.mappings, source.settings):
        return f"{by_hand}, with what it becomes: {'; '.join(becomes[:_SHOWN])}"
    return by_hand


def _name_is_free(looked: Looked, pair: Pair) -> None:
    """Raises `Failure` where the target's name is an alias."""
    if holders := looked.holders(pair.target_name):
        raise Failure(
            "target_taken",
            f"The target's name {pair.target_name} is an alias of {pair.reach.shown(holders)}. "
            "Rename or remove that alias.",
        )


async def _send_creation(
    pair: Pair, source: IndexState, cluster: Cluster, more: Mapping[str, str]
) -> None:
    settings = {**_own(pair, source), **more}
    oldest = (await cluster.nodes.versions(REMEMBERED_SECONDS))[0]
    if not oldest.creates_from:
        await _send_whole(pair, source, cluster, settings)
        return
    closing = filling.dynamic_closed(source.mappings)
    _refuse_depth(source, closing)
    own = (index_settings.POLICY, index_settings.ALLOCATION)
    dropped = [*index_settings.deprecated(source.settings), *own]
    settings |= {key: None for key in dropped if key in source.settings}
    left_out = index_settings.NOT_COPIED
    settings |= {key: source.settings[key] for key in left_out if key in source.settings}
    if oldest.parts >= (9, 2) and await _shows_vectors(pair, cluster):
        settings[VECTORS] = "false"
    await cluster.indices.create_from(
        pair.source_name,
        pair.target_name,
        settings,
        # merged beside a type of its own it would be no mapping (8.19): that is closed afterwards
        closing if source.mapping_type == UNTYPED else {},
    )


def _own(pair: Pair, source: IndexState) -> dict[str, Any]:
    """What the target has of its own while it is filled."""
    settings: dict[str, Any] = {
        **index_settings.WHILE_COPYING,
        index_settings.STAMP: pair.job_id,
        # not copied by _create_from, and another number sends an _id to another shard
        "index.number_of_routing_shards": str(source.routing_shards),
    }
    return settings | ({"index.mode": pair.mode} if pair.mode else {})


async def _send_whole(
    pair: Pair, source: IndexState, cluster: Cluster, settings: Mapping[str, Any]
) -> None:
    """Every setting that a new index can have, and the whole mapping but for defaults."""
    _refuse_depth(source, source.mappings)
    oldest = (await cluster.nodes.versions(REMEMBERED_SECONDS))[0]
    copied = index_settings.copied(source.settings)
    if oldest.creates_from:
        gone = index_settings.dropped(source.settings)
        copied = {key: value for key, value in copied.items() if key not in gone}
    await cluster.indices.create(
        pair.target_name,
        {**copied, **settings},
        filling.closed_to_new_fields(without_defaults(source.mappings)),
    )


def _refuse_depth(source: IndexState, mappings: Mapping[str, Any]) -> None:
    """Raises `Failure` where `mappings`, which would be sent, are deeper than can be: Elasticsearch
    reads them by recursion, and 7.17 makes 1,000 fields of dotted names, but ends where they come
    as objects."""
    if index_settings.depth(mappings) > DEEPEST:
        raise Failure(
            "target_refused",
            f"The mappings of {source.name} are nested more than {DEEPEST // 2} fields deep, which "
            "is not sent to this version of Elasticsearch: reading it could end a node. Nothing "
            "was changed. Reindex it on 8.18 or newer, or fill a flatter index by hand.",
        )


async def _shows_vectors(pair: Pair, cluster: Cluster) -> bool:
    """A new index of 9.2 and newer hides vectors from `_source`; one from before does not."""
    return await cluster.indices.effective_setting(pair.source_name, VECTORS) == "false"


async def _not_ours(pair: Pair, looked: Looked, cluster: Cluster) -> Outcome:
    """A target that an earlier failed operation left is removed; anybody else's stays.

    One that is or was in use stays, too (it has aliases; where the source keeps its name and only
    the aliases move, it may have had them once it has lost its stamp), and one that was copied
    from another index, of which it may be all there is.
    """
    target, source, left = looked[pair.target_name], source_in(looked, pair), pair.leftover
    if left is not None and _is_left(target, source, left):
        return await remove_target(pair, target.uuid, cluster) or Again()
    raise Failure(
        "target_taken",
        f"The index {target.name} already exists. Please try again after it was removed or "
        "renamed; it was not made by this operation and was left alone.",
    )


def _is_left(target: IndexState, source: IndexState, left: Leftover) -> bool:
    unused = not named(target.aliases) and not (left.stamped and target.stamp is None)
    same = left.source_uuid in (None, source.uuid)
    return target.uuid == left.uuid and unused and same


def target_differences(source: IndexState, target: IndexState, mode: str | None) -> list[str]:
    """What the target has otherwise than its source, in words. A new `mode` may add its own.

    While it is filled, and has our stamp, it is closed to new fields, and limits may be raised.
    """
    mappings, made = without_defaults(source.mappings), without_defaults(target.mappings)
    settings = target.settings
    if target.stamp:
        settings = filling.as_limited(source.settings, settings)
        if index_settings.missing_mappings(mappings, made):
            mappings = filling.closed_to_new_fields(mappings)
    settings = index_settings.differing_settings(source.settings, settings)
    missing = index_settings.missing_mappings(mappings, made)
    faults = [f"mapping {path} is missing" for path in missing]
    if mode:
        return faults
    added = index_settings.added_mappings(mappings, made)
    allowed = (VECTORS,)
    kept = [text for text in settings if not text.startswith(allowed)]
    return [*kept, *faults, *(f"mapping {path} was added" for path in added)]


async def make_again(
    pair: Pair,
    source: IndexState,
    target: IndexState,
    faults: list[str],
    cluster: Cluster,
) -> Outcome:
    """An empty target that the source has grown out of since it was made is removed, guarded, and
    made once more. Raises `Failure` where it was made just now, and does not come out right."""
    if target.uuid != pair.target_uuid:
        refuse_target(source, target, faults)
    return await remove_target(pair, target.uuid, cluster) or Again({"target_uuid": None})


def refuse_target(source: IndexState, target: IndexState, faults: list[str]) -> None:
    """Raises the `Failure` that names `faults`: templates apply to the new index, too."""
    more = f" and {len(faults) - _SHOWN} more" if len(faults) > _SHOWN else ""
    raise Failure(
        "target_differs",
        f"The new index {target.name} does not come out as {source.name}: "
        f"{'; '.join(faults[:_SHOWN])}{more}. An index template that matches {target.name} "
        "is the usual cause (narrow its pattern), or a setting that a new index cannot have (take "
        "it off the old one); then post the index again.",
    )


async def create_target(work: Work[Operation], cluster: Cluster) -> Outcome:
    """Takes the target of the trial before the write block, if nothing has changed since.

    A document that was written between the trial and the block may have added a field: then the
    empty target is removed, guarded, and made once more.
    """
    operation = work.job
    looked = await ensure_target(
        operation.pair, await observe(operation.pair, cluster, mappings=True), cluster
    )
    if not isinstance(looked, Looked):
        return looked
    source, target = blocked_source_in(looked, operation.pair), looked[operation.new_index_name]
    if faults := target_differences(source, target, operation.mode):
        return await make_again(operation.pair, source, target, faults, cluster)
    if operation.source and "index.blocks.metadata" in operation.source.blocks:
        await refuse_filters(source, target, cluster)  # nobody could look before
    if len(await cluster.shards.stats(target.index_name)) < target.shards:
        return Hold(HoldCause.SHARDS_AWAY, f"the primaries of {target.name} are not active", 0.1)
    return Done({"target_uuid": target.uuid})
