"""Small changes that a client waits for; only the worker makes them."""

from __future__ import annotations

import time

from app.domain.errand import Errand, ErrandKind
from app.domain.errors import (
    AlreadyInProgress,
    ClusterBusy,
    Failure,
    IndexNotFound,
    NotAnIndex,
    ReindexQueueError,
)
from app.domain.names import IndexName
from app.elastic.cluster import Cluster
from app.reindex.announcements import Bell
from app.store.errands import Errands
from app.store.operations import Operations

WAIT_SECONDS = 30.0
LOOK_SECONDS = 0.5


class ErrandDesk:
    """The client's side: leaves an errand and waits for its end."""

    def __init__(self, errands: Errands, bell: Bell) -> None:
        self._errands = errands
        self._bell = bell

    async def block_writes(self, name: str, caller: str) -> None:
        """Adds the write block to an index, so that it boots on the next major as it is.

        Raises what the worker met, and `ClusterBusy` (503) where no worker did it in time.
        """
        index = IndexName(name)
        errand_id = await self._errands.leave(ErrandKind.BLOCK_WRITE, index, caller)
        deadline = time.monotonic() + WAIT_SECONDS
        with self._bell.listening() as ear:
            self._bell.ring()
            while time.monotonic() < deadline:
                errand = await self._errands.find(errand_id)
                if errand.ended_at is not None:
                    _raise_error(errand)
                    return
                await ear.wait(LOOK_SECONDS)
        await self._errands.withdraw(errand_id)
        raise ClusterBusy(
            f"No worker did it within {WAIT_SECONDS:g} s, so it was withdrawn; see /readyz."
        )


def _raise_error(errand: Errand) -> None:
    if errand.error_message is None:
        return
    error = ReindexQueueError(errand.error_message)
    error.code = errand.error_code or error.code
    error.status = errand.error_status or error.status
    raise error


async def perform(errand: Errand, operations: Operations, cluster: Cluster) -> None:
    """The worker's side. Raises what its client is to be told."""
    name = errand.index_name
    if name in await operations.live_names():
        raise AlreadyInProgress(name)
    looked = await cluster.look(name)
    state = looked.get(name)
    if state is None:
        holders = looked.holders(name)
        raise NotAnIndex(name, holders) if holders else IndexNotFound(name)
    if not (state.write_blocked and state.verified_read_only):
        await cluster.block_writes(name)
    if not (await cluster.look(name))[name].write_blocked:
        raise Failure("not_blocked", f"Could not set apply {errand.kind} to {name}.")
