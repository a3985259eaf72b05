"""An index is removed only where it is ours and the source is the one that was recorded."""

from __future__ import annotations

import pytest

from app.domain.events import EventKind
from app.domain.names import IndexName
from app.domain.operation import Operation
from app.elastic.answers import Looked
from app.upgrades.steps.guard import is_removable, kept_note
from tests.upgrades.steps.indices import (
    ID,
    OTHER_UUID,
    SOURCE_UUID,
    TARGET,
    TARGET_UUID,
    index,
    looked,
    operation,
)

NAME = IndexName(TARGET)
OLD = index("old", SOURCE_UUID)
NEW = index(TARGET, TARGET_UUID)
STAMPED = index(TARGET, OTHER_UUID, routing__allocation__exclude__reindex_queue_operation=ID)
STRANGE = index(TARGET, OTHER_UUID, routing__allocation__exclude__reindex_queue_operation="f" * 32)


@pytest.mark.parametrize(
    ("found", "asked", "uuid", "removable"),
    [
        (looked(OLD, NEW), operation(), TARGET_UUID, True),
        # a UUID decides, where it is known; the stamp only where it is not
        (looked(OLD, STAMPED), operation(), TARGET_UUID, False),
        (looked(OLD, STAMPED), operation(), None, True),
        (looked(OLD, STRANGE), operation(), None, False),
        (looked(OLD, NEW), operation(), None, False),
        # it may be the only copy
        (looked(NEW), operation(), TARGET_UUID, False),
        (looked(STAMPED), operation(), None, False),
        (looked(index("old", OTHER_UUID), NEW), operation(), TARGET_UUID, False),
        (looked(index("old", OTHER_UUID), STAMPED), operation(), None, False),
        (looked(OLD, NEW), operation(source=None), TARGET_UUID, False),
        (looked(OLD, STAMPED), operation(source=None), None, False),
        # there is nothing to remove
        (looked(OLD), operation(), TARGET_UUID, False),
        (looked(OLD), operation(), None, False),
        (looked(), operation(), TARGET_UUID, False),
    ],
)
def test_what_may_be_removed(
    found: Looked, asked: Operation, uuid: str | None, removable: bool
) -> None:
    assert is_removable(found, asked.pair, NAME, uuid) is removable


def test_the_source_is_looked_up_by_its_concrete_name() -> None:
    asked = operation(concrete_name="kept-old")
    assert is_removable(looked(index("kept-old", SOURCE_UUID), NEW), asked.pair, NAME, TARGET_UUID)
    assert not is_removable(looked(OLD, NEW), asked.pair, NAME, TARGET_UUID)


@pytest.mark.parametrize(
    ("name", "what"),
    [(TARGET, EventKind.TARGET_KEPT), ("reindex-queue-kept-old", EventKind.COPY_KEPT)],
)
def test_what_was_not_removed_is_told_with_the_reason(name: str, what: EventKind) -> None:
    note = kept_note(operation().pair, IndexName(name))
    assert (note.what, note.index) == (what, name)
    assert note.text == f"old is not the index it was: {name} may be the only copy"
