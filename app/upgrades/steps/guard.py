"""No copy is lost: the source is blocked and given back as it was found, and an index is
removed only while the other copy of its documents is there."""

from __future__ import annotations

from collections.abc import Mapping

from app.domain.errors import ClusterRefused
from app.domain.events import EventKind, Note
from app.domain.holds import HoldCause
from app.domain.names import IndexName
from app.domain.operation import Operation
from app.domain.pair import Pair
from app.elastic.answers import IndexState, Looked
from app.elastic.cluster import Cluster
from app.jobs.phases import Again, Done, Hold, Outcome, Work
from app.upgrades.steps.identity import is_whole, observe


async def block_source(state: IndexState, cluster: Cluster) -> None:
    """The write block, and no other.

    `read_only` and `metadata` would refuse `_block/write` and the swap, `read` the copy (8.19).
    All are exchanged for a write block in one call, so there is no moment in which an index that
    refused writes takes them; `_block/write` then waits for writes that are still in flight.
    """
    others = set(state.blocks) - {"index.blocks.write"}
    if others:
        # named even if off: only a call that names it may lift `metadata` and set another (8.19)
        exchanged: dict[str, str | None] = {"index.blocks.read_only": None}
        exchanged.update(dict.fromkeys(sorted(others)))
        exchanged["index.blocks.write"] = "true"
        await cluster.indices.put_settings(state.index_name, exchanged, state.blocks)
    if others or not (state.write_blocked and state.verified_read_only):
        await cluster.indices.block_writes(state.index_name)


async def restore_source(work: Work[Operation], cluster: Cluster) -> Outcome:
    """Marker, closed state and blocks as they were found, if it is still the same index.

    One that was not blocked by us, or is in use again, has none but the blocks of people.

    The blocks come last: `read_only` would refuse to close it.
    """
    operation = work.job
    if operation.source is None or operation.source_writable:
        return Done()
    source = (await cluster.indices.look(operation.source_name)).get(operation.source_name)
    if source is None or source.uuid != operation.source.uuid:
        return Done()
    if operation.marker in source.aliases:
        await cluster.aliases.take(operation.source_name, [operation.marker])
        return Again()
    return await give_back(source, operation.source.blocks, cluster, closed=operation.source.closed)


async def give_back(
    state: IndexState, blocks: Mapping[str, str], cluster: Cluster, *, closed: bool
) -> Again | Done:
    """Closes an index that was closed and gives it those blocks; `Done` once it is seen so.

    9.x never unblocks an index of two majors ago: that stays as it is.
    """
    if closed and not state.closed:
        await cluster.indices.close(state.index_name)
        return Again()
    if state.set_blocks == blocks:
        return Done()
    keys = sorted(state.set_blocks.keys() | blocks.keys())
    wanted = {key: blocks.get(key) for key in keys}
    try:
        await cluster.indices.put_settings(state.index_name, wanted, state.set_blocks)
    except ClusterRefused as error:
        if "read-only compatible index" in error.reason:
            return Done(notes=[Note(what=EventKind.WRITE_BLOCK_KEPT, text=error.reason)])
        raise
    return Again()


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
    looked = await observe(pair, cluster)
    if not is_removable(looked, pair, name, uuid):
        return None
    if looked[pair.source_name].set_blocks.keys() & NO_ALIASES:
        await block_source(looked[pair.source_name], cluster)
    await cluster.aliases.put_marker(pair.source_name, pair.marker)
    looked = await observe(pair, cluster)
    if not is_removable(looked, pair, name, uuid):
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


def is_removable(looked: Looked, pair: Pair, name: IndexName, uuid: str | None) -> bool:
    source, victim = looked.get(pair.source_name), looked.get(name)
    if source is None or victim is None:
        return False
    ours = victim.uuid == uuid if uuid else victim.stamp == pair.job_id
    return ours and source.uuid == pair.source_uuid
