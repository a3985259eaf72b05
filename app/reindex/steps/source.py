"""Giving the source back as it was found."""

from __future__ import annotations

from app.domain.errors import ClusterRefused
from app.domain.operation import Again, Done, Note, Outcome, Work
from app.elastic.cluster import Cluster


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
