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
from app.domain.pair import Pair
from app.elastic.answers import Looked
from app.elastic.cluster import Cluster
from app.jobs.phases import Hold, Outcome
from app.upgrades.steps.identity import is_whole, look
from app.upgrades.steps.source import block_source

NO_ALIASES = {"index.blocks.read_only", "index.blocks.metadata"}
"""Under one of these an index takes no marker; `restore_source` puts them back."""


async def remove_target(pair: Pair, uuid: str | None, cluster: Cluster) -> Outcome | None:
    """`remove_own` for the target."""
    return await remove_own(pair, pair.target_name, uuid, cluster)


async def remove_own(
    pair: Pair, name: IndexName, uuid: str | None, cluster: Cluster
) -> Outcome | None:
    """Removes an index that we made, guarded by the intact source. None when that is settled.

    It stays where the source is gone or is another index than the one recorded: it may be the only
    copy. `uuid` None means: not saved yet, so it must carry this job's stamp.
    """
    looked = await look(pair, cluster)
    if not _removable(looked, pair, name, uuid):
        return None
    if looked[pair.source_name].set_blocks.keys() & NO_ALIASES:
        await block_source(looked[pair.source_name], cluster)
    await cluster.aliases.put_marker(pair.source_name, pair.marker)
    looked = await look(pair, cluster)
    if not _removable(looked, pair, name, uuid):
        return None
    if pair.filled and not await is_whole(looked[pair.source_name], cluster):
        return Hold(
            HoldCause.SHARDS_AWAY,
            f"not every primary of {pair.source_name} is active, so {name} may be the only "
            "whole copy and stays until they are",
        )
    try:
        await cluster.aliases.remove_guarded(name, pair.source_name, pair.marker)
    except ClusterRefused as error:
        return Hold(HoldCause.UNDO_REFUSED, f"{name} cannot be removed: {error.message}")
    return None


def kept_note(pair: Pair, name: IndexName) -> Note:
    """That `name` was not removed."""
    is_target = name == pair.target_name
    what = EventKind.TARGET_KEPT if is_target else EventKind.COPY_KEPT
    return Note(
        what=what,
        index=name,
        text=f"{pair.source_name} is not the index it was: {name} may be the only copy",
    )


def _removable(looked: Looked, pair: Pair, name: IndexName, uuid: str | None) -> bool:
    source, victim = looked.get(pair.source_name), looked.get(name)
    if source is None or victim is None:
        return False
    ours = victim.uuid == uuid if uuid else victim.stamp == pair.job_id
    return ours and source.uuid == pair.source_uuid
