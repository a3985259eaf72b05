"""Why an operation cannot be rolled back, or not without force. Pure: facts in, word out."""

from __future__ import annotations

from app.domain import clock
from app.domain.errors import CannotRollBack
from app.domain.operation import Operation
from app.domain.state import Status
from app.elastic.answers import Looked


def of_record(operation: Operation) -> CannotRollBack | None:
    """What our own record speaks against it."""
    if operation.status is not Status.COMPLETED:
        return CannotRollBack(
            "not_completed",
            "Only a completed operation can be rolled back; before the swap it can be cancelled.",
        )
    if operation.kept is None:
        return CannotRollBack(
            "no_kept_copy",
            f"The old index of {operation.index_name} was not kept: it was posted without "
            "keepOldIndex.",
        )
    until = operation.kept_until
    if until is None or clock.reached(until, operation.updated_at):
        return CannotRollBack(
            "kept_copy_expired", f"The time of the kept copy {operation.kept.name} is over."
        )
    return None


def of_indices(operation: Operation, looked: Looked) -> CannotRollBack | None:
    """What the cluster's state speaks against it, forced or not."""
    assert operation.kept is not None
    name, target, kept = operation.index_name, operation.new_index_name, operation.kept
    copy = looked.get(kept.name)
    if copy is None or copy.uuid != kept.uuid:
        return CannotRollBack("kept_copy_gone", f"The kept copy {kept.name} is not there any more.")
    found = looked.get(target)
    if found is None or found.uuid != operation.target_uuid:
        return CannotRollBack(
            "target_gone",
            f"The new index {target} is not there any more, or another has its name. Its aliases "
            f"went with it; to search the old documents give {kept.name} the aliases it should "
            "have by POST _aliases.",
        )
    holders = [name] if name in looked else looked.holders(name)
    if holders != [target]:
        where = f"an alias of {', '.join(holders)}" if holders else "nothing"
        return CannotRollBack(
            "name_moved",
            f"{name} is {'an index' if name in looked else where} now, not the alias of {target} "
            "that this operation left.",
        )
    return None


def of_age(operation: Operation, looked: Looked, major: int) -> CannotRollBack | None:
    """A kept copy that the cluster would never let be written again; not asked where forced."""
    assert operation.kept is not None
    copy = looked[operation.kept.name]
    if copy.created_major > major - 2:
        return None
    return CannotRollBack(
        "read_only_for_good",
        f"The kept copy {copy.name} was made by Elasticsearch {copy.created_major}, and this "
        f"cluster of {major} never takes writes to it. Send force true to have it back for "
        "reading.",
    )


def of_writes(operation: Operation, target_seq_nos: list[int]) -> CannotRollBack | None:
    """Documents that would be lost; not asked where forced."""
    assert operation.proof is not None
    if target_seq_nos == operation.proof.target_seq_nos:
        return None
    return CannotRollBack(
        "written_since",
        f"Documents were written to {operation.new_index_name} since the swap, which "
        "the kept copy does not have: they would be lost. Send force true to roll back all the "
        "same.",
    )
