"""The end of a kept copy: removed by the worker, with proof that nobody needs it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

from app.domain import clock
from app.domain.errors import (
    ClusterBusy,
    ClusterRefused,
    ClusterTrouble,
    Failure,
    ReindexQueueError,
    StoreTrouble,
)
from app.domain.events import EventKind, Note
from app.domain.formatting import capped
from app.domain.names import IndexName
from app.domain.operation import Changes, Operation
from app.elastic.answers import Looked
from app.elastic.cluster import Cluster
from app.telemetry import logger
from app.upgrades.steps.identity import is_whole, observe

log = logger(__name__)

NEXT_LOOK = timedelta(days=1)
"""Where the kept copy may not go yet."""


async def expire(operation: Operation, cluster: Cluster, tried: int) -> tuple[Changes, list[Note]]:
    """`_expire`; where it fails by what waiting is not sure to mend, and was `tried` in vain often
    enough before, the copy stays for a day, so that other copies and the queue are not kept by it.
    Raises `ClusterTrouble`, `StoreTrouble`."""
    try:
        return await _expire(operation, cluster)
    except StoreTrouble:
        raise
    except ClusterTrouble as error:
        if not counts(error) or tried + 1 < (error.cause.patience or 0):
            raise
        reason = error.message
    except Failure as error:
        reason = error.message
    except Exception as error:
        log.exception("expiry_crashed", operation=operation.id)
        reason = capped(f"unexpected {type(error).__name__}: {error}", 500)
    try:
        return await _stays(operation, reason, cluster)
    except StoreTrouble:
        raise
    except ReindexQueueError as error:
        return _put_off(operation, reason, [_marker_left(operation, error)])


def counts(error: Exception) -> bool:
    """False for what waiting mends, however often it comes."""
    return isinstance(error, ClusterTrouble) and error.cause.patience is not None


async def _expire(operation: Operation, cluster: Cluster) -> tuple[Changes, list[Note]]:
    """Removes the kept copy, guarded by the new index; what is to be saved afterwards.

    Two calls change something, and neither needs a claim. The marker on the new index hides
    nothing, and is taken off again by whatever ends this (`give_up`). The removal comes about only
    while that marker is there, so not once a rollback has removed the new index; and where it comes
    first, the rollback finds no copy with its own marker and leaves everything as it was.

    It stays, and is looked at again a day later, where the new index is not the one that was
    proven, is not whole, does not have the old name any more, or takes no marker.

    Raises `ClusterTrouble`.
    """
    looked = await observe(operation.pair, cluster)
    if not _there(looked, operation):
        return await _over(operation, looked, cluster)
    if reason := await _needed(looked, operation, cluster):
        return await _stays(operation, reason, cluster)
    try:
        await _remove(operation, looked, cluster)
    except ClusterRefused as error:
        return await _stays(operation, error.message, cluster)
    looked = await observe(operation.pair, cluster)
    if reason := await _needed(looked, operation, cluster):
        return await _stays(operation, reason, cluster)
    if _there(looked, operation):
        raise ClusterBusy(f"{_name(operation)} is still there.")
    return await _over(operation, looked, cluster)


async def _remove(operation: Operation, looked: Looked, cluster: Cluster) -> None:
    if operation.marker not in looked[operation.new_index_name].aliases:
        await cluster.aliases.put_marker(operation.new_index_name, operation.marker)
    looked = await observe(operation.pair, cluster)
    if _there(looked, operation) and not await _needed(looked, operation, cluster):
        await cluster.aliases.remove_guarded(
            _name(operation), operation.new_index_name, operation.marker
        )


async def give_up(operation: Operation, cluster: Cluster) -> list[Note]:
    """For whoever does not remove the copy after all: the marker leaves the new index, so that a
    removal that was sent before, and comes late, finds none and does nothing.

    Raises `ClusterTrouble`.
    """
    return await _take_marker(operation, await observe(operation.pair, cluster), cluster)


async def _over(
    operation: Operation, looked: Looked, cluster: Cluster
) -> tuple[Changes, list[Note]]:
    """It is gone, by us or by somebody else; our marker goes, too."""
    gone = Note(what=EventKind.KEPT_COPY_GONE, index=_name(operation))
    return {"kept_until": None}, [gone, *await _take_marker(operation, looked, cluster)]


async def _take_marker(operation: Operation, looked: Looked, cluster: Cluster) -> list[Note]:
    target = looked.get(operation.new_index_name)
    if not target or target.uuid != operation.target_uuid or operation.marker not in target.aliases:
        return []
    try:
        await cluster.aliases.take(target.index_name, [operation.marker])
    except ClusterRefused as error:  # somebody blocked it: no reason to try for ever
        return [_marker_left(operation, error)]
    return []


def _marker_left(operation: Operation, error: ReindexQueueError) -> Note:
    name = operation.new_index_name
    return Note(what=EventKind.MARKER_LEFT, index=name, text=error.message)


async def _stays(operation: Operation, reason: str, cluster: Cluster) -> tuple[Changes, list[Note]]:
    return _put_off(operation, reason, await give_up(operation, cluster))


def _put_off(
    operation: Operation, reason: str, notes: Sequence[Note]
) -> tuple[Changes, list[Note]]:
    note = Note(
        what=EventKind.KEPT_COPY_STAYS,
        index=_name(operation),
        text=f"{reason} It can be removed by hand; otherwise it is looked at again in a day.",
    )
    return {"kept_until": clock.now() + NEXT_LOOK}, [note, *notes]


def _there(looked: Looked, operation: Operation) -> bool:
    copy = looked.get(_name(operation))
    return copy is not None and operation.kept is not None and copy.uuid == operation.kept.uuid


async def _needed(looked: Looked, operation: Operation, cluster: Cluster) -> str | None:
    """Why the kept copy may be the only complete one, in words."""
    name, target = operation.index_name, looked.get(operation.new_index_name)
    if target is None or target.uuid != operation.target_uuid:
        return f"The new index {operation.new_index_name} is not the one that was proven."
    if name in looked or looked.holders(name) != [target.name]:
        return f"{name} is not an alias of {target.name} any more."
    if not await is_whole(target, cluster):
        return f"Not every primary of {target.name} is active."
    return None


def _name(operation: Operation) -> IndexName:
    assert operation.kept is not None
    return operation.kept.name
