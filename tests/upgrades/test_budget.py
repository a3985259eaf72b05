"""What an index and its windows take on the disks, as it is worked out before anybody is asked."""

from __future__ import annotations

from typing import Any

import pytest

from app.copying.limit import Allowance
from app.domain.disk import Demand
from app.domain.pace import UNLIMITED
from app.domain.windows import Window
from app.jobs.phases import Limits, Work
from app.upgrades.budget import (
    _bytes_of,  # pyright: ignore[reportPrivateUsage]
    demand_of,
)
from tests.upgrades.steps.indices import SOURCE_UUID, index, operation, source


def windows(*documents: int) -> tuple[Window, ...]:
    return tuple(
        Window(number=n, shard=0, from_seq_no=None, to_seq_no=None, documents=many)
        for n, many in enumerate(documents)
    )


def work_of(planned: tuple[Window, ...], **of_source: Any) -> Work[Any]:
    job = operation(source=source(**of_source))
    return Work(job, planned, Limits(), False, UNLIMITED, Allowance())


def test_a_new_index_needs_what_the_source_has_with_its_replicas_and_tiers() -> None:
    tier = "data_hot"
    tiered = index(
        "old",
        SOURCE_UUID,
        number_of_replicas="2",
        routing__allocation__include___tier_preference=tier,
    )
    assert demand_of(tiered, [5, 7]) == Demand(primaries=[5, 7], replicas=2, tiers=tier)
    assert demand_of(index("old", SOURCE_UUID), []) == Demand(primaries=[], replicas=1, tiers=None)


@pytest.mark.parametrize(
    ("primary_bytes", "planned", "wanted", "size"),
    [
        (1_000, (30, 10), (30, 10), 1_000),
        (1_000, (30, 10), (10,), 250),
        (1_000, (30, 10), (), 0),
        (1_000, (2, 1), (1,), 334),  # whole bytes, rather one more
        (1, (1_000_000, 1), (1,), 1),
        (0, (30, 10), (10,), 0),  # its size is not known
        (1_000, (0, 0), (0,), 0),
        (1_000, (), (), 0),
        (1, (1,), (1,), 1),
    ],
)
def test_windows_take_their_share_of_the_whole_source(
    primary_bytes: int, planned: tuple[int, ...], wanted: tuple[int, ...], size: int
) -> None:
    work = work_of(windows(*planned), primary_bytes=primary_bytes)
    assert _bytes_of(work, windows(*wanted)) == size


def test_without_a_recorded_source_nothing_is_known() -> None:
    planned = windows(10)
    work = Work(operation(source=None), planned, Limits(), False, UNLIMITED, Allowance())
    assert _bytes_of(work, planned) == 0
