"""Is this still the index that is meant? What is found decides, without a server."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import pytest

from app.domain.errors import Failure
from app.domain.names import IndexName
from app.domain.operation import Kept, Operation
from app.domain.pair import Pair
from app.elastic.answers import IndexState, Looked
from app.upgrades.steps.identity import (
    blocked_source_in,
    both_in,
    is_swapped,
    marked_by,
    name_in_place,
    named,
    source_in,
    target_in,
)
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

MARKER = f".rq-{ID}"
OLD = index("old", SOURCE_UUID, blocks__write="true")
NEW = index(TARGET, TARGET_UUID)
MOVED = index(TARGET, TARGET_UUID, "old")
ROLLED_BACK = operation(concrete_name="kept-old")


A = TypeVar("A", Operation, Pair)


def refused(ask: Callable[[Looked, A], Any], found: Looked, asked: A) -> tuple[str, str]:
    with pytest.raises(Failure) as error:
        ask(found, asked)
    return error.value.code, error.value.message


# --- the name


@pytest.mark.parametrize(
    ("found", "asked"),
    [
        (looked(OLD), operation()),
        (looked(), operation()),
        (looked(index("kept-old", SOURCE_UUID, "old")), ROLLED_BACK),
    ],
    ids=["an index has it", "nothing has it", "the kept copy has it as an alias"],
)
def test_the_name_is_in_place(found: Looked, asked: Operation) -> None:
    name_in_place(found, asked)


@pytest.mark.parametrize(
    ("found", "asked", "holders"),
    [
        (looked(index("other", OTHER_UUID, "old")), operation(), "other"),
        (looked(index("b", "1", "old"), index("a", "2", "old")), operation(), "a, b"),
        (looked(OLD), ROLLED_BACK, "old"),
        (looked(index("kept-old", SOURCE_UUID, "old"), MOVED), ROLLED_BACK, f"kept-old, {TARGET}"),
    ],
)
def test_a_name_that_something_else_has_is_left_to_it(
    found: Looked, asked: Operation, holders: str
) -> None:
    assert refused(name_in_place, found, asked) == (
        "name_taken",
        f"old is now an alias of {holders}, which this operation did not do. "
        f"Nothing was touched; the copy is in {TARGET}.",
    )


def test_the_alias_of_a_kept_copy_that_is_gone_is_asked_for() -> None:
    assert refused(name_in_place, looked(index("kept-old", SOURCE_UUID)), ROLLED_BACK) == (
        "name_gone",
        "old was an alias of kept-old and is not any more. Put it back, then post it again.",
    )


# --- the source


def test_the_source_is_the_index_that_was_recorded() -> None:
    other = index("old", OTHER_UUID)
    assert source_in(looked(OLD), operation().pair) is OLD
    assert source_in(looked(other), operation(source=None).pair) is other


@pytest.mark.parametrize(
    ("found", "more"),
    [
        (looked(), ""),
        (looked(index("b", "1", "old"), MOVED), f" Its name is now an alias of b, {TARGET}."),
    ],
)
def test_a_source_that_is_gone_is_said_with_what_has_its_name(found: Looked, more: str) -> None:
    assert refused(source_in, found, operation().pair) == (
        "source_missing",
        f"Index old does not exist.{more}",
    )


def test_another_index_of_the_same_name_is_not_the_source() -> None:
    code, message = refused(source_in, looked(index("old", OTHER_UUID)), operation().pair)
    assert code == "source_replaced"
    assert message == (
        "Index old was deleted and made again since the operation began. "
        "Nothing was done to the new one; post it again to reindex it."
    )


@pytest.mark.parametrize(
    ("state", "code", "message"),
    [
        (
            index("old", SOURCE_UUID, blocks__write="true", closed=True),
            "source_closed",
            "Somebody closed old during the reindex, so it cannot be read. "
            "Open it, then post it again.",
        ),
        (
            index("old", SOURCE_UUID),
            "write_block_lifted",
            "Somebody lifted the write block of old during the reindex, so the copy may be "
            "incomplete. Post the index again.",
        ),
    ],
)
def test_a_source_that_somebody_closed_or_unblocked_is_not_copied_on(
    state: IndexState, code: str, message: str
) -> None:
    assert blocked_source_in(looked(OLD), operation().pair) is OLD
    assert refused(blocked_source_in, looked(state), operation().pair) == (code, message)


# --- the target


def test_the_target_is_the_index_that_the_operation_made() -> None:
    assert target_in(looked(OLD, NEW), operation().pair) is NEW
    assert refused(target_in, looked(OLD), operation().pair) == (
        "target_missing",
        f"The target {TARGET} was deleted during the reindex.",
    )
    code, message = refused(target_in, looked(OLD, index(TARGET, OTHER_UUID)), operation().pair)
    assert code == "target_replaced"
    assert message == (
        f"The target {TARGET} was deleted during the reindex, and another index has its name now: "
        "somebody made it, or a copy task that was still writing. It was left alone. Remove or "
        "rename it, then post the index again."
    )


def test_both_are_looked_at_and_the_name_before_them() -> None:
    both_in(looked(OLD, NEW), operation())
    assert refused(both_in, looked(OLD, NEW), ROLLED_BACK)[0] == "name_taken"
    assert refused(both_in, looked(index("old", SOURCE_UUID), NEW), operation())[0] == (
        "write_block_lifted"
    )
    assert refused(both_in, looked(OLD), operation())[0] == "target_missing"


# --- the swap

KEEPS = operation(keeps_source=True)


@pytest.mark.parametrize(
    ("found", "asked", "swapped"),
    [
        (looked(MOVED), operation(), True),
        (looked(NEW), operation(), False),
        (looked(OLD, NEW), operation(), False),
        (looked(), operation(), False),
        # no other index may pass for the target, and nothing is known before the source is recorded
        (looked(index(TARGET, OTHER_UUID, "old")), operation(), False),
        (looked(MOVED), operation(source=None), False),
        (looked(MOVED), operation(source=None, keeps_source=True), False),
        # the source is still there under another name
        (looked(MOVED, index("renamed", SOURCE_UUID)), operation(), False),
        # the name is an alias of something else
        (looked(NEW, index("other", OTHER_UUID, "old")), operation(), False),
        # where the source is kept, only the aliases move
        (looked(OLD, index(TARGET, TARGET_UUID, "people")), KEEPS, True),
        (looked(index(TARGET, TARGET_UUID, "people")), KEEPS, True),
        (looked(OLD, NEW), KEEPS, False),
        (looked(OLD, index(TARGET, TARGET_UUID, MARKER)), KEEPS, False),
        (
            looked(index("old", SOURCE_UUID, MARKER), index(TARGET, TARGET_UUID, "people")),
            KEEPS,
            True,
        ),
        (
            looked(index("old", SOURCE_UUID, "people"), index(TARGET, TARGET_UUID, "people")),
            KEEPS,
            False,
        ),
    ],
)
def test_the_swap_is_seen_by_the_target_that_has_the_name(
    found: Looked, asked: Operation, swapped: bool
) -> None:
    assert is_swapped(found, asked) is swapped


def test_a_kept_copy_is_no_source_though_it_was_made_of_it() -> None:
    kept = operation(kept=Kept(name=IndexName("kept-old")))
    assert is_swapped(looked(MOVED, index("kept-old", OTHER_UUID)), kept) is True


# --- the markers


def test_markers_are_told_apart_from_the_aliases_of_people() -> None:
    near = [f".rq-{'0' * 31}", f".rq-{'0' * 33}", f"xrq-{ID}", f".rq-{'g' * 32}", f"a.rq-{ID}"]
    assert named(["people", MARKER, *near]) == ["people", *near]
    assert marked_by(["people", MARKER, *near]) == {MARKER: ID}
    assert operation().marker == MARKER
