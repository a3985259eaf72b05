"""How many documents are taken at a time, by what they weigh."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.weights import (
    BATCH_BYTES,
    DEFLATED,
    FIRST_ROUND_BYTES,
    HEAVIEST_BYTES,
    LEAST_ON_DISK,
    NEGLIGIBLE_BYTES,
    SAMPLE_BYTES,
    SAMPLE_DOCUMENTS,
    Budget,
    OnDisk,
    Weights,
    batch_for,
    next_look,
    together,
)

LARGE, SMALL = Budget.of(8 * 2**30, 3), Budget.of(512 * 2**20, 3)
HEAPS = st.integers(2**27, 2**36)
WINDOWS = st.integers(1, 50)


@given(HEAPS, WINDOWS)
def test_budgets_of_all_windows_together_are_a_small_part_of_the_heap(
    heap: int, windows: int
) -> None:
    budget = Budget.of(heap, windows)
    assert budget.usual * windows <= heap * 0.06
    assert budget.heaviest * windows <= heap * 0.25
    assert budget.heaviest <= heap * 0.08  # a tenth is all that Elasticsearch takes
    assert budget.usual <= BATCH_BYTES
    assert budget.heaviest <= HEAVIEST_BYTES


def test_budget_of_a_cluster_that_does_not_tell_is_that_of_a_small_heap() -> None:
    assert Budget.of(None, 3) == SMALL


@given(st.floats(1, 1e8), st.integers(1, 10**8), HEAPS, WINDOWS, st.integers(1, 10_000))
def test_batch_of_weighed_documents_fits_the_budget_or_is_a_single_one(
    mean: float, heaviest: int, heap: int, windows: int, most: int
) -> None:
    budget = Budget.of(heap, windows)
    batch = batch_for(OnDisk(10**6, 10**6), Weights(mean, heaviest, 10**6), budget, most)
    assert 1 <= batch <= most
    assert batch == 1 or batch * mean <= budget.usual
    assert batch == 1 or batch * heaviest <= budget.heaviest


@pytest.mark.parametrize(
    ("mean", "heaviest", "batch"),
    [
        (400_000, 400_000, 25),  # log lines that are 4 kB on disk
        (500, 2_000, 2_000),
        (100_000, 10_000_000, 10),  # one of a hundred is huge, and they may lie together
        (50_000_000, 50_000_000, 1),
    ],
)
def test_batch_by_weight(mean: int, heaviest: int, batch: int) -> None:
    on_disk = OnDisk(100_000, 100_000_000)
    assert batch_for(on_disk, Weights(mean, heaviest, 100_000), LARGE, 2_000) == batch


def test_batch_of_documents_that_are_larger_on_disk_than_those_seen_goes_by_the_disk() -> None:
    on_disk = OnDisk(documents=1_000, size=1_000_000_000)
    assert batch_for(on_disk, Weights(500, 600, 1_000), LARGE, 2_000) == 10


@pytest.mark.parametrize(("size", "batch"), [(0, 2_000), (5_000, 2_000), (10_000_000, 500)])
def test_batch_of_documents_that_nobody_looked_at_goes_by_the_disk(size: int, batch: int) -> None:
    assert batch_for(OnDisk(1_000, size), None, LARGE, 2_000) == batch


def test_documents_that_cannot_weigh_much_need_not_be_looked_at() -> None:
    assert OnDisk(100, NEGLIGIBLE_BYTES // DEFLATED).negligible
    assert not OnDisk(100, NEGLIGIBLE_BYTES // DEFLATED + 1).negligible
    assert OnDisk(1, 10**9).negligible  # there is no smaller batch
    assert not OnDisk(2, LEAST_ON_DISK - 1).negligible  # its size is not known


def test_shards_together_are_of_unknown_size_where_one_is() -> None:
    assert together([OnDisk(5, 10_000), OnDisk(7, 20_000)]) == OnDisk(12, 30_000)
    assert not together([OnDisk(5, 10_000), OnDisk(7, 227)]).known


def looks(on_disk: OnDisk, each: int) -> list[int]:
    """How many documents each look has, where all have that weight."""
    seen: list[int] = []
    found: list[int] = []
    while size := next_look(on_disk, seen):
        found.append(size)
        seen += [each] * size
    return found


def test_looks_at_ordinary_documents_are_one_or_two() -> None:
    assert looks(OnDisk(500, 47_050), 150) == [300]
    assert len(looks(OnDisk(1_000_000, 300_000_000), 600)) == 2


@given(st.integers(2, 10**7), st.integers(1, 10**10), st.integers(1, 10**8))
def test_looks_never_take_much_at_a_time_and_end(documents: int, size: int, each: int) -> None:
    on_disk = OnDisk(documents, size)
    found = looks(on_disk, each)
    if on_disk.known:
        assert found[0] == 1 or found[0] * size * DEFLATED <= documents * FIRST_ROUND_BYTES
    else:
        assert found[0] == 1
    assert all(n == 1 or n * each <= SAMPLE_BYTES for n in found[1:])
    assert sum(found) <= SAMPLE_DOCUMENTS
    assert len(found) <= SAMPLE_BYTES  # it ends


def test_share_of_a_shard_leaves_nested_documents_out() -> None:
    weights = Weights(mean=1_000, heaviest=2_000, documents=10)
    assert weights.share(50, 100) == 5_000
