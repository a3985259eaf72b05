"""Taking the source out of use, and giving it back as it was found."""

from __future__ import annotations

from app.domain.errors import ClusterRefused
from app.domain.operation import Again, Done, Note, Outcome, Source, Work
from app.elastic.answers import IndexState
from app.elastic.cluster import Cluster


async def block_source(state: IndexState, source: Source, cluster: Cluster) -> None:
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
        await cluster.put_settings(state.index_name, exchanged, source.blocks)
    if others or not (state.write_blocked and state.verified_read_only):
        await cluster.block_writes(state.index_name)


async def restore_source(work: Work, cluster: Cluster) -> Outcome:
    """Marker, closed state and blocks as they were found, if it is still the same index.

    The blocks come last: `read_only` would refuse to close it.
    """
    operation = work.operation
    if operation.source is None:
        return Done()
    source = (await cluster.look(operation.index_name)).get(operation.index_name)
    if source is None or source.uuid != operation.source.uuid:
        return Done()
    if operation.marker in source.aliases:
        await cluster.take_aliases(operation.index_name, [operation.marker])
        return Again()
    if operation.source.closed and not source.closed:
        await cluster.close_index(operation.index_name)
        return Again()
    if source.set_blocks != operation.source.blocks:
        keys = sorted(source.set_blocks.keys() | operation.source.blocks.keys())
        wanted = {key: operation.source.blocks.get(key) for key in keys}
        try:
            await cluster.put_settings(operation.index_name, wanted, source.set_blocks)
        except ClusterRefused as error:
            if "read-only compatible index" in error.reason:  # 9.x never unblocks one of N-2
                return Done(notes=[Note(what="write block kept", text=error.reason)])
            raise
        return Again()
    return Done()
