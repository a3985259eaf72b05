"""What has a name of an operation meanwhile is told as far as its limits go, and no further."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from app.domain.errors import Failure
from app.domain.operation import Operation
from app.domain.reach import EVERYTHING, Reach
from app.elastic.answers import Looked
from app.upgrades.classifier import Facts, refusal, target_refusal
from app.upgrades.steps.identity import name_in_place, source_in
from app.upgrades.steps.target import _name_is_free  # pyright: ignore[reportPrivateUsage]
from tests.upgrades.steps.indices import TARGET, index, looked, operation

LIMITS = ("old*", "reindexed-v8-old*")
HIDDEN = index("secret", "uuid", "old", TARGET)
SEEN = index("old-2", "uuid-2", "old", TARGET)


def named(found: Looked, job: Operation) -> None:
    name_in_place(found, job)


def sourced(found: Looked, job: Operation) -> None:
    source_in(found, job.pair)


def free(found: Looked, job: Operation) -> None:
    _name_is_free(found, job.pair)


@pytest.mark.parametrize("look", [named, sourced, free])
@pytest.mark.parametrize(
    ("found", "allowed", "told"),
    [
        (looked(HIDDEN), LIMITS, "an alias of another index"),
        (looked(SEEN), LIMITS, "an alias of old-2"),
        (looked(SEEN, HIDDEN), LIMITS, "an alias of old-2, another index"),
        (looked(HIDDEN), None, "an alias of secret"),
    ],
)
def test_an_alias_is_told_with_the_indices_within_the_limits(
    look: Callable[[Looked, Operation], None], found: Looked, allowed: Any, told: str
) -> None:
    with pytest.raises(Failure) as failure:
        look(found, operation(allowed=allowed))
    assert told in failure.value.message
    assert ("secret" in failure.value.message) is (allowed is None)


@pytest.mark.parametrize(("reach", "seen"), [(Reach(LIMITS), False), (EVERYTHING, True)])
def test_why_an_index_is_not_taken_names_nothing_beyond_the_limits(
    reach: Reach, seen: bool
) -> None:
    job, there = operation(), looked(index("old", "uuid"), HIDDEN)
    of_stream = refusal(job.index_name, Facts(there, {"secret": ["old"]}, 8, reach=reach))
    stamped = looked(
        index("old", "uuid", routing__allocation__exclude__reindex_queue_operation="secret")
    )
    in_use = refusal(job.index_name, Facts(stamped, {}, 8, reach=reach))
    target = target_refusal(job.index_name, job.new_index_name, Facts(there, {}, 8, reach=reach))
    for fault, code in ((of_stream, "backing_index"), (in_use, "in_use"), (target, "target_taken")):
        assert fault is not None
        assert fault.code == code
        assert ("secret" in fault.message) is seen, fault.message
