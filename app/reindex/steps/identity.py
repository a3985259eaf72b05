"""Is this still the index we mean? Names are re-used, UUIDs are not."""

from __future__ import annotations

from app.domain.errors import Failure
from app.domain.operation import Operation
from app.elastic.answers import IndexState, Looked


def source_in(looked: Looked, operation: Operation) -> IndexState:
    """The source as it is now. Raises `Failure` where it is gone or another index has its name."""
    name = operation.index_name
    state = looked.get(name)
    if state is None:
        raise Failure("source_missing", f"Index {name} does not exist.")
    if operation.source and state.uuid != operation.source.uuid:
        raise Failure(
            "source_replaced",
            f"Index {name} was deleted and made again since the operation began. "
            "Nothing was done to the new one; post it again to reindex it.",
        )
    return state


def blocked_source_in(looked: Looked, operation: Operation) -> IndexState:
    """The source, which must still refuse writes. Raises `Failure`."""
    state = source_in(looked, operation)
    if not state.write_blocked:
        raise Failure(
            "write_block_lifted",
            f"Somebody lifted the write block of {operation.index_name} during the reindex, so "
            "the copy may be incomplete. Post the index again.",
        )
    return state


def target_in(looked: Looked, operation: Operation) -> IndexState:
    """The target, which must be the very index this operation made. Raises `Failure`."""
    name = operation.new_index_name
    state = looked.get(name)
    if state is None:
        raise Failure("target_missing", f"The target {name} was deleted during the reindex.")
    if state.uuid != operation.target_uuid:
        raise Failure(
            "target_replaced",
            f"The target {name} was deleted and made again by somebody else during the reindex.",
        )
    return state


def is_swapped(looked: Looked, operation: Operation) -> bool:
    """True where the old name is an alias of our target and the source is gone, by UUID."""
    target = looked.get(operation.new_index_name)
    gone = operation.source is not None and all(
        state.uuid != operation.source.uuid for state in looked.values()
    )
    return (
        gone
        and target is not None
        and target.uuid == operation.target_uuid
        and looked.holders(operation.index_name) == [operation.new_index_name]
    )
