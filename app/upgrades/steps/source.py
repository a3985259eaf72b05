"""Taking the source out of use, and giving it back as it was found."""

from __future__ import annotations

from collections.abc import Mapping

from app.domain.errors import ClusterRefused
from app.domain.events import EventKind, Note
from app.domain.operation import Operation
from app.elastic.answers import IndexState
from app.elastic.cluster import Cluster
from app.jobs.phases import Again, Done, Outcome, Work


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
    if operation.source is None or operation.unblocked:
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
