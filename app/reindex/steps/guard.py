"""Removing an index only while the other copy of its documents is there.

A check and a later delete by name can be overtaken by somebody who deletes the survivor in
between. So a hidden marker alias is put on the survivor, everything is looked at once more, and
one `_aliases` call removes the marker and the other index together: where the marked survivor is
gone, nothing happens.
"""

from __future__ import annotations

from app.domain.errors import ClusterRefused
from app.domain.operation import Hold, Note, Operation, Outcome
from app.elastic.answers import Looked
from app.elastic.cluster import Cluster
from app.reindex.steps.source import block_source

NO_ALIASES = {"index.blocks.read_only", "index.blocks.metadata"}
"""Under one of these an index takes no marker; `restore_source` puts them back."""


async def remove_target(operation: Operation, uuid: str | None, cluster: Cluster) -> Outcome | None:
    """Removes our own target, guarded by the intact source. None when that is settled.

    The target stays where the source is gone or is another index than the one recorded: it may be
    the only copy. `uuid` None means: not saved yet, so it must carry this operation's stamp.
    """
    looked = await _look(operation, cluster)
    if operation.source is None or not _removable(looked, operation, uuid):
        return None
    if looked[operation.index_name].set_blocks.keys() & NO_ALIASES:
        await block_source(looked[operation.index_name], operation.source, cluster)
    await cluster.put_marker(operation.index_name, operation.marker)
    if not _removable(await _look(operation, cluster), operation, uuid):
        return None
    try:
        await cluster.remove_guarded(
            operation.new_index_name, operation.index_name, operation.marker
        )
    except ClusterRefused as error:
        return Hold(f"the target cannot be removed: {error.message}")
    return None


def kept_note(operation: Operation) -> Note:
    return Note(
        what="target kept",
        index=operation.new_index_name,
        text=f"{operation.index_name} is not the index it was: the target may be the only copy",
    )


async def _look(operation: Operation, cluster: Cluster) -> Looked:
    return await cluster.look(operation.index_name, operation.new_index_name)


def _removable(looked: Looked, operation: Operation, uuid: str | None) -> bool:
    source = looked.get(operation.index_name)
    target = looked.get(operation.new_index_name)
    if source is None or target is None or operation.source is None:
        return False
    ours = target.uuid == uuid if uuid else target.stamp == operation.id
    return ours and source.uuid == operation.source.uuid
