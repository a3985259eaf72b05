"""Removing an index only while the other copy of its documents is there.

A check and a later delete by name can be overtaken by somebody who deletes the survivor in
between. So a hidden marker alias is put on the survivor, everything is looked at once more, and
one `_aliases` call removes the marker and the other index together: where the marked survivor is
gone, nothing happens.
"""

from __future__ import annotations

from app.domain.errors import ClusterRefused
from app.domain.events import EventKind, Note
from app.domain.holds import HoldCause
from app.domain.names import IndexName
from app.domain.operation import Operation
from app.elastic.answers import Looked
from app.elastic.cluster import Cluster
from app.jobs.phases import Hold, Outcome
from app.upgrades.steps.identity import is_whole, look
from app.upgrades.steps.source import block_source

NO_ALIASES = {"index.blocks.read_only", "index.blocks.metadata"}
"""Under one of these an index takes no marker; `restore_source` puts them back."""


async def remove_target(operation: Operation, uuid: str | None, cluster: Cluster) -> Outcome | None:
    """`remove_own` for the target."""
    return await remove_own(operation, operation.new_index_name, uuid, cluster)


async def remove_own(
    operation: Operation, name: IndexName, uuid: str | None, cluster: Cluster
) -> Outcome | None:
    """Removes an index that we made, guarded by the intact source. None when that is settled.

    It stays where the source is gone or is another index than the one recorded: it may be the only
    copy. `uuid` None means: not saved yet, so it must carry this operation's stamp.
    """
    looked = await look(operation, cluster)
    if operation.source is None or not _removable(looked, operation, name, uuid):
        return None
    if looked[operation.source_name].set_blocks.keys() & NO_ALIASES:
        await block_source(looked[operation.source_name], cluster)
    await cluster.aliases.put_marker(operation.source_name, operation.marker)
    looked = await look(operation, cluster)
    if not _removable(looked, operation, name, uuid):
        return None
    begun = operation.source_seq_nos is not None  # before that there is nothing in it
    if begun and not await is_whole(looked[operation.source_name], cluster):
        return Hold(
            HoldCause.SHARDS_AWAY,
            f"not every primary of {operation.source_name} is active, so {name} may be the only "
            "whole copy and stays until they are",
        )
    try:
        await cluster.aliases.remove_guarded(name, operation.source_name, operation.marker)
    except ClusterRefused as error:
        return Hold(HoldCause.UNDO_REFUSED, f"{name} cannot be removed: {error.message}")
    return None


def kept_note(operation: Operation, name: IndexName) -> Note:
    """That `name` was not removed."""
    is_target = name == operation.new_index_name
    what = EventKind.TARGET_KEPT if is_target else EventKind.COPY_KEPT
    return Note(
        what=what,
        index=name,
        text=f"{operation.source_name} is not the index it was: {name} may be the only copy",
    )


def _removable(looked: Looked, operation: Operation, name: IndexName, uuid: str | None) -> bool:
    source, victim = looked.get(operation.source_name), looked.get(name)
    if source is None or victim is None or operation.source is None:
        return False
    ours = victim.uuid == uuid if uuid else victim.stamp == operation.id
    return ours and source.uuid == operation.source.uuid
