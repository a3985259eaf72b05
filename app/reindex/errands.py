"""Small changes that a client waits for; only the worker makes them."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from app.domain import clock
from app.domain.errand import Errand, ErrandKind
from app.domain.errors import (
    AlreadyInProgress,
    ClusterBusy,
    ClusterTrouble,
    Failure,
    IndexNotFound,
    NotAnIndex,
    ReindexQueueError,
)
from app.domain.names import IndexName
from app.domain.trial import Attempt, Trial
from app.elastic.cluster import Cluster
from app.reindex.announcements import Bell
from app.reindex.trial import tidy_up, try_out
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
        errand_id = await self._errands.leave(ErrandKind.BLOCK_WRITE, IndexName(name), caller)
        if await self._ended(errand_id) is None:
            await self._errands.withdraw(errand_id)
            raise _too_late("so it was withdrawn; what was sent already may still be done")

    async def try_out(self, attempt: Attempt, caller: str) -> Trial:
        """Makes the new index, looks at it and removes it.

        It is not withdrawn where no worker does it in time: it may be half done, and then has to be
        tidied up. Raises as `block_writes`.
        """
        errand_id = await self._errands.leave(
            ErrandKind.TRIAL, attempt.index, caller, attempt.model_dump(mode="json")
        )
        errand = await self._ended(errand_id)
        if errand is None:
            raise _too_late("and it will not be done any more")
        return Trial.model_validate(errand.result)

    async def _ended(self, errand_id: str) -> Errand | None:
        """The errand once it is done, None where that takes too long. Raises what it met."""
        deadline = time.monotonic() + WAIT_SECONDS
        with self._bell.listening() as ear:
            self._bell.ring()
            while time.monotonic() < deadline:
                errand = await self._errands.find(errand_id)
                if errand.ended_at is not None:
                    _raise_error(errand)
                    return errand
                await ear.wait(LOOK_SECONDS)
        return None


def _too_late(then: str) -> ClusterBusy:
    return ClusterBusy(f"No worker did it within {WAIT_SECONDS:g} s, {then}; see /readyz.")


def _raise_error(errand: Errand) -> None:
    if errand.error_message is None:
        return
    error = ReindexQueueError(errand.error_message)
    error.code = errand.error_code or error.code
    error.status = errand.error_status or error.status
    raise error


async def perform(
    errand: Errand, operations: Operations, cluster: Cluster
) -> Mapping[str, Any] | None:
    """The worker's side; what its client is answered, if anything. Raises what it is to be told."""
    if errand.kind is ErrandKind.TRIAL:
        return (await _try_out(errand, operations, cluster)).model_dump(mode="json")
    if _is_forgotten(errand):
        raise _FORGOTTEN
    if errand.index_name in await operations.live_names():
        raise AlreadyInProgress(errand.index_name)
    await _block_writes(errand, cluster)
    return None


_FORGOTTEN = Failure("too_late", "Nobody waits for it any more.")


def _is_forgotten(errand: Errand) -> bool:
    return clock.elapsed(errand.created_at) > WAIT_SECONDS


async def _try_out(errand: Errand, operations: Operations, cluster: Cluster) -> Trial:
    """Only tidies up where nobody waits any more, or an operation has begun on the index since."""
    if _is_forgotten(errand):
        await tidy_up(errand, cluster)
        raise _FORGOTTEN
    if errand.index_name in await operations.live_names():
        await tidy_up(errand, cluster)
        raise AlreadyInProgress(errand.index_name)
    return await try_out(errand, cluster)


def is_to_be_repeated(errand: Errand, error: ReindexQueueError) -> bool:
    """A trial that was cut may have left its index, so it is gone on with; but not for ever with
    what waiting is not sure to mend."""
    if errand.kind is not ErrandKind.TRIAL or not isinstance(error, ClusterTrouble):
        return False
    return error.cause.patience is None or not _is_forgotten(errand)


async def _block_writes(errand: Errand, cluster: Cluster) -> None:
    name = errand.index_name
    looked = await cluster.indices.look(name)
    state = looked.get(name)
    if state is None:
        holders = looked.holders(name)
        raise NotAnIndex(name, holders) if holders else IndexNotFound(name)
    if not (state.write_blocked and state.verified_read_only):
        await cluster.indices.block_writes(name)
    if not (await cluster.indices.look(name))[name].write_blocked:
        raise Failure("not_blocked", f"Could not set apply {errand.kind} to {name}.")
